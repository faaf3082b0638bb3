"""Images of solids from all around."""

import dataclasses
from typing import Self

import torch
from torch import Tensor

from render3d import Cameras
from render3d.datasets import Primitives, PrimitivesSettings, WithViews
from render3d.datasets.checks import Split
from render3d.renderers import OpenGL

VIEWS = 8  # round each solid; what the network sees is the first
_LARGE = PrimitivesSettings(solid_size=22, translation=0, rotations="vertical")


@dataclasses.dataclass(frozen=True)
class Objects:
    """N solids, each seen by the same cameras.

    Attributes:
        seen: ``[N, 3, H, W]``, linear light: the one image of each solid that a network may see, from the first camera.
        alpha: ``[N, views, 1, H, W]``, coverage 0-1.
        cameras: ``[views]``.
    """

    seen: Tensor
    alpha: Tensor
    cameras: Cameras

    @classmethod
    def make(cls, split: Split, count: int, image_size: int) -> Self:
        """The first ``count`` solids of a split of the paper's Primitives, upright and large; drawn by OpenGL."""
        cameras = Cameras.sphere(VIEWS, distance=3.2, vertical_fov_degrees=42.0, image_size=(image_size, image_size))
        pictured = WithViews(Primitives(split, _LARGE), cameras, OpenGL(), ("rgb", "alpha"))
        images = [pictured[index].images for index in range(count)]
        seen, alpha = (torch.stack([each[name] for each in images]) for name in ("rgb", "alpha"))
        return cls(seen[:, 0].contiguous(), alpha, cameras)

    def __len__(self) -> int:
        return len(self.alpha)

    def to(self, device: torch.device) -> "Objects":
        """The same elsewhere."""
        return Objects(self.seen.to(device), self.alpha.to(device), self.cameras.to(device))
