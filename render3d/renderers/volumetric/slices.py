"""Slices of a volume: its values on planes across its axes."""

from collections.abc import Sequence
from itertools import groupby
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from render3d.renderers.volumetric.planes import Planes


class Cut(NamedTuple):
    """Planes across an axis, 0 is x, of one volume of several."""

    volume: int
    axis: int
    planes: Planes


def slices_of(values: Tensor, cuts: Sequence[Cut]) -> tuple[Tensor, ...]:
    """``[K, C, A + 2, B + 2]`` for each cut of ``values`` ``[M, C, D, H, W]``, with a voxel more on each side.

    A and B are what is left of (D, H, W) without the axis. Beyond the border, the density is zero, and colours are
    those of the border. Cuts come in the order of the volumes, and all at once, since the backward pass then fills one
    gradient, in one go.
    """
    slices: tuple[Tensor, ...] = _Slices.apply(values, cuts)  # type: ignore[no-untyped-call]
    return slices


def padded(values: Tensor) -> Tensor:
    """``[..., C, D + 2, H + 2, W + 2]``: a voxel more on each side, without density, of the colour of its neighbour."""
    grown: Tensor = _Padded.apply(values)  # type: ignore[no-untyped-call]
    return grown


class _Padded(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:
        return _grow(values)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        return _shrink(grad.clone() if grad.shape[-4] > 1 else grad)


class _Slices(torch.autograd.Function):
    """Written out, since autograd would fill a whole gradient for every step on the way to every cut."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, cuts: Sequence[Cut]) -> tuple[Tensor, ...]:
        ctx.cuts, ctx.shape = cuts, values.shape
        ctx.set_materialize_grads(False)
        found = []
        for volume, own in groupby(cuts, lambda cut: cut.volume):
            grown = _grow(values[volume])
            for _, axis, planes in own:
                across = grown.movedim(3 - axis, 0)
                slices = across.new_empty(len(planes.place), *across.shape[1:])
                for stride in planes.strides:
                    torch.lerp(across[stride.below], across[stride.above], stride.share, out=slices[stride.planes])
                found.append(slices)
        return tuple(found)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor | None) -> tuple[Tensor | None, None]:
        given = [(cut, grad) for cut, grad in zip(ctx.cuts, grads, strict=True) if grad is not None]
        if not given:
            return None, None
        _, channels, *size = ctx.shape
        values = given[0][1].new_zeros(ctx.shape)
        grown = values.new_empty(channels, *(cells + 2 for cells in size))
        for volume, own in groupby(given, lambda pair: pair[0].volume):
            grown.zero_()
            for cut, grad in own:
                across = grown.movedim(3 - cut.axis, 0)
                for stride in cut.planes.strides:
                    across[stride.below].add_(grad[stride.planes], alpha=1 - stride.share)
                    across[stride.above].add_(grad[stride.planes], alpha=stride.share)
            values[volume] = _shrink(grown)
        return values, None


def _grow(values: Tensor) -> Tensor:
    *more, depth, height, width = values.shape
    grown = values.new_zeros(*more, depth + 2, height + 2, width + 2)
    _inner(grown).copy_(values)
    for edge, neighbour in _faces(grown):
        edge.copy_(neighbour)
    return grown


def _shrink(grad: Tensor) -> Tensor:
    """The gradient of what was grown, given that of the result, which is written to."""
    for edge, neighbour in reversed(_faces(grad)):
        neighbour.add_(edge)
    return _inner(grad)


def _inner(grown: Tensor) -> Tensor:
    return grown[..., 1:-1, 1:-1, 1:-1]


def _faces(grown: Tensor) -> list[tuple[Tensor, Tensor]]:
    """Where colours go on beyond the border: each face with its neighbour, which earlier ones may reach into."""
    colors = grown[..., 1:, :, :, :]
    if colors.shape[-4] == 0:
        return []
    ends = ((0, 1), (-1, -2))
    return [(colors.select(dim, edge), colors.select(dim, next_to)) for dim in (-3, -2, -1) for edge, next_to in ends]
