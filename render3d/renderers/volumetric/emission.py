"""Emission and absorption: light that a volume sends out and takes in."""

import dataclasses
from collections.abc import Sequence
from typing import final

import torch
from torch import Generator, Tensor

from render3d.cameras import Cameras
from render3d.color import NEUTRAL_GREY
from render3d.errors import VolumeError
from render3d.images import Rendering
from render3d.randomness import Key
from render3d.renderers.base import Capabilities, Color, check_square
from render3d.renderers.one_by_one import render_one_by_one
from render3d.renderers.volumetric.crossings import Crossings, evenly
from render3d.renderers.volumetric.marching import Integral, integrate
from render3d.scenes import Scene, Volume


@final
@dataclasses.dataclass(frozen=True, kw_only=True)
class EmissionAbsorption:
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
            gradients=frozenset({"interior", "silhouette", "pose"}),
            batched=True,
            device="any",
            licence="MIT",
            scenes=(Volume,),
        )

    def __call__(
        self,
        scene: Scene,
        cameras: Cameras,
        outputs: Sequence[str] = ("rgb", "alpha"),
        *,
        generator: Generator | Key | None = None,
    ) -> Rendering:
        """Render; see `render3d.renderers.Renderer`. ``generator`` is not used: nothing here is random."""
        return render_one_by_one(self._draw, self.capabilities, self.samples_per_pixel, scene, cameras, outputs)

    def _draw(self, volume: Volume, cameras: Cameras, outputs: Sequence[str]) -> dict[str, Tensor]:
        if volume.channels not in (1, 4):
            raise VolumeError(
                f"EmissionAbsorption takes volumes of 1 channel, density, or 4, density and colour; got "
                f"{volume.channels}. LearnedProjection(channels={volume.channels}) takes any number."
            )
        rule = evenly(self.samples_per_voxel)
        if tuple(outputs) == ("alpha",):
            depth = integrate(dataclasses.replace(volume, values=volume.density), cameras, _OPTICAL_DEPTH, rule)
            return {"alpha": -torch.expm1(-depth)}
        colored = "rgb" in outputs and volume.channels == 4
        if not colored:
            volume = dataclasses.replace(volume, values=volume.density)
        sums = integrate(volume, cameras, _LIGHT if colored else _DEPTH, rule)
        alpha, depth, color = sums[:, :1], sums[:, 1:2], sums[:, 2:]
        if not colored:
            color = alpha * torch.tensor(NEUTRAL_GREY).to(alpha)[:, None, None]
        behind = torch.tensor(self.background).to(alpha)[:, None, None]
        covered = alpha > 0
        return {
            "alpha": alpha,
            "depth": torch.where(covered, depth / torch.where(covered, alpha, 1.0), 0.0),
            "rgb": color + (1 - alpha) * behind,
        }


def _optical_depth(crossings: Crossings) -> Tensor:
    """``[1, P]``."""
    return crossings.optical_depth()[None]


def _weighted_sums(crossings: Crossings) -> Tensor:
    """``[2 or 5, P]``: alpha, then depth and colour weighted by what is absorbed."""
    weights = crossings.weights()
    sums = torch.stack([weights.sum(0), crossings.mean_depth(weights)])
    if crossings.colors is None:
        return sums
    return torch.cat([sums, (weights[:, None] * crossings.colors).sum(0)])


def _over(front: Tensor, behind: Tensor) -> Tensor:
    """What is behind, as far as the light comes through what is in front (Porter and Duff, 1984); alpha comes first."""
    return front + (1 - front[:1]) * behind


_OPTICAL_DEPTH = Integral(_optical_depth, torch.add, 1)
_DEPTH, _LIGHT = (Integral(_weighted_sums, _over, channels) for channels in (2, 5))
