"""The pixels of views that show nothing but the object, and what their light is a mean of."""

import dataclasses
import functools
import math
from typing import final

import torch
from torch import Tensor

from render3d.cameras import Cameras
from render3d.renderers.deferred import light_on
from render3d.renderers.deferred_shading import Visible


@final
@dataclasses.dataclass(frozen=True)
class ColorPixels:
    """The P pixels that count, each with S samples of the surface.

    Attributes:
        visible: What the renderer saw.
        counts: ``[V, H, W]`` bool, which pixels of the views they are.
    """

    visible: Visible
    counts: Tensor

    @functools.cached_property
    def face(self) -> Tensor:
        """``[P S]`` int64; 0 where a sample shows none, which then weighs nothing."""
        return self._samples("face_index")[..., 0].long().clamp(min=0)

    @functools.cached_property
    def weights(self) -> Tensor:
        """``[P S, 3]`` float32, of the face's vertices."""
        return self._samples("barycentric").float() * (self._samples("face_index") >= 0)

    @functools.cached_property
    def light(self) -> Tensor:
        """``[P S, 3]`` float32: what of the light reaches each sample."""
        return light_on(self._samples("normal"), self.visible.shading).float()

    @functools.cached_property
    def view(self) -> Tensor:
        """``[P]`` int64: the view of each pixel."""
        return self.counts.nonzero()[:, 0]

    def mean_by_view(self, values: Tensor) -> Tensor:
        """``[V]``: the mean of values ``[P, 1]`` over the pixels of each view; NaN where none counts."""
        return torch.zeros(len(self.counts)).index_add(0, self.view, values[:, 0]) / self.counts.flatten(1).sum(1)

    def facing(self, cameras: Cameras) -> Tensor:
        """``[P, 1]`` float32: the cosine of the angle between the surface's normal and the ray of the pixel, 0-1."""
        rays = cameras.rays().directions[self.counts].float()
        normals = self._samples("normal").float().reshape(len(rays), -1, 3)
        return (normals * rays[:, None]).sum(-1).abs().mean(1, keepdim=True)

    def of(self, image: Tensor) -> Tensor:
        """``[P, C]``: the pixels that count of an image ``[V, C, H, W]``."""
        return image.movedim(1, -1)[self.counts]

    def mean(self, values: Tensor) -> Tensor:
        """``[P, C]``: the means over each pixel's samples ``[P S, C]``."""
        return values.reshape(-1, self._of_pixel, values.shape[-1]).mean(1)

    def mean_transposed(self, values: Tensor) -> Tensor:
        """``[P S, C]`` of ``[P, C]``: each pixel's value shared out evenly to its samples."""
        return (values / self._of_pixel).repeat_interleave(self._of_pixel, 0)

    @property
    def _of_pixel(self) -> int:
        return self.visible.shading.samples_per_pixel

    def _samples(self, name: str) -> Tensor:
        """``[P S, C]``: the samples that count of one of the renderer's images."""
        image, side = self.visible.surface.stored(name), math.isqrt(self._of_pixel)
        views, channels, height, width = image.shape
        blocks = image.reshape(views, channels, height // side, side, width // side, side).permute(0, 2, 4, 3, 5, 1)
        return blocks[self.counts].reshape(-1, channels)
