"""How far a renderer's images are from the target's."""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from scipy import stats
from torch import Tensor

import render3d as r3
from learned_camera.views import COARSE, Posed
from render3d.metrics import silhouette_iou
from render3d.renderers import EmissionAbsorption, LearnedProjection, MaxProjection, Renderer

_BATCH = 25
_DENSITIES = [2 ** (-step / 2) for step in range(13)]
_VOXEL = 2 / COARSE.size


class Scores(NamedTuple):
    """Means over all images.

    Attributes:
        error: Root of the mean squared error of ``alpha``.
        iou: Of the silhouettes.
        depth: Mean absolute error of depth where both silhouettes cover, in voxels; None if there is none.
    """

    error: float
    iou: float
    depth: float | None


@torch.no_grad()
def draw(renderer: Renderer, posed: Posed, density: float = 1.0) -> dict[str, Tensor]:
    """Its images ``[N, views, 1, H, W]``: ``alpha``, and ``depth`` where it has that.

    Args:
        renderer: Any of volumes.
        posed: What to draw.
        density: What the density of the volumes is multiplied by.
    """
    outputs = [name for name in ("alpha", "depth") if name in renderer.capabilities.outputs]
    parts = []
    for start in range(0, len(posed), _BATCH):
        chosen = slice(start, start + _BATCH)
        volumes = r3.Volume(posed.volumes[chosen].values * density)
        parts.append(renderer(volumes, posed.cameras[chosen], outputs))
    found = r3.Rendering.cat(parts, dim=0).as_dict()
    if isinstance(renderer, LearnedProjection):  # its depth is weighted by alpha
        found["depth"] = found["depth"] / found["alpha"].clamp(min=1e-3)
    return found


def score(renderer: Renderer, posed: Posed, density: float = 1.0) -> Scores:
    """Arguments as in `draw`."""
    found = draw(renderer, posed, density)
    both = (found["alpha"] > 0.5) & (posed.alpha > 0.5)
    depth = None
    if "depth" in found and bool(both.any()):
        depth = float((found["depth"] - posed.depth)[both].abs().mean()) / _VOXEL
    return Scores(
        error=float((found["alpha"] - posed.alpha).square().mean().sqrt()),
        iou=float(silhouette_iou(found["alpha"], posed.alpha).mean()),
        depth=depth,
    )


class Analytic(NamedTuple):
    """A renderer without parameters, but for a factor of the density; scores are by zone."""

    renderer: Renderer
    density: float
    scores: dict[str, Scores]


def analytic_renderers(training: Posed, tests: Mapping[str, Posed]) -> dict[str, Analytic]:
    """By name: each as it is, and with the factor that has the least error of ``alpha`` on ``training``."""
    found = {}
    for renderer in (EmissionAbsorption(), MaxProjection()):
        name = renderer.capabilities.name
        best = min(_DENSITIES, key=lambda factor: score(renderer, training, factor).error)
        for label, factor in ((f"{name}, density fitted", best), (name, 1.0)):
            scores = {zone: score(renderer, posed, factor) for zone, posed in tests.items()}
            found[label] = Analytic(renderer, factor, scores)
    return found


def interval(values: Sequence[float]) -> tuple[float, float | None]:
    """The mean, and half the width of its 95% interval by Student's t; None for one value alone."""
    count = len(values)
    mean = sum(values) / count
    if count < 2:
        return mean, None
    deviation = math.sqrt(sum((value - mean) ** 2 for value in values) / (count - 1))
    return mean, float(stats.t.ppf(0.975, count - 1)) * deviation / math.sqrt(count)
