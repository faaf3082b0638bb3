"""Where the planes stand on which rays are sampled."""

import functools
import math
from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import NamedTuple

import torch
from torch import Tensor


class Rule(NamedTuple):
    """How many planes stand in a voxel, and where the first one stands, as a share of the way between two."""

    per_voxel: float
    offset: float


AT_CENTRES = Rule(1.0, 1.0)


def evenly(per_voxel: float) -> Rule:
    """Evenly spaced, and shifted so that errors at kinks of the interpolation average out along a ray.

    A ray crosses kinks, where it goes sideways into the next voxel, anywhere between two slices. A plane at u between
    them, from 0 to 1, is then wrong by ``(u - 1/2)^2 - 1/12`` of the kink on average. Half way all are wrong to the
    same side; at ``1/2 + 1/sqrt(12)`` to neither, as with several planes in a voxel if the first stands at that share
    of the way to the second. What the shift itself does cancels between where a ray enters matter and where it leaves.
    """
    return Rule(per_voxel, 0.5 + 1 / math.sqrt(12))


class Stride(NamedTuple):
    """Planes that stand equally far above a slice: ``planes``, the slices ``below`` and ``above`` them, how far."""

    planes: slice
    below: slice
    above: slice
    share: float


class Planes(NamedTuple):
    """Planes across an axis, in the order of the axis.

    Places are in voxels, counted in the direction of the rays, from one before the first centre: there, values begin
    to rise.
    """

    place: Tensor  # [K]
    share: float  # the part of a voxel that each stands for, half before it and half behind
    descending: bool  # whether the rays go against the axis: they meet the last plane first
    strides: tuple[Stride, ...]

    @property
    def front(self) -> Tensor:
        """The place that rays meet first."""
        return self.place[-1] if self.descending else self.place[0]

    @property
    def back(self) -> Tensor:
        """The place that rays meet last."""
        return self.place[0] if self.descending else self.place[-1]


@functools.lru_cache(maxsize=64)
def planes_of(
    voxels: int, rule: Rule, blocks: int, descending: bool, dtype: torch.dtype, device: torch.device
) -> tuple[Planes, ...]:
    """All that stand before the place ``voxels + 1``, where values have fallen again, in so many blocks at most."""
    count = math.ceil((voxels + 1) * rule.per_voxel - rule.offset)
    places = [(number + rule.offset) / rule.per_voxel for number in range(count)]
    ordered = places[::-1] if descending else places
    size = math.ceil(count / min(blocks, count))
    parts = [ordered[first : first + size] for first in range(0, count, size)]
    return tuple(
        Planes(
            torch.tensor(part, dtype=dtype, device=device),
            1 / rule.per_voxel,
            descending,
            tuple(_strides([voxels + 1 - place for place in part] if descending else part, Fraction(rule.per_voxel))),
        )
        for part in parts
    )


def _strides(places: Sequence[float], per_voxel: Fraction) -> Iterator[Stride]:
    """Of places along the axis, of which so many stand in a voxel."""
    every, slices = per_voxel.numerator, per_voxel.denominator
    for first in range(min(every, len(places))):
        below = int(places[first])
        end = below + slices * (len(places[first::every]) - 1) + 1
        planes, share = slice(first, None, every), places[first] - below
        yield Stride(planes, slice(below, end, slices), slice(below + 1, end + 1, slices), share)
