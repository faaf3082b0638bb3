"""Which voxels a triangle touches.

The test is by separating axes: Akenine-Moeller, "Fast 3D triangle-box overlap testing", 2001. Only the few voxels near
the plane of a triangle are tested: those of each column along the axis to which the plane is most square.
"""

import numpy as np
from numpy.typing import NDArray

from render3d.scenes.voxels.spans import Integers, chunks, spread

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

_COLUMNS_AT_ONCE = 1 << 16
# Triangles of a smaller height, as a share of their length, have a normal that rounding may have turned.
_THIN = 1e-6
# What rounding may do to a sum of a few products of float64 numbers, as a share of the largest.
_ROUNDING = 1e-14


def surface_voxels(corners: Floats, size: int) -> Mask:
    """The voxels whose closed cube a triangle touches, to the rounding of float64.

    Args:
        corners: ``[F, 3, 3]``, the corners (x, y, z) of triangles in voxels: voxel i reaches from i - 0.5 to i + 0.5.
        size: Voxels along each axis.

    Returns:
        ``[size, size, size]``, axes (z, y, x).
    """
    touched = np.zeros((size, size, size), dtype=np.bool_)
    inside = ((corners.max(1) >= -0.5) & (corners.min(1) <= size - 0.5)).all(1)
    corners = corners[inside]
    normals = _normals(corners)
    main = np.abs(normals).argmax(1)
    for depth in range(3):  # axes in the cyclic order that ends with the main one
        order = [(depth + 1) % 3, (depth + 2) % 3, depth]
        chosen = main == depth
        view = touched.transpose([2 - axis for axis in order])
        _mark(view, corners[chosen][..., order], normals[chosen][:, order])
    return touched


def _normals(corners: Floats) -> Floats:
    """``[F, 3]``: of a plane in which the triangle lies but for its height, if it is thin; never zero."""
    edges = np.roll(corners, -1, axis=1) - corners
    normals: Floats = np.cross(edges[:, 0], edges[:, 1])
    lengths = np.abs(edges).max(2)
    thin = np.abs(normals).max(1) <= _THIN * lengths.max(1) ** 2
    longest = edges[thin, lengths[thin].argmax(1)]
    normals[thin] = np.cross(longest, np.eye(3)[np.abs(longest).argmin(1)])
    normals[~normals.any(1)] = (0.0, 0.0, 1.0)  # all three corners in one place
    return normals


def _mark(touched: Mask, corners: Floats, normals: Floats) -> None:
    """Mark what triangles touch in ``touched``, whose last axis is the main one of their ``normals``."""
    size = len(touched)
    low = np.clip(np.ceil(corners.min(1) - 0.5), 0, size - 1).astype(np.int64)
    high = np.clip(np.floor(corners.max(1) + 0.5), 0, size - 1).astype(np.int64)
    for part in chunks((high - low + 1)[:, :2].prod(1), _COLUMNS_AT_ONCE):
        triangle, voxels = _near(corners[part], normals[part], low[part], high[part])
        hit = _touches(corners[part][triangle] - voxels[:, None])
        touched[tuple(voxels[hit].T)] = True


def _near(corners: Floats, normals: Floats, low: Integers, high: Integers) -> tuple[Integers, Integers]:
    """Voxels between ``low`` and ``high`` that the planes of the triangles may touch: the triangle and ``[N, 3]``."""
    across = high[:, :2] - low[:, :2] + 1
    triangle, number = spread(across.prod(1))
    columns = low[triangle, :2] + np.stack(np.divmod(number, across[triangle, 1]), axis=1)
    slopes = -normals[:, :2] / normals[:, 2:]  # at most 1
    slack = 0.01 + 10 * _THIN * np.ptp(corners, axis=1).max(1)
    reach = (0.5 + np.abs(slopes).sum(1) / 2 + slack)[triangle]
    height = corners[triangle, 0, 2] + (slopes[triangle] * (columns - corners[triangle, 0, :2])).sum(1)
    first = np.maximum(np.ceil(height - reach), low[triangle, 2])
    last = np.minimum(np.floor(height + reach), high[triangle, 2])
    column, number = spread(np.maximum(last - first + 1, 0).astype(np.int64))
    depth = first[column].astype(np.int64) + number
    return triangle[column], np.column_stack([columns[column], depth])


def _touches(corners: Floats) -> Mask:
    """Whether triangles ``[N, 3, 3]`` touch the unit cube round the origin, if their bounding boxes do."""
    edges = np.roll(corners, -1, axis=1) - corners
    length = np.abs(edges).max((1, 2))
    slack = _ROUNDING * length * (length + 1)
    normals = np.cross(edges[:, 0], edges[:, 1])
    distance = np.abs((normals * corners[:, 0]).sum(1))
    touches: Mask = distance <= np.abs(normals).sum(1) / 2 + slack * (length + 1)
    for edge in np.moveaxis(edges, 1, 0):
        for a, b in ((0, 1), (1, 2), (2, 0)):
            # Along the axis square to this edge and to a side of the cube.
            along = corners[:, :, b] * edge[:, None, a] - corners[:, :, a] * edge[:, None, b]
            half = (np.abs(edge[:, a]) + np.abs(edge[:, b])) / 2 + slack
            touches &= (along.min(1) <= half) & (along.max(1) >= -half)
    return touches
