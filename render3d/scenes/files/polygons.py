"""Polygons into triangles."""

import bisect
import heapq
from collections import deque
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Point = tuple[float, float]
Triangle = tuple[int, int, int]

_FLATTEST_TURN = 1e-6  # the sine of a turn to the right that is still taken for rounding
_MANY = 128  # from so many corners on, an index of them is quicker than looking at each
_SPREAD = np.array([int(f"{number:b}", 4) for number in range(1024)])
"""Numbers with a zero before each binary digit, so that the digits of two can be interleaved."""


@np.errstate(over="ignore", invalid="ignore")
def triangulate(vertices: Floats, indices: Integers, sizes: Integers) -> tuple[Integers, Integers]:
    """Cut polygons into triangles that cover them and keep their winding.

    A convex polygon becomes a fan. From others ears are cut (Meisters 1975, "Polygons have ears") in the plane they
    mostly lie in, since a fan would cover what lies outside them. A polygon may touch itself, as one does whose holes
    are joined to its outline by bridges. One that crosses itself is covered somehow: no rule says what lies inside. A
    polygon of N corners becomes N - 2 triangles, of which some have no area where corners coincide.

    Args:
        vertices: ``[V, 3]``.
        indices: ``[sum of sizes]`` of vertices, those of one polygon after those of another. Polygons with an index out
            of range become fans.
        sizes: ``[P]``, how many corners each polygon has: three or more.

    Returns:
        ``[F, 3]`` places of corners in ``indices``, and ``[F]`` which polygon they are of, in order.
    """
    padded = np.concatenate([vertices, np.full((1, 3), np.nan)])
    starts = np.cumsum(sizes) - sizes
    triangles, owners = [np.zeros((0, 3), dtype=np.int64)], [np.zeros(0, dtype=np.int64)]
    for size in np.unique(sizes).tolist():
        same_size = np.flatnonzero(sizes == size)
        corner = np.arange(1, size - 1)
        cuts = np.tile(np.stack([np.zeros_like(corner), corner, corner + 1], -1), (len(same_size), 1, 1))
        if size > 3:
            own = indices[starts[same_size][:, None] + np.arange(size)]
            inside = (own >= 0) & (own < len(vertices))
            flat, turns_right = _flatten(padded[np.where(inside, own, -1)])
            if size == 4:  # a fan from the corner that is not convex covers no more than the polygon
                cuts = (cuts + turns_right.argmax(1)[:, None, None]) % 4
            else:
                for row in np.flatnonzero(turns_right.any(1)).tolist():
                    cuts[row] = _cut_ears(flat[row])
        triangles.append((starts[same_size][:, None, None] + cuts).reshape(-1, 3))
        owners.append(np.repeat(same_size, size - 2))
    owner = np.concatenate(owners)
    order = np.argsort(owner, kind="stable")
    return np.concatenate(triangles)[order], owner[order]


def _flatten(points: Floats) -> tuple[Floats, NDArray[np.bool_]]:
    """Return polygons ``[P, N, 3]`` seen along the axis their normal mostly has, and which corners turn right.

    Seen so, they are counter-clockwise: what turns right is not convex.
    """
    centred = points - points[:, :1]
    normal = np.cross(centred, np.roll(centred, -1, axis=1)).sum(1)  # Newell: twice the area
    axis = np.abs(normal).argmax(1)
    side = np.sign(np.take_along_axis(normal, axis[:, None], 1))
    x = np.take_along_axis(centred, ((axis + 1) % 3)[:, None, None], 2)[..., 0]
    y = np.take_along_axis(centred, ((axis + 2) % 3)[:, None, None], 2)[..., 0] * side
    flat = np.stack([x, y], -1)
    edge = np.roll(flat, -1, axis=1) - flat
    following = np.roll(edge, -1, axis=1)
    turns = edge[..., 0] * following[..., 1] - edge[..., 1] * following[..., 0]
    lengths = np.hypot(edge[..., 0], edge[..., 1])
    rounding = _FLATTEST_TURN * lengths * np.roll(lengths, -1, axis=1)
    turns_back = (np.abs(turns) <= rounding) & ((edge * following).sum(-1) <= 0)  # or a corner stands twice
    turns_right = (turns < -rounding) | turns_back
    return flat, np.roll(turns_right, 1, axis=1)


