"""Polygons into triangles."""

import itertools

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Point = tuple[float, float]


def triangulate(vertices: Floats, indices: Integers, sizes: Integers) -> tuple[Integers, Integers]:
    """Triangles that cover polygons and keep their winding.

    A convex polygon becomes a fan. From others ears are cut (Meisters 1975) in the plane they mostly lie in, since a
    fan would cover what lies outside them.

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
        fan = np.array([(0, corner, corner + 1) for corner in range(1, size - 1)])
        cuts = np.tile(fan, (len(same_size), 1, 1))
        if size > 3:
            own = indices[starts[same_size][:, None] + np.arange(size)]
            inside = (own >= 0) & (own < len(vertices))
            flat, concave = _flatten(padded[np.where(inside, own, -1)])
            for row in np.flatnonzero(concave).tolist():
                cuts[row] = _cut_ears([(x, y) for x, y in flat[row].tolist()])
        triangles.append((starts[same_size][:, None, None] + cuts).reshape(-1, 3))
        owners.append(np.repeat(same_size, size - 2))
    owner = np.concatenate(owners)
    order = np.argsort(owner, kind="stable")
    return np.concatenate(triangles)[order], owner[order]


def _flatten(points: Floats) -> tuple[Floats, NDArray[np.bool_]]:
    """Polygons ``[P, N, 3]`` seen along the axis their normal mostly has, counter-clockwise, and which are concave."""
    centred = points - points[:, :1]
    normal = np.cross(centred, np.roll(centred, -1, axis=1)).sum(1)  # Newell: twice the area
    axis = np.abs(normal).argmax(1)
    doubled_area = np.take_along_axis(normal, axis[:, None], 1)
    x = np.take_along_axis(centred, ((axis + 1) % 3)[:, None, None], 2)[..., 0]
    y = np.take_along_axis(centred, ((axis + 2) % 3)[:, None, None], 2)[..., 0] * np.sign(doubled_area)
    flat = np.stack([x, y], -1)
    edge = np.roll(flat, -1, axis=1) - flat
    following = np.roll(edge, -1, axis=1)
    turns = edge[..., 0] * following[..., 1] - edge[..., 1] * following[..., 0]
    return flat, turns.min(1) < -1e-6 * np.abs(doubled_area[:, 0])


def _cut_ears(points: list[Point]) -> list[tuple[int, int, int]]:
    left = list(range(len(points)))
    triangles = []
    start = 0
    while len(left) > 3:
        # Corners before the last ear were none a moment ago, so they are tried last.
        positions = itertools.chain(range(start, len(left)), range(start))
        # A polygon that crosses itself may have no ear; cutting any corner then goes on.
        position = next((position for position in positions if _is_ear(points, left, position)), 0)
        start = max(position - 1, 0)
        triangles.append((left[position - 1], left[position], left[(position + 1) % len(left)]))
        del left[position]
    return [*triangles, (left[0], left[1], left[2])]


def _is_ear(points: list[Point], left: list[int], position: int) -> bool:
    """Whether the corner is convex and its triangle holds no other point."""
    a, b, c = (points[left[(position + step) % len(left)]] for step in (-1, 0, 1))
    (ax, ay), (bx, by), (cx, cy) = a, b, c
    if (bx - ax) * (cy - ay) - (by - ay) * (cx - ax) <= 0:
        return False
    for index in left:
        x, y = point = points[index]
        # On the inner side of each edge; written out, for large polygons have millions of such tests.
        if (
            (bx - ax) * (y - ay) - (by - ay) * (x - ax) >= 0
            and (cx - bx) * (y - by) - (cy - by) * (x - bx) >= 0
            and (ax - cx) * (y - cy) - (ay - cy) * (x - cx) >= 0
            and point not in (a, b, c)
        ):
            return False
    return True
