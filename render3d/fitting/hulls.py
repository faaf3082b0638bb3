"""Hulls: the largest shape that silhouettes allow, and the smallest convex one round it."""

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from render3d.errors import FitError
from render3d.fitting.spheres import enclosing_sphere
from render3d.scenes import Mesh
from render3d.view_sets import ViewSet


def visual_hull(views: ViewSet, *, resolution: int = 96) -> Mesh:
    """The largest shape that agrees with all silhouettes, as the surface of little cubes.

    A cube stays if its centre falls on the silhouette in every view (Laurentini, "The visual hull concept for
    silhouette-based image understanding", PAMI 1994, by carving). What lies outside an image is not on its silhouette,
    unless the silhouette is cut off by the border: then nobody knows, and that view has no say.

    Args:
        views: Views of one object.
        resolution: Cubes along the longest side of the result.

    Raises:
        FitError: Nothing is left: the silhouettes contradict one another, or the shape is thinner than a cube.
    """
    sphere = enclosing_sphere(views)
    low, high = (torch.tensor(sphere.center) + side * 1.5 * sphere.radius for side in (-1, 1))
    # A coarse pass finds the box; what it misses at the border is caught by the margin of one cube.
    for count in (48, resolution):
        size = float((high - low).max()) / count
        occupied = _carve(views, low, size, ((high - low) / size).ceil().int().tolist())
        if not bool(occupied.any()):
            raise FitError(
                "The visual hull is empty: no point lies on the silhouette in every view. Check the poses and masks."
            )
        cells = occupied.nonzero()
        low, high, corner = low + size * (cells.amin(0) - 1), low + size * (cells.amax(0) + 2), low
    return _surface(occupied.numpy(), corner, size)


def _carve(views: ViewSet, low: Tensor, size: float, shape: list[int]) -> Tensor:
    """Which cubes ``[X, Y, Z]`` remain, bool."""
    centers = torch.cartesian_prod(*(low[axis] + size * (torch.arange(shape[axis]) + 0.5) for axis in range(3)))
    height, width = views.cameras.image_size
    left = torch.ones(len(centers), dtype=torch.bool)
    for view, mask in enumerate(views.alpha[:, 0] > 0.5):
        cut_off = bool(mask[[0, -1]].any() or mask[:, [0, -1]].any())
        alive = left.nonzero()[:, 0]
        camera = views.cameras[view : view + 1]
        points = camera.to_camera_space(centers[alive])
        column, row = camera.to_pixels(points)[0].floor().unbind(-1)
        inside = (points[0, :, 2] > 0) & (column >= 0) & (column < width) & (row >= 0) & (row < height)
        left[alive[~inside]] = cut_off
        left[alive[inside]] = mask[row[inside].long(), column[inside].long()]
    return left.reshape(shape)


def _surface(occupied: npt.NDArray[np.bool_], corner: Tensor, size: float) -> Mesh:
    """The faces between what is occupied and what is not, two triangles each, seen from outside counter-clockwise."""
    solid = np.pad(occupied, 1).astype(np.int8)
    quads = []
    for axis in range(3):
        change = np.diff(solid, axis=axis)
        first, second = np.eye(3, dtype=int)[[(axis + 1) % 3, (axis + 2) % 3]]
        outline = np.array([0 * first, first, first + second, second])
        # Where the solid ends the normal points along the axis, and where it begins, against it.
        for sign, turn in ((-1, outline), (1, outline[::-1])):
            cells = np.argwhere(change == sign)
            # The pad moved all cells by one, and a change at i stands before cell i + 1 of its axis.
            base = cells - 1 + np.eye(3, dtype=int)[axis]
            quads.append(base[:, None] + turn)
    corners, index = np.unique(np.concatenate(quads).reshape(-1, 3), axis=0, return_inverse=True)
    quad = index.reshape(-1, 4)
    faces = np.concatenate([quad[:, [0, 1, 2]], quad[:, [0, 2, 3]]])
    return Mesh(torch.from_numpy(corners).float() * size + corner, torch.from_numpy(faces))


def convex_hull(mesh: Mesh) -> Mesh:
    """The convex hull of the vertices of one mesh."""
    import trimesh

    hull = trimesh.convex.convex_hull(mesh.vertices.detach().cpu().double().numpy())
    return Mesh(torch.tensor(hull.vertices, dtype=torch.float32), torch.tensor(hull.faces))
