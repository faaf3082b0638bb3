"""What rays meet on planes across a grid: where the planes stand, and what is absorbed at each."""

import functools
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable


class Rule(NamedTuple):
    """How many planes stand in a voxel, and where the first one stands, as a share of the way between two."""

    per_voxel: float
    offset: float


AT_CENTRES = Rule(1.0, 0.0)


def evenly(per_voxel: float) -> Rule:
    """Evenly spaced, and shifted so that errors at kinks of the interpolation average out along a ray.

    A ray crosses kinks, where it goes sideways into the next voxel, anywhere between two slices. A plane at u between
    them, from 0 to 1, is then wrong by ``(u - 1/2)^2 - 1/12`` of the kink on average. Half way all are wrong to the
    same side; at ``1/2 + 1/sqrt(12)`` to neither, as with several planes in a voxel if the first stands at that share
    of the way to the second. What the shift itself does cancels between where a ray enters matter and where it leaves.
    """
    return Rule(per_voxel, 0.5 + 1 / math.sqrt(12))


class Planes(NamedTuple):
    """Where planes stand along an axis, in voxels from one before the first centre: there, values begin to rise."""

    place: Tensor  # [K], ascending
    share: float  # the part of a voxel that each stands for, half before it and half behind

    def parts(self, sizes: Sequence[int]) -> list["Planes"]:
        """So many each, in order."""
        return [Planes(place, self.share) for place in torch.split(self.place, list(sizes))]


@functools.lru_cache(maxsize=32)
def planes_of(voxels: int, rule: Rule, dtype: torch.dtype, device: torch.device) -> Planes:
    """All that stand before the place ``voxels + 1``, where values have fallen again."""
    count = math.ceil((voxels + 1) * rule.per_voxel - rule.offset)
    return Planes((torch.arange(count, dtype=dtype, device=device) + rule.offset) / rule.per_voxel, 1 / rule.per_voxel)


class Crossings(NamedTuple):
    """What P rays meet on K planes, in the order in which they meet them.

    ``density`` is ``[K, P]``, per unit length, and falls to zero outside the grid. ``colors`` are ``[K, C, P]``, those
    of the border where density falls. ``first`` and ``step`` ``[P]`` are distances along the ray, in scene units: of
    place 0, and of one voxel. ``along`` ``[P]`` is depth (camera z) per distance. ``visible`` ``[K, P]`` is the share
    of each plane's part that lies between near and far; None where that is all.
    """

    density: Tensor
    colors: Tensor | None
    planes: Planes
    first: Tensor
    step: Tensor
    along: Tensor
    visible: Tensor | None

    def optical_depth(self) -> Tensor:
        """``[P]``: the integral of the density."""
        density = self.density if self.visible is None else self.density * self.visible
        return density.sum(0) * (self.planes.share * self.step)

    def weights(self) -> Tensor:
        """``[K, P]``: the share of the light that is absorbed at each plane, as seen from the camera."""
        depth = self.density * (self.planes.share * self.step)
        if self.visible is not None:
            depth = depth * self.visible
        weights: Tensor = _Absorption.apply(depth)  # type: ignore[no-untyped-call]
        return weights

    def mean_depth(self, weights: Tensor) -> Tensor:
        """``[P]``: the sum of camera z at every crossing, weighted by ``weights`` ``[K, P]``."""
        return (self.first * weights.sum(0) + self.step * (self.planes.place @ weights)) * self.along


class _Absorption(torch.autograd.Function):
    """From optical depths ``[K, P]`` to the share of the light that is absorbed at each.

    Behind plane k ``T_k = exp(-sum_{j <= k} d_j)`` is left, so that plane k absorbs ``w_k = T_{k-1} - T_k``.
    ``dw_k / dd_j`` is ``-w_k`` for planes behind j and ``T_j`` for j itself, so that the backward pass is one
    cumulative sum, where autograd would take four passes more.
    """

    @staticmethod
    def forward(ctx: Any, depth: Tensor) -> Tensor:
        left = torch.exp(-depth.cumsum(0))
        weights = left.neg()
        weights[1:] += left[:-1]
        weights[0] += 1
        ctx.save_for_backward(weights, left)
        return weights

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        weights, left = ctx.saved_tensors
        lost = (weights * grad).cumsum(0)
        return torch.addcmul(lost - lost[-1], grad, left)


def between(slices: Tensor, planes: Planes) -> Tensor:
    """The slices ``[K, C, A, B]`` at the planes, from those at the centres ``[n + 2, C, A, B]``."""
    blended: Tensor = _Between.apply(slices, planes.place)  # type: ignore[no-untyped-call]
    return blended


class _Between(torch.autograd.Function):
    """Slices at places ``[K]`` between those that are given, which stand at 0, 1 and so on.

    Written out, its backward pass takes half the passes over memory that autograd's takes.
    """

    @staticmethod
    def forward(ctx: Any, slices: Tensor, places: Tensor) -> Tensor:
        below = places.long()
        ctx.below, ctx.shares, ctx.shape = below, (places - below)[:, None, None, None], slices.shape
        return slices.index_select(0, below).lerp_(slices.index_select(0, below + 1), ctx.shares)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        above = grad * ctx.shares
        slices = grad.new_zeros(ctx.shape).index_add_(0, ctx.below, grad - above)
        return slices.index_add_(0, ctx.below + 1, above), None
