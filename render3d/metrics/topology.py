"""Of which topology a surface is, and whether it passes through itself."""

import dataclasses
from collections.abc import Iterator
from typing import final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from render3d.errors import ShapeError
from render3d.scenes import Mesh
from render3d.scenes.topology import edges_of, parts_of

_Integers = NDArray[np.int64]
_Floats = NDArray[np.float64]

_PORTION = 8192  # edges that are compared at once


@final
@dataclasses.dataclass(frozen=True, kw_only=True)
class MeshTopology:
    """Of which topology a mesh is. Vertices at one position count as one, so that seams of textures tear nothing.

    Attributes:
        euler_number: Vertices less edges plus faces: of a closed surface in one piece, 2 less 2 for each handle, so 2
            for a ball and 0 for a cup with one handle.
        components: Pieces that share no vertex.
        crossing_faces: Faces that pass through others; see `crossing_faces`.
    """

    euler_number: int
    components: int
    crossing_faces: int


def mesh_topology(mesh: Mesh) -> MeshTopology:
    """Return the Euler number, the number of components, and the number of faces that pass through others.

    Args:
        mesh: One mesh, no batch. Vertices of no face do not count.

    Raises:
        ShapeError: A batch.
    """
    mesh = _one(mesh)
    faces = mesh.faces[(mesh.faces != mesh.faces[:, [1, 2, 0]]).all(1)]  # others are lines, or points, once merged
    of_face, _ = parts_of(faces, len(mesh.vertices))
    return MeshTopology(
        euler_number=len(torch.unique(faces)) - len(edges_of(faces).ends) + len(faces),
        components=len(torch.unique(of_face)),
        crossing_faces=int(crossing_faces(mesh).sum()),
    )


def crossing_faces(mesh: Mesh) -> Tensor:
    """Find the faces that pass through others: an edge of one pierces the inside of the other.

    Two triangles in general position meet if and only if an edge of one pierces the other. Edges that have a vertex in
    common with the other face do not count, so neighbours count only if they meet elsewhere too. Faces that touch, or
    lie in one plane, do not pass through each other. Signs are computed in float64. An edge that passes exactly through
    another edge or a vertex is not found.

    Args:
        mesh: One mesh, no batch. Vertices at one position count as one.

    Returns:
        ``[F]`` bool.

    Raises:
        ShapeError: A batch.
    """
    mesh = _one(mesh)
    vertices, faces = mesh.vertices.cpu().double().numpy(), mesh.faces.cpu().numpy()
    table = edges_of(mesh.faces)
    ends = table.ends.cpu().numpy()
    crossing = torch.zeros(len(faces), dtype=torch.bool)
    if not len(faces):
        return crossing
    pierces = np.zeros(len(ends), bool)
    for edge, face in _Boxes(vertices[faces]).overlapping(vertices[ends]):
        apart = (ends[edge][:, :, None] != faces[face][:, None]).all((1, 2))
        hit = apart.nonzero()[0]  # most boxes that overlap are those of neighbours
        hit = hit[_pierced(vertices[ends[edge[hit]]], vertices[faces[face[hit]]])]
        pierces[edge[hit]] = True
        crossing[torch.from_numpy(face[hit])] = True
    return crossing | torch.from_numpy(pierces)[table.of_side.cpu()].reshape(-1, 3).any(1)


def _one(mesh: Mesh) -> Mesh:
    if mesh.batch_shape:
        raise ShapeError(f"mesh must be one mesh; got a batch of shape {list(mesh.batch_shape)}. Index it.")
    return Mesh(mesh.vertices.detach(), mesh.faces).merged()


def _pierced(segments: _Floats, triangles: _Floats) -> NDArray[np.bool_]:
    """Whether segments ``[N, 2, 3]`` pierce the inside of triangles ``[N, 3, 3]``.

    The ends lie on both sides of the plane, and the line passes all three sides on the same hand: signs of volumes of
    tetrahedra, as in Segura and Feito, "Algorithms to test ray-triangle intersection", WSCG 2001.
    """
    start, end = segments[:, 0], segments[:, 1]
    a, b, c = np.moveaxis(triangles - start[:, None], 1, 0)  # near the origin, where products are most exact
    direction = end - start
    hands = np.sign([np.einsum("ni,ni->n", direction, np.cross(p, q)) for p, q in ((a, b), (b, c), (c, a))])
    normal = np.cross(b - a, c - a)
    before, after = np.einsum("ni,ni->n", normal, a), np.einsum("ni,ni->n", normal, a - direction)
    crosses: NDArray[np.bool_] = (np.abs(hands.sum(0)) == 3) & (before * after < 0)
    return crosses


class _Boxes:
    """A tree of boxes round triangles ``[F, 3, 3]``: each holds two of the level below.

    Triangles are in the order of Morton's curve, so that neighbours share boxes.
    """

    def __init__(self, triangles: _Floats) -> None:
        self.order = _curve(triangles.mean(1))
        depth = max(1, (len(triangles) - 1).bit_length())
        low, high = np.full((2**depth, 3), np.inf), np.full((2**depth, 3), -np.inf)
        low[: len(triangles)], high[: len(triangles)] = triangles[self.order].min(1), triangles[self.order].max(1)
        self.levels = [(low, high)]
        while len(low) > 1:
            low, high = low.reshape(-1, 2, 3).min(1), high.reshape(-1, 2, 3).max(1)
            self.levels.insert(0, (low, high))

    def overlapping(self, segments: _Floats) -> Iterator[tuple[_Integers, _Integers]]:
        """Yield segments ``[S, 2, 3]`` and triangles whose boxes overlap, by their numbers, in portions."""
        least, most = segments.min(1), segments.max(1)
        for first in range(0, len(segments), _PORTION):
            segment = np.arange(first, min(first + _PORTION, len(segments)), dtype=np.int64)
            box = np.zeros_like(segment)
            for low, high in self.levels[1:]:
                segment, box = segment.repeat(2), np.stack([2 * box, 2 * box + 1], 1).reshape(-1)
                meet = ((least[segment] <= high[box]) & (low[box] <= most[segment])).all(1)
                segment, box = segment[meet], box[meet]
            yield segment, self.order[box]


def _curve(points: _Floats) -> _Integers:
    """The order of points ``[N, 3]`` along Morton's curve of 1024 cells a side."""
    low, high = points.min(0), points.max(0)
    cells = ((points - low) / np.maximum(high - low, 1e-30).max() * 1023).astype(np.int64)
    bits = [((cells[:, axis] >> bit) & 1) << (3 * bit + axis) for bit in range(10) for axis in range(3)]
    return np.argsort(np.sum(bits, 0), kind="stable")
