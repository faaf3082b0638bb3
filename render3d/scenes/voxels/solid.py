"""Which voxel centres lie inside a mesh, by the parity of crossings along the three axes.

Nooruddin and Turk, "Simplification and repair of polygonal models using volumetric techniques", TVCG 2003.

Along each axis the triangles are drawn, as on a screen, onto the lines through the voxel centres. Each is filled row by
row between the points where two of its edges cross the row. Such a point is computed from the edge alone, lower end
first, so that it comes out the same, to the last bit, for both triangles of the edge. Therefore a line through an edge
or a vertex meets just one of the triangles around it, whatever is rounded, and a closed mesh is closed on every line.
"""

import numpy as np
from numpy.typing import NDArray

from render3d.scenes.voxels.spans import Integers, chunks, spread

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

_COLUMNS_AT_ONCE = 1 << 18


def solid_voxels(corners: Floats, size: int) -> Mask:
    """The voxels whose centre is inside, by two axes of three.

    A centre on a face that is square to an axis is inside where the solid lies above it, and outside where it lies
    below: of boxes that share a face, just one has it.

    Args:
        corners: ``[F, 3, 3]``, the corners (x, y, z) of triangles in voxels: voxel i has its centre at i.
        size: Voxels along each axis.

    Returns:
        ``[size, size, size]``, axes (z, y, x).
    """
    votes = np.zeros((size, size, size), dtype=np.uint8)
    for column, row, depth in ((1, 2, 0), (0, 2, 1), (0, 1, 2)):
        inside = _inside_along_last(corners[..., [column, row, depth]], size)
        votes += inside.transpose([(row, column, depth).index(axis) for axis in (2, 1, 0)])
    return votes >= 2


def _inside_along_last(corners: Floats, size: int) -> NDArray[np.uint8]:
    """1 where the number of crossings below is odd: ``[row, column, depth]``, for corners (column, row, depth)."""
    crossings = np.zeros(size**3, dtype=np.uint8)  # counts wrap at 256, which leaves their parity
    boxes = np.clip(np.ptp(corners[..., :2], axis=1) + 1, 1, size).prod(1).astype(np.int64)
    for part in chunks(boxes, _COLUMNS_AT_ONCE):
        np.add.at(crossings, _crossings(corners[part], size), 1)
    below = crossings.reshape(size, size, size)
    odd: NDArray[np.uint8] = np.cumsum(below, axis=-1, dtype=np.uint8, out=below)
    odd &= 1
    return odd


def _crossings(corners: Floats, size: int) -> Integers:
    """Where lines cross triangles: the flat index [row, column, depth] of the first voxel centre at or beyond."""
    rows, left, right = _spans(corners, size)
    first, after = _whole(left[:, 0], size), _whole(right[:, 0], size)
    span, number = spread(after - first)
    columns = first[span] + number
    left, right = left[span], right[span]
    share = (columns - left[:, 0]) / (right[:, 0] - left[:, 0])
    depth = _whole(left[:, 1] + share * (right[:, 1] - left[:, 1]), size)
    within = depth < size
    flat: Integers = ((rows[span] * size + columns) * size + depth)[within]
    return flat


def _spans(corners: Floats, size: int) -> tuple[Integers, Floats, Floats]:
    """The rows of each triangle, and where each begins and ends: ``[R]``, ``[R, 2]`` and ``[R, 2]`` (column, depth)."""
    first, after = _whole(corners[..., 1].min(1), size), _whole(corners[..., 1].max(1), size)
    triangle, number = spread(after - first)
    rows = first[triangle] + number
    ends = np.stack([corners, np.roll(corners, -1, axis=1)], axis=2)  # [F, edge, end, 3]
    downward = ends[:, :, :1, 1:2] > ends[:, :, 1:, 1:2]
    ends = np.where(downward, ends[:, :, ::-1], ends)[triangle]
    # Half-open, so that a row through a vertex crosses just two edges of each triangle.
    crossed = (ends[:, :, 0, 1] <= rows[:, None]) & (rows[:, None] < ends[:, :, 1, 1])
    low, high = np.moveaxis(ends[crossed].reshape(-1, 2, 2, 3), 2, 0)  # [R, 2 crossed edges, 3]
    share = (rows[:, None] - low[..., 1]) / (high[..., 1] - low[..., 1])
    points = (low + share[..., None] * (high - low))[..., [0, 2]]
    leftward = (points[:, 0, 0] > points[:, 1, 0])[:, None]
    return rows, np.where(leftward, points[:, 1], points[:, 0]), np.where(leftward, points[:, 0], points[:, 1])


def _whole(coordinate: Floats, size: int) -> Integers:
    """The first voxel centre at or beyond a coordinate, from 0 to ``size``, which means none."""
    whole: Integers = np.clip(np.ceil(coordinate), 0, size).astype(np.int64)
    return whole
