"""From meshes to volumes and back: `Volume.from_mesh` and `Volume.to_mesh`."""

import math
from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from render3d.errors import MeshError, VolumeError
from render3d.scenes.mesh import Mesh
from render3d.scenes.voxels import Kind
from render3d.scenes.voxels.solid import solid_voxels
from render3d.scenes.voxels.surface import surface_voxels

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

_LARGEST = 2048
_SMALLEST_EXTENT = 1e-30
# Coordinates of so many voxels, float64 holds no better than to a voxel.
_TOO_FAR = 2.0**52
# As a share of the way from the level to 0 or 1: far enough for float32, and too little to be seen.
_OFF_LEVEL = 1e-3


def voxelize(mesh: Mesh, resolution: int, kind: Kind, extent: float | None) -> tuple[Tensor, float]:
    """The occupancy ``[*batch, D, H, W]``, bool, and the extent of the cube; see `Volume.from_mesh`."""
    _check_arguments(resolution, kind, extent)
    if mesh.batch_shape.numel() == 0:
        raise MeshError(f"There is no mesh to voxelise; got {mesh}.")
    mesh.check_values()
    faces = mesh.faces.cpu().numpy()
    positions = mesh.vertices.detach().cpu().double().reshape(-1, *mesh.vertices.shape[-2:]).numpy()
    if extent is None:
        extent = _least_extent(float(np.abs(positions[:, faces]).max()), resolution)
    if not _SMALLEST_EXTENT <= extent <= 1 / _SMALLEST_EXTENT:
        raise VolumeError(
            f"float32 holds no densities in a cube of extent {extent:.3g}. Scale the mesh: mesh.normalized()."
        )
    grids = np.stack([_occupied(element[faces], resolution, kind, extent) for element in positions])
    return torch.from_numpy(grids).reshape(*mesh.batch_shape, *grids.shape[1:]).to(mesh.device), extent


def _check_arguments(resolution: int, kind: Kind, extent: float | None) -> None:
    if not isinstance(resolution, int) or isinstance(resolution, bool) or not 1 <= resolution <= _LARGEST:
        raise VolumeError(f"resolution must be a whole number of voxels from 1 to {_LARGEST}; got {resolution!r}.")
    if kind not in _VOXELS:
        raise VolumeError(f"kind must be one of {', '.join(_VOXELS)}; got {kind!r}.")
    if extent is not None and not (math.isfinite(extent) and extent > 0):
        raise VolumeError(f"extent must be positive and finite, half the side of the cube; got {extent}.")


def _least_extent(reach: float, resolution: int) -> float:
    """Half the side of the cube that holds coordinates up to ``reach`` and a voxel more on each side."""
    if resolution < 3:
        raise VolumeError(
            f"resolution must be at least 3 for a margin of one voxel on each side; got {resolution}. Pass extent for "
            "a cube without one."
        )
    if reach == 0:
        raise VolumeError("All vertices lie at the origin, so no cube fits them. Pass extent.")
    return reach * resolution / (resolution - 2)


def _occupied(triangles: Floats, size: int, kind: Kind, extent: float) -> Mask:
    """``[size, size, size]``, axes (z, y, x), of triangles ``[F, 3, 3]`` in the world."""
    with np.errstate(over="ignore", invalid="ignore"):
        corners = triangles * (size / (2 * extent)) + (size - 1) / 2
    if not np.abs(corners).max() < _TOO_FAR:
        raise VolumeError(f"The mesh is over 10^15 voxels wide in a cube of extent {extent}. Pass a larger extent.")
    grid = _VOXELS[kind](corners, size)
    if grid.any():
        return grid
    low, high = triangles.min((0, 1)), triangles.max((0, 1))
    if (low > extent).any() or (high < -extent).any() or kind != "solid":
        raise VolumeError(
            f"No {'part' if kind == 'solid' else 'face'} of the mesh lies in the cube of extent {extent}: it reaches "
            f"from {low.tolist()} to {high.tolist()}. Pass a larger extent, or mesh.normalized()."
        )
    raise VolumeError(
        f"The mesh holds no centre of a voxel at resolution {size}: it is thinner than a voxel, or not closed. Pass a "
        'higher resolution, or kind="filled".'
    )


def _filled_voxels(corners: Floats, size: int) -> Mask:
    # What a surface encloses can only be told from the whole of it, so all is filled before it is cut off.
    beyond = max(0.0, float(np.abs(corners - (size - 1) / 2).max()) - size / 2)
    margin = math.ceil(beyond)
    if size + 2 * margin > _LARGEST:
        raise VolumeError(
            f'The mesh is {size + 2 * margin} voxels wide, the cube {size}, and kind="filled" needs the whole of it, '
            f"{_LARGEST} at most. Pass a larger extent or a lower resolution."
        )
    from scipy import ndimage  # takes a third of a second to import

    whole = ndimage.binary_fill_holes(surface_voxels(corners + margin, size + 2 * margin))
    filled: Mask = whole[(slice(margin, margin + size),) * 3]
    return filled


_VOXELS: dict[Kind, Callable[[Floats, int], Mask]] = {
    "solid": solid_voxels,
    "surface": surface_voxels,
    "filled": _filled_voxels,
}


def surface(occupied: Tensor, colors: Tensor | None, extent: float, level: float) -> Mesh:
    """See `Volume.to_mesh`.

    Args:
        occupied: ``[D, H, W]``.
        colors: ``[3, D, H, W]`` or None.
        extent: Half the side of the cube.
        level: Of occupancy.
    """
    from skimage.measure import marching_cubes  # takes half a second to import

    if not 0 < level < 1:
        raise VolumeError(f"level must be an occupancy between 0 and 1; got {level}.")
    occupancy = occupied.cpu().double().numpy()
    if not occupancy.max() > level:
        raise VolumeError(
            f"No voxel is occupied by more than the level, {level}; the most is {occupancy.max():.3g}. Lower the level."
        )
    padded = np.pad(_off_level(occupancy, level), 1)
    # The default method, Lewiner's, leaves edges open in noise of two values whose mean is the level.
    places, faces, _, _ = marching_cubes(padded, level, method="lorensen")  # type: ignore[no-untyped-call]
    places = places.astype(np.float64) - 1  # the padding; (z, y, x) in voxels
    sides = 2 * extent / np.array(occupancy.shape)
    vertices = ((places + 0.5) * sides - extent)[:, ::-1]
    found = Mesh(
        vertices=_float32(vertices),
        faces=torch.from_numpy(faces.astype(np.int64)),
        colors=None if colors is None else _colors_at(colors, places),
    )
    return found.to(occupied.device)


def _off_level(occupancy: Floats, level: float) -> Floats:
    """The occupancy with voxels at the level moved off it, where corners of the surface would fall together."""
    least = _OFF_LEVEL * min(level, 1 - level)
    moved = np.where(occupancy > level, level + least, level - least)
    return np.where(np.abs(occupancy - level) < least, moved, occupancy)


def _colors_at(colors: Tensor, places: Floats) -> Tensor:
    """``[N, 3]``: colours ``[3, D, H, W]`` at ``places`` ``[N, 3]`` (z, y, x) in voxels, interpolated linearly."""
    from scipy import ndimage

    channels = colors.detach().cpu().float().numpy()
    found = [ndimage.map_coordinates(channel, places.T, order=1, mode="nearest") for channel in channels]
    return _float32(np.stack(found, axis=1))


def _float32(values: NDArray[np.floating]) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(values, dtype=np.float32))
