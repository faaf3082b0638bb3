"""A kind of scene that the package does not know, and what renders it: 3D Gaussians and a splatter."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar, Self, final

import torch
from safetensors.torch import load_file
from torch import Tensor

from render3d import Cameras
from render3d.errors import Render3DError
from render3d.renderers import Capabilities
from render3d.renderers.base import FULL_GRADIENTS
from render3d.renderers.drawing import RendersBatches
from render3d.scenes import SceneKind
from render3d.scenes.kind import Role


class GaussiansError(Render3DError, ValueError):
    """Gaussians that cannot be used."""


@final
@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Gaussians(SceneKind):
    """N round Gaussians.

    Attributes:
        means: ``[*batch, N, 3]``, world.
        scales: ``[*batch, N]``, standard deviations in scene units.
        opacities: ``[*batch, N]``, 0-1, in the middle.
        colors: ``[*batch, N, 3]``, linear light.
    """

    event_dims: ClassVar[dict[str, int]] = {"means": 2, "scales": 1, "opacities": 1, "colors": 2}

    means: Tensor
    scales: Tensor
    opacities: Tensor
    colors: Tensor

    @classmethod
    def load(cls, path: str | Path) -> "Gaussians":
        """Read them from a safetensors file that has their four tensors."""
        return cls(**load_file(path))

    def check_values(self) -> None:
        """Raise `GaussiansError` unless all values are finite."""
        if not all(bool(tensor.isfinite().all()) for tensor in self.tensors()):
            raise GaussiansError("Gaussians must be finite.")

    def inputs(self) -> Mapping[str, tuple[Tensor, Role]]:
        """Return all four: the first three decide the shape."""
        shape: dict[str, tuple[Tensor, Role]] = {
            name: (getattr(self, name), "shape") for name in ("means", "scales", "opacities")
        }
        return shape | {"colors": (self.colors, "colors")}

    def in_unit_sphere(self, cameras: Cameras) -> tuple[Self, Cameras]:
        """Move and scale them, up to two standard deviations."""
        means = self.means - self.means.mean(-2, keepdim=True)
        radius = (means.norm(dim=-1) + 2 * self.scales).amax(-1)[..., None]
        return dataclasses.replace(self, means=means / radius[..., None], scales=self.scales / radius), cameras


class Splatter(RendersBatches):
    """A `Renderer` of `Gaussians`: projected, sorted by depth and composited, from front to back (Zwicker et al. 2001).

    Gaussians end where they are ``cutoff`` standard deviations away.
    """

    cutoff = 6.0

    @property
    def capabilities(self) -> Capabilities:
        """Colour, coverage and mean depth, with all gradients but that of lights."""
        return Capabilities(
            name=type(self).__name__,
            outputs=("rgb", "alpha", "depth"),
            gradients=FULL_GRADIENTS - {"lights"},
            batched=True,
            device="any",
            licence="MIT",
            scenes=(Gaussians,),
        )

    def draw(self, scene: Gaussians, cameras: Cameras, outputs: Sequence[str]) -> dict[str, Tensor]:
        """As `RendersBatches.draw`."""
        points = cameras.to_camera_space(scene.means)  # [*batch, views, N, 3]
        depth, order = points[..., 2].sort(dim=-1)
        points = points.take_along_dim(order[..., None], -2)
        scale, opacity = (t[..., None, :].take_along_dim(order, -1) for t in (scene.scales, scene.opacities))
        color = scene.colors[..., None, :, :].take_along_dim(order[..., None], -2)
        apart = self._distances(points, scale, cameras)  # [*batch, views, N, H, W]
        seen = (apart < self.cutoff**2) & ((depth > cameras.near) & (depth < cameras.far))[..., None, None]
        alpha = torch.where(seen, opacity[..., None, None] * torch.exp(-apart / 2), 0.0)
        left = torch.cumprod(1 - alpha, dim=-3)  # of the light, behind each
        weights = alpha * torch.cat([torch.ones_like(left[..., :1, :, :]), left[..., :-1, :, :]], dim=-3)
        covered = weights.sum(-3, keepdim=True)
        summed = torch.einsum("...nhw,...nc->...chw", weights, torch.cat([color, depth[..., None]], dim=-1))
        return {
            "rgb": summed[..., :3, :, :] + left[..., -1:, :, :],  # over white
            "alpha": covered,
            "depth": torch.where(covered > 0, summed[..., 3:, :, :] / covered.clamp(min=1e-9), 0.0),
        }

    def _distances(self, points: Tensor, scale: Tensor, cameras: Cameras) -> Tensor:
        """Squared distances of pixels from projected means, in projected standard deviations."""
        (height, width), far = cameras.image_size, cameras.projection == "orthographic"
        along = torch.ones_like(scale) if far else points[..., 2].clamp(min=cameras.near)
        focal = torch.stack([cameras.intrinsics[..., 0, 0], cameras.intrinsics[..., 1, 1]], dim=-1)[..., None, :]
        middle, deviation = cameras.to_pixels(points), (scale / along)[..., None] * focal
        x = (torch.arange(width).to(scale) + 0.5 - middle[..., :1]) / deviation[..., :1]
        y = (torch.arange(height).to(scale) + 0.5 - middle[..., 1:]) / deviation[..., 1:]
        return x.square()[..., None, :] + y.square()[..., :, None]


class Sharp(Splatter):
    """Gaussians that end two standard deviations away."""

    cutoff = 2.0
