"""The six kinds of solids of Primitives as meshes, and what their sides are.

Object axes are those of `render3d.datasets.volumes.solids`: y is the axis of pyramid, cylinder and capsule.
"""

import colorsys
import functools
from typing import NamedTuple, final

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from render3d.scenes import Mesh

_SECTIONS = 16  # round the axis; a multiple of four, so that edges run between octants
_RINGS = 4  # from the pole to the equator

Points = npt.NDArray[np.float64]


@final
class SolidMesh(NamedTuple):
    """One kind of solid of diameter 1 about the origin, for any diameters: all of a kind have the same faces.

    Attributes:
        vertices: ``[V, 3]`` float64.
        faces: ``[F, 3]``, counter-clockwise when seen from outside.
        sides: ``[F]``: the number of the side that a face is part of.
        ends: ``[V]``: -1, 0 or 1: where a capsule grows when it becomes longer than wide. 0 in all other kinds.
    """

    vertices: Points
    faces: npt.NDArray[np.int64]
    sides: npt.NDArray[np.int64]
    ends: Points

    def sized(self, diameters: Points) -> Points:
        """``[N, V, 3]``: vertices for diameters ``[N, 3]`` along x, y and z."""
        if not self.ends.any():
            return self.vertices * diameters[:, None]
        width, length = diameters[:, None, :1], diameters[:, None, 1:2]
        grown = self.ends[:, None] * (length - width) / 2 * np.array([0.0, 1.0, 0.0])
        sized: Points = self.vertices * width + grown
        return sized


@functools.cache
def solid_mesh(kind: str) -> SolidMesh:
    """One of `render3d.datasets.Primitives`' classes."""
    match kind:
        case "cube":
            return _cube()
        case "pyramid":
            return _pyramid()
        case "cylinder":
            return _cylinder()
        case "capsule":
            return _capsule()
        case _:
            return _ball()


def side_colors(label: int, kinds: int, sides: int) -> Tensor:
    """``[sides, 3]`` float32, linear light: a hue for each side, and none that another kind has.

    The paper says no more than that each side has a solid colour of its own. Hues are evenly spaced; every second side
    is darker, so that neighbours differ in more than hue; and kinds differ a little in hues and saturation.
    """
    hues, saturation = [(side + label / kinds) / sides for side in range(sides)], 0.95 - 0.3 * label / kinds
    values = [0.95 - 0.35 * (side % 2) for side in range(sides)]
    return torch.tensor([colorsys.hsv_to_rgb(hue, saturation, value) for hue, value in zip(hues, values, strict=True)])


def colored(kind: str, label: int, kinds: int, vertices: Tensor) -> Mesh:
    """Solids of one kind with vertices ``[*batch, V, 3]``, each side in its colour."""
    solid = solid_mesh(kind)
    colors = side_colors(label, kinds, int(solid.sides.max()) + 1)[torch.from_numpy(solid.sides)]
    return Mesh(vertices, torch.from_numpy(solid.faces), face_colors=colors.to(vertices))


def _cube() -> SolidMesh:
    import trimesh

    cube = trimesh.creation.box((1.0, 1.0, 1.0))
    normals = np.round(cube.face_normals).astype(np.int64)  # one of them is 1 or -1
    sides = 2 * np.abs(normals).argmax(1) + (normals.sum(1) > 0)
    return _solid(cube.vertices, cube.faces, sides)


def _pyramid() -> SolidMesh:
    base = [(-1, -1, -1), (1, -1, -1), (1, -1, 1), (-1, -1, 1)]
    faces = [(0, 1, 2), (0, 2, 3), (1, 0, 4), (2, 1, 4), (3, 2, 4), (0, 3, 4)]
    return _solid(np.array([*base, (0, 1, 0)]) / 2, np.array(faces), np.array([0, 0, 1, 2, 3, 4]))


def _cylinder() -> SolidMesh:
    vertices, faces = _turned(np.array([0.0, 0.5, 0.5, 0.0]), np.array([-0.5, -0.5, 0.5, 0.5]))
    x, y, z = vertices[faces].mean(1).T
    quadrant = 2 * (x > 0) + (z > 0)
    return _solid(vertices, faces, np.where(np.abs(y) > 0.49, 4 + (y > 0), quadrant))


def _ball() -> SolidMesh:
    angles = np.linspace(-np.pi / 2, np.pi / 2, 2 * _RINGS + 1)
    vertices, faces = _turned(np.cos(angles) / 2, np.sin(angles) / 2)
    return _solid(vertices, faces, _octants(vertices, faces))


def _capsule() -> SolidMesh:
    angles = np.linspace(0, np.pi / 2, _RINGS + 1)
    radii, heights = np.cos(angles) / 2, np.sin(angles) / 2 + 1.0  # the middle ring apart from both others
    vertices, faces = _turned(
        np.concatenate([radii[::-1], [0.5], radii]), np.concatenate([-heights[::-1], [0.0], heights])
    )
    ends = np.sign(np.round(vertices[:, 1], 6))
    sides = _octants(vertices, faces)
    return _solid(vertices - ends[:, None] * np.array([0.0, 1.0, 0.0]), faces, sides)._replace(ends=ends)


def _octants(vertices: Points, faces: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    octants: npt.NDArray[np.int64] = (vertices[faces].mean(1) > 0) @ np.array([1, 2, 4])
    return octants


def _turned(radii: Points, heights: Points) -> tuple[Points, npt.NDArray[np.int64]]:
    """A profile, from below, turned about the y axis."""
    import trimesh

    made = trimesh.creation.revolve(np.stack([np.round(radii, 12), heights], axis=1), sections=_SECTIONS)
    x, y, z = made.vertices.T
    return np.stack([x, z, -y], axis=1), made.faces


def _solid(vertices: Points, faces: npt.NDArray[np.int64], sides: npt.NDArray[np.int64]) -> SolidMesh:
    return SolidMesh(
        np.asarray(vertices, np.float64), np.asarray(faces, np.int64), sides.astype(np.int64), np.zeros(len(vertices))
    )
