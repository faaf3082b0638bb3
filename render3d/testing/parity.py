"""How far two renderers agree on the same scene."""

import dataclasses
import math
from collections.abc import Callable
from typing import final

import torch
from torch import Tensor
from torch.nn.functional import max_pool2d, pad

from render3d.images import Rendering

_STEEP = 0.02
"""Where depth changes by more than this share between neighbours, a surface ends in front of another, or nearly so."""


@final
@dataclasses.dataclass(frozen=True, kw_only=True)
class Parity:
    """What differs between two renderings of one scene; figures are over all views.

    Inside means: at least one pixel away from every edge of the first rendering, be it a silhouette or a jump of depth.
    What one of the two does not hold is NaN; without a depth of the first, its jumps are not known.

    Attributes:
        coverage: Least share of a view that the object covers.
        differing: Pixels that one covers and the other does not, as a share of the boundary pixels of the first.
        far_differing: The number of those that are more than one pixel away from its silhouette.
        inside: The share of covered pixels that count as inside.
        depth: Largest relative difference inside.
        mean_depth: The mean of it.
        normal_degrees: The 99th percentile of the angle inside; creases between flat faces make up the rest.
        rgb: The 99th percentile of the largest difference of a channel inside, linear light.
        other_face: The share of pixels inside that show another face.
        barycentric: The 99th percentile of the largest difference of a weight, where both show the same face.
    """

    coverage: float
    differing: float
    far_differing: int
    inside: float
    depth: float
    mean_depth: float
    normal_degrees: float
    rgb: float
    other_face: float
    barycentric: float


def compare(first: Rendering, second: Rendering) -> Parity:
    """Compare two renderings of one sample a pixel that hold ``alpha`` at least."""
    covered, other = (_flat(rendering.alpha) > 0.5 for rendering in (first, second))
    silhouette = _varies(covered.float(), 0.5)
    differs = covered != other
    inside = covered & other & ~silhouette
    if "depth" in first.outputs:
        inside &= ~_varies(_flat(first.depth).clamp(min=1e-9).log(), _STEEP)

    both = set(first.outputs) & set(second.outputs)
    relative = torch.empty(0)
    if "depth" in both:
        relative = (_flat(second.depth) / _flat(first.depth) - 1).abs()[inside]
    same_face = inside
    if "face_index" in both:
        same_face = inside & (_flat(first.face_index) == _flat(second.face_index))

    def most(output: str, difference: Callable[[Tensor, Tensor], Tensor], where: Tensor) -> float:
        if output not in both or not bool(where.any()):
            return math.nan
        a, b = (_flat(rendering.as_dict()[output]).double() for rendering in (first, second))
        return float(difference(a, b)[where[:, 0]].quantile(0.99))

    return Parity(
        coverage=float(torch.minimum(covered.float().mean((1, 2, 3)), other.float().mean((1, 2, 3))).min()),
        differing=int(differs.sum()) / max(1, int((covered & silhouette).sum())),
        far_differing=int((differs & ~silhouette).sum()),
        inside=float(inside.sum() / covered.sum().clamp(min=1)),
        depth=float(relative.max()) if len(relative) else math.nan,
        mean_depth=float(relative.mean()),
        normal_degrees=most("normal", degrees_between, inside),
        rgb=most("rgb", _largest, inside),
        other_face=1 - float(same_face.sum() / inside.sum()) if "face_index" in both else math.nan,
        barycentric=most("barycentric", _largest, same_face),
    )


def edges(rendering: Rendering, steep: float = _STEEP) -> Tensor:
    """``[views, 1, H, W]``: pixels that are covered by nothing, or are next to a silhouette or a jump of depth.

    Depth jumps where it changes by more than the share ``steep`` of it within three pixels.
    """
    covered, depth = _flat(rendering.alpha) > 0.5, _flat(rendering.depth)
    return ~covered | _varies(covered.float(), 0.5) | _varies(depth.clamp(min=1e-9).log(), steep)


def _largest(first: Tensor, second: Tensor) -> Tensor:
    """The largest difference of a channel."""
    return (first - second).abs().amax(1)


def degrees_between(first: Tensor, second: Tensor) -> Tensor:
    """Angles ``[..., H, W]`` between vectors ``[..., 3, H, W]``; exact for small ones, which the arc cosine is not."""
    cross = torch.linalg.cross(first, second, dim=-3).norm(dim=-3)
    return torch.atan2(cross, (first * second).sum(-3)).rad2deg()


def _flat(image: Tensor) -> Tensor:
    """``[N, C, H, W]``: all views in one row."""
    return image.flatten(0, -4) if image.dim() > 4 else image


def _varies(image: Tensor, threshold: float) -> Tensor:
    """Where values ``[N, 1, H, W]`` in a square of three pixels a side differ by more than ``threshold``."""
    padded = pad(image, (1, 1, 1, 1), mode="replicate")
    return max_pool2d(padded, 3, 1) + max_pool2d(-padded, 3, 1) > threshold
