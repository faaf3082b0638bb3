"""Lists of unequal length as flat arrays, which numpy works on at once."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

Integers = NDArray[np.int64]


def spread(counts: Integers) -> tuple[Integers, Integers]:
    """Of ``counts[i]`` entries for each owner i: the owner of each entry, and its number among those of its owner."""
    owners = np.repeat(np.arange(len(counts)), counts)
    firsts = np.cumsum(counts) - counts
    return owners, np.arange(len(owners)) - firsts[owners]


def chunks(counts: Integers, limit: int) -> Iterator[slice]:
    """Slices of consecutive owners with ``limit`` entries at most, or of one owner that has more by itself."""
    ends = np.cumsum(counts)
    start = 0
    while start < len(counts):
        before = ends[start - 1] if start else 0
        stop = max(start + 1, int(np.searchsorted(ends, before + limit, side="right")))
        yield slice(start, stop)
        start = stop
