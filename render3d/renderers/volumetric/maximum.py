"""Maximum projection: the most opaque voxel that a ray meets."""

import dataclasses
from collections.abc import Sequence
from typing import final

import torch
from torch import Tensor

from render3d.cameras import Cameras
from render3d.renderers.base import FULL_GRADIENTS, Capabilities
from render3d.renderers.drawing import RendersVolumes
from render3d.renderers.shading import check_square
from render3d.renderers.volumetric.crossings import Crossings
from render3d.renderers.volumetric.marching import Integral, integrate
from render3d.renderers.volumetric.planes import AT_CENTRES
from render3d.scenes import Volume


@final
@dataclasses.dataclass(frozen=True, kw_only=True)
class MaxProjection(RendersVolumes):
    """A `Renderer` of volumes: ``alpha`` is the largest occupancy that the ray through the pixel's centre meets.

    Occupancy is that of a whole voxel, ``1 - exp(-density * side)``, where the ray crosses the planes through the
    centres of voxels. Only the point of the maximum gets a gradient: it is full where one point wins clearly, and
    sparse.

    Attributes:
        samples_per_pixel: A square number: a grid of rays whose ``alpha`` is averaged.

    Raises:
        ValueError: Samples that make no square.
    """

    samples_per_pixel: int = 1

    def __post_init__(self) -> None:
        check_square(self.samples_per_pixel)

    @property
    def capabilities(self) -> Capabilities:
        """Coverage of volumes."""
        return Capabilities(
            name="MaxProjection",
            outputs=("alpha",),
            gradients=FULL_GRADIENTS - {"colors", "lights"},
            batched=True,
            device="any",
            licence="MIT",
            scenes=(Volume,),
        )

    def draw(self, volume: Volume, cameras: Cameras, outputs: Sequence[str]) -> dict[str, Tensor]:
        """As `RendersVolumes.draw`."""
        density = dataclasses.replace(volume, values=volume.density)
        largest = integrate(density, cameras, _LARGEST, AT_CENTRES)
        return {"alpha": -torch.expm1(-largest * volume.voxel_side)}


def _largest(crossings: Crossings) -> Tensor:
    """``[1, P]``: the largest density between near and far."""
    density = crossings.density
    if crossings.visible is not None:
        density = density * (crossings.visible > 0.5)
    return density.amax(0)[None]


_LARGEST = Integral(_largest, torch.maximum, 1)