def _cut_ears(flat: Floats) -> list[Triangle]:
    """Triangles of one polygon ``[N, 2]``.

    Cutting an ear changes no corners but its two neighbours, so only these are looked at again. Were they looked at
    first, the triangles would become a fan of slivers; they are last in the queue.
    """
    points: list[Point] = [(x, y) for x, y in flat.tolist()]
    count = len(points)
    before, after = [count - 1, *range(count - 1)], [*range(1, count), 0]
    blockers = _SortedBlockers(flat) if count >= _MANY else _Blockers(points)
    waiting: deque[Triangle] = deque()
    refused: list[tuple[float, Triangle]] = []

    def look_at(corner: int) -> None:
        triangle = before[corner], corner, after[corner]
        blockers.set(corner, blocks=_turn(points, triangle) <= 0)
        waiting.append(triangle)

    for corner in range(count):
        look_at(corner)
    cut: list[Triangle] = []
    while len(cut) < count - 2:
        # Without an ear, a polygon crosses itself or has no area left: the corner that covers least is cut then.
        is_new = bool(waiting)
        triangle = waiting.popleft() if is_new else heapq.heappop(refused)[1]
        a, b, c = triangle
        if after[a] != b or after[b] != c:  # one of them is cut already
            continue
        if is_new and ((turn := _turn(points, triangle)) <= 0 or blockers.any_in(triangle)):
            heapq.heappush(refused, (abs(turn), triangle))
            continue
        cut.append(triangle)
        after[a], before[c] = c, a
        after[b] = -1
        blockers.set(b, blocks=False)
        look_at(a)
        look_at(c)
    return cut


def _turn(points: list[Point], triangle: Triangle) -> float:
    """Twice the area of a triangle, negative where it turns to the right."""
    (ax, ay), (bx, by), (cx, cy) = (points[corner] for corner in triangle)
    return (bx - ax) * (cy - ay) - (by - ay) * (cx - ax)


def _holds(a: Point, b: Point, c: Point, x: Any, y: Any) -> Any:
    """Whether a triangle holds a point, or each of many, that is none of its corners; NaN is nowhere."""
    (ax, ay), (bx, by), (cx, cy) = a, b, c
    return (
        ((bx - ax) * (y - ay) - (by - ay) * (x - ax) >= 0)
        & ((cx - bx) * (y - by) - (cy - by) * (x - bx) >= 0)
        & ((ax - cx) * (y - cy) - (ay - cy) * (x - cx) >= 0)
        & ((x != ax) | (y != ay))
        & ((x != bx) | (y != by))
        & ((x != cx) | (y != cy))
    )


@final
class _Blockers:
    """The corners of a small polygon that are not convex: an ear holds none of them."""

    def __init__(self, points: list[Point]) -> None:
        self._points = points
        self._blocking: set[int] = set()

    def set(self, corner: int, *, blocks: bool) -> None:
        (self._blocking.add if blocks else self._blocking.discard)(corner)

    def any_in(self, triangle: Triangle) -> bool:
        a, b, c = (self._points[corner] for corner in triangle)
        return any(_holds(a, b, c, *self._points[corner]) for corner in self._blocking)


@final
class _SortedBlockers:
    """Those of a large polygon, sorted along a curve through the plane (Morton 1966).

    The digits of x and y, interleaved, are a point's position along it. It never falls as x and y grow: points of a
    rectangle stand between its lowest corner and its highest.
    """

    def __init__(self, flat: Floats) -> None:
        low = flat.min(0)
        cells = _SPREAD[((flat - low) / np.ptp(flat, axis=0).clip(np.finfo(float).tiny) * 1023).astype(int)]
        keys = cells[:, 0] | cells[:, 1] << 1
        order = np.argsort(keys, kind="stable")
        self._points: list[Point] = [(x, y) for x, y in flat.tolist()]
        self._across, self._up = cells[:, 0].tolist(), (cells[:, 1] << 1).tolist()
        self._keys = keys[order].tolist()
        self._place = np.argsort(order).tolist()
        self._x = np.full(len(flat), np.nan)
        self._y = np.full(len(flat), np.nan)

    def set(self, corner: int, *, blocks: bool) -> None:
        place = self._place[corner]
        self._x[place], self._y[place] = self._points[corner] if blocks else (np.nan, np.nan)

    def any_in(self, triangle: Triangle) -> bool:
        across, up = ([cells[corner] for corner in triangle] for cells in (self._across, self._up))
        start = bisect.bisect_left(self._keys, min(across) | min(up))
        stop = bisect.bisect_right(self._keys, max(across) | max(up))
        a, b, c = (self._points[corner] for corner in triangle)
        return bool(_holds(a, b, c, self._x[start:stop], self._y[start:stop]).any())
