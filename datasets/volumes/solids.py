"""Solids as tests of points, and the voxels they fill.

A solid says which of the points ``[N, 3]`` float64 lie in it. Points are in object coordinates, in voxels: the axes are
those of the world (x right, y up, z towards the viewer) before the object is turned, and the origin is the middle of
the solid's bounding box. The axes of pyramid, cylinder and capsule are y.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from render3d.datasets.volumes.poses import Pose

Points = npt.NDArray[np.float64]
Inside = npt.NDArray[np.bool_]
Solid = Callable[[Points], Inside]


def within(coordinates: npt.NDArray[np.float64], side: float) -> Inside:
    """Which coordinates are in an interval round 0, without its upper end: so whole sides hold as many voxels."""
    return _as_mask((coordinates >= -side / 2) & (coordinates < side / 2))


def in_cube(points: Points, side: float) -> Inside:
    """Which points lie in a cube."""
    x, y, z = points.T
    return within(x, side) & within(y, side) & within(z, side)


def in_ellipsoid(points: Points, diameters: tuple[float, float, float]) -> Inside:
    """Which points lie in an ellipsoid of these diameters along x, y and z."""
    x, y, z = (axis / (diameter / 2) for axis, diameter in zip(points.T, diameters, strict=True))
    return _as_mask(x**2 + y**2 + z**2 <= 1)


def in_pyramid(points: Points, base: float, height: float) -> Inside:
    """Which points lie in a pyramid on a square of side ``base``, its tip above the middle of it."""
    x, y, z = points.T
    half_width = base / 2 * (height / 2 - y) / height
    return _as_mask(within(y, height) & (np.maximum(np.abs(x), np.abs(z)) <= half_width))


def in_cylinder(points: Points, diameter: float, height: float) -> Inside:
    """Which points lie in a cylinder."""
    x, y, z = points.T
    return _as_mask((x**2 + z**2 <= (diameter / 2) ** 2) & within(y, height))


def in_capsule(points: Points, diameter: float, length: float) -> Inside:
    """Which points lie in a cylinder with half a sphere on each end, ``length`` from tip to tip."""
    x, y, z = points.T
    beyond = np.maximum(np.abs(y) - (length - diameter) / 2, 0)
    return _as_mask(x**2 + beyond**2 + z**2 <= (diameter / 2) ** 2)


def in_wire_cube(points: Points, side: float, thickness: float) -> Inside:
    """Which points lie in the twelve edges of a cube, square bars of this thickness that lie inside it."""
    x, y, z = (~within(axis, side - 2 * thickness) for axis in points.T)  # where a face is near, along each axis
    return in_cube(points, side) & (x & y | y & z | z & x)


def _as_mask(values: Any) -> Inside:
    return np.asarray(values, dtype=np.bool_)


def fill(solid: Solid, pose: Pose, size: int, reach: float) -> Inside:
    """``[size, size, size]``, axes (z, y, x): the voxels whose centres lie in the solid.

    Args:
        solid: Which points it holds.
        pose: Where it is. What sticks out of the grid is cut off.
        size: Voxels along each side of the grid.
        reach: How far from its origin the solid goes at most, voxels. Only voxels that near are tested.
    """
    voxels = np.zeros((size, size, size), dtype=np.bool_)
    ranges = [_voxels_within(reach, float(centre), size) for centre in pose.centre]
    dx, dy, dz = (np.arange(*ends) + 0.5 - centre for ends, centre in zip(ranges, pose.centre, strict=True))
    # The inverse of a rotation is its transpose: object coordinate k of an offset d is the sum of R[j, k] d[j].
    along_x, along_y, along_z = pose.rotation[:, :, None, None, None]
    points = along_x * dx + along_y * dy[:, None] + along_z * dz[:, None, None]
    inside = solid(points.reshape(3, -1).T).reshape(points.shape[1:])
    voxels[tuple(slice(*ends) for ends in reversed(ranges))] = inside
    return voxels


def _voxels_within(reach: float, centre: float, size: int) -> tuple[int, int]:
    """The first and the last but one voxel along an axis whose centres are within ``reach``."""
    first = math.ceil(centre - reach - 0.5)
    last = math.floor(centre + reach - 0.5)
    return min(max(first, 0), size), min(max(last + 1, 0), size)
