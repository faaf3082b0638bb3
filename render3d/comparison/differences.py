"""How far the renderings of one scene are from the first of them: numbers and images."""

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from render3d.color import srgb_to_linear
from render3d.images import Rendering
from render3d.metrics import silhouette_iou
from render3d.testing.parity import compare, degrees_between

AMPLIFIED = 8.0
"""How many times brighter than they are differences of colour are shown."""


def figures_of(renderings: Mapping[str, Rendering]) -> dict[str, dict[str, float | None]]:
    """Of all but the first, by name and what was measured; None where one of the two has no such image.

    ``iou`` is the mean silhouette intersection over union; ``differing_pixels`` counts those that one covers and the
    other does not, ``differing_share`` is their share of the boundary pixels of the first and ``far_pixels`` their
    number more than a pixel away from its silhouette. ``depth_largest`` and ``depth_mean`` are relative,
    ``normal_degrees`` and ``rgb`` (linear light) 99th percentiles, all four inside: see `render3d.testing.parity`.
    """
    if not renderings:
        return {}
    first, *others = renderings
    return {name: _figures(renderings[first], renderings[name]) for name in others}


def _figures(first: Rendering, second: Rendering) -> dict[str, float | None]:
    parity = compare(first, second)
    figures = {
        "iou": float(silhouette_iou(first.alpha, second.alpha).mean()),
        "differing_pixels": int(((first.alpha > 0.5) != (second.alpha > 0.5)).sum()),
        "differing_share": parity.differing,
        "far_pixels": parity.far_differing,
        "depth_largest": parity.depth,
        "depth_mean": parity.mean_depth,
        "normal_degrees": parity.normal_degrees,
        "rgb": parity.rgb,
    }
    return {name: value if math.isfinite(value) else None for name, value in figures.items()}


def color_difference(first: Tensor, second: Tensor) -> Tensor:
    """Differences of ``rgb`` ``[..., 3, H, W]``, `AMPLIFIED` times: black where there is none, for an image.

    The difference is that of linear light, and what is shown is proportional to it.
    """
    return srgb_to_linear(((first - second).abs() * AMPLIFIED).clamp(0, 1))


def depth_difference(first: Rendering, second: Rendering) -> tuple[Tensor, Tensor]:
    """Relative differences of depth ``[..., 1, H, W]``, and where there are any: where both cover."""
    both = (first.alpha > 0.5) & (second.alpha > 0.5) & (first.depth > 0)
    relative = (second.depth / first.depth.where(both, torch.ones(()))) - 1
    return relative.abs(), both


def normal_difference(first: Rendering, second: Rendering) -> tuple[Tensor, Tensor]:
    """Angles between normals in degrees, ``[..., 1, H, W]``, and where there are any: where both cover."""
    both = (first.alpha > 0.5) & (second.alpha > 0.5)
    return degrees_between(first.normal, second.normal).unsqueeze(-3), both
