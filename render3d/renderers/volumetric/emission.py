"""Emission and absorption: light that a volume sends out and takes in."""

import dataclasses
import functools
from collections.abc import Sequence
from typing import final

import torch
from torch import Tensor

from render3d.cameras import Cameras
from render3d.color import NEUTRAL_GREY
from render3d.errors import VolumeError
from render3d.renderers.base import FULL_GRADIENTS, Capabilities
from render3d.renderers.drawing import RendersVolumes
from render3d.renderers.shading import Color, check_square
from render3d.renderers.volumetric.crossings import Crossings
from render3d.renderers.volumetric.marching import Integral, integrate
from render3d.renderers.volumetric.planes import evenly
from render3d.scenes import Volume


@final
@dataclasses.dataclass(frozen=True, kw_only=True)
class EmissionAbsorption(RendersVolumes):
    """A `Renderer` of volumes: ``alpha = 1 - exp(-integral of density)`` along the ray through the pixel's centre.

    The colour of a point shines as it is, unlit, weighted by how much light is absorbed there and by what is left of it
    on the way to the camera (Max, "Optical models for direct volume rendering", TVCG 1995, with absorption and emission
    alike). ``depth`` is the mean camera z under these weights, 0 where alpha is 0. A volume of density alone is of a
    neutral grey. Gradients, of value and pose, are those of autograd, and full.

    Attributes:
        background: Colour behind the scene, linear light.
        samples_per_voxel: Points on a ray for each voxel it passes along the axis it follows most closely. Two are
            four times as exact as one.
        samples_per_pixel: A square number: a grid of rays that ``rgb`` and ``alpha`` average.

    Raises:
        ValueError: Samples of a voxel out of range, or samples of a pixel that make no square.
    """

    background: Color = (1.0, 1.0, 1.0)
    samples_per_voxel: float = 1.0
    samples_per_pixel: int = 1

    def __post_init__(self) -> None:
        if not 0.5 <= self.samples_per_voxel <= 16:
            raise ValueError(f"samples_per_voxel must be from 0.5 to 16; got {self.samples_per_voxel}.")
        check_square(self.samples_per_pixel)

    @property
    def capabilities(self) -> Capabilities:
        """Volumes of density, or of density and colour."""
        return Capabilities(
            name="EmissionAbsorption",
            outputs=("rgb", "alpha", "depth"),
            gradients=FULL_GRADIENTS - {"lights"},
            batched=True,
            device="any",
            licence="MIT",
            scenes=(Volume,),
        )

    def draw(self, volume: Volume, cameras: Cameras, outputs: Sequence[str]) -> dict[str, Tensor]:
        """As `RendersVolumes.draw`."""
        check_channels(volume, self.capabilities.name)
        rule = evenly(self.samples_per_voxel)
        colored = "rgb" in outputs and volume.channels == 4
        if not colored:
            volume = dataclasses.replace(volume, values=volume.density)
        if tuple(outputs) == ("alpha",):
            depth = integrate(volume, cameras, _OPTICAL_DEPTH, rule)
            return {"alpha": -torch.expm1(-depth)}
        sums = integrate(volume, cameras, _LIGHT[colored, "depth" in outputs], rule)
        alpha, color, depth = torch.split(sums, [1, 3 * colored, int("depth" in outputs)], dim=-3)
        if not colored:
            color = alpha * torch.tensor(NEUTRAL_GREY).to(alpha)[:, None, None]
        behind = torch.tensor(self.background).to(alpha)[:, None, None]
        images = {"alpha": alpha, "rgb": color + (1 - alpha) * behind}
        if "depth" in outputs:
            covered = alpha > 0
            images["depth"] = torch.where(covered, depth / torch.where(covered, alpha, 1.0), 0.0)
        return images


def check_channels(volume: Volume, renderer: str) -> None:
    """Raise `VolumeError` unless a volume is of density, or of density and colour."""
    if volume.channels not in (1, 4):
        raise VolumeError(
            f"{renderer} takes volumes of 1 channel, density, or 4, density and colour; got {volume.channels}. "
            f"LearnedProjection(channels={volume.channels}) takes any number."
        )


def _optical_depth(crossings: Crossings) -> Tensor:
    """``[1, P]``."""
    return crossings.optical_depth()[None]


def _light(crossings: Crossings, *, deep: bool) -> Tensor:
    """``[1, 2, 4 or 5, P]``: alpha, colour weighted by what is absorbed, and depth weighted alike if it is ``deep``."""
    absorbed = crossings.absorb()
    depth = [crossings.mean_depth(absorbed)[None]] if deep else []
    return torch.cat([absorbed.alpha[None], absorbed.color, *depth])


def _over(front: Tensor, behind: Tensor) -> Tensor:
    """What is behind, as far as the light comes through what is in front (Porter and Duff, 1984); alpha comes first."""
    return front + (1 - front[:1]) * behind


_OPTICAL_DEPTH = Integral(_optical_depth, torch.add, 1)
_LIGHT = {
    (colored, deep): Integral(functools.partial(_light, deep=deep), _over, 1 + 3 * colored + deep)
    for colored in (False, True)
    for deep in (False, True)
}
