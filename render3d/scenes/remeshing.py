"""Isotropic remeshing: the same surface in triangles that are nearly regular and nearly of one size.

Source: Botsch and Kobbelt, "A remeshing approach to multiresolution modeling", SGP 2004: long edges are split, short
ones collapse, flips bring vertices to six neighbours, and vertices move along the surface. As in Palfinger, "Continuous
remeshing for inverse rendering", 2022, each operation is done at once wherever it does not meet another.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from render3d.errors import ShapeError
from render3d.scenes.mesh import Mesh

_Floats = npt.NDArray[np.float64]
_Ints = npt.NDArray[np.int64]
_Bools = npt.NDArray[np.bool_]

_LONGEST, _SHORTEST = (
    4 / 3,
    4 / 5,
)  # of the length that is asked for: Botsch and Kobbelt's, so that halves are not short
_PASSES = 8  # over the edges that are short or wait for a flip, as those that meet a better one wait for the next
_LEAST_COSINE = 0.2  # between the normals of a triangle before and after: no triangle folds over
_SMOOTHING = 0.5  # of the way to the middle of the neighbours


def remeshed(mesh: Mesh, edge: float, *, iterations: int = 5) -> Mesh:
    """Return the surface of ``mesh`` in triangles whose sides are about ``edge`` long.

    Holes, handles and parts stay as they are, but for parts smaller than a few triangles. Edges that belong to one
    face, or to more than two, stay where they are, and so do their ends. Not differentiable.

    Args:
        mesh: One mesh; colours and textures are left out.
        edge: Length, scene units, positive.
        iterations: Rounds of splits, collapses, flips and moves. Vertices move along the surface, not back onto it, so
            each round rounds off sharp edges a little.

    Raises:
        ShapeError: A batch of meshes.
        ValueError: An ``edge`` that is not positive.
    """
    if mesh.batch_shape:
        raise ShapeError(f"mesh must be one mesh; got a batch of shape {list(mesh.batch_shape)}. Index it.")
    if not edge > 0:
        raise ValueError(f"edge must be a positive length; got {edge}.")
    surface = _Surface(mesh.vertices.detach().cpu().double().numpy(), mesh.faces.cpu().numpy())
    for _ in range(iterations):
        surface = _split_long(surface, _LONGEST * edge)
        surface = _collapse_short(surface, _SHORTEST * edge, _LONGEST * edge)
        surface = _flip(surface)
        surface = _moved_along(surface)
    used, faces = np.unique(surface.faces, return_inverse=True)
    vertices = torch.from_numpy(surface.vertices[used]).to(mesh.vertices)
    return Mesh(vertices, torch.from_numpy(faces.reshape(-1, 3)).to(mesh.faces))


class _Surface(NamedTuple):
    vertices: _Floats  # [V, 3]; some may belong to no face
    faces: _Ints  # [F, 3]

    @property
    def normals(self) -> _Floats:
        """``[F, 3]``, as long as twice the area."""
        return _normals(self.vertices[self.faces])


class _Edges(NamedTuple):
    """The edges of faces ``[F, 3]``; side ``3 f + k`` runs from corner k of face f to the next."""

    ends: _Ints  # [E, 2], smaller index first
    of_side: _Ints  # [3 F]: the edge of each side
    sides: _Ints  # [E, 2]: both sides of an inner edge
    inner: _Bools  # [E]: whether the edge belongs to two faces, which run along it in opposite directions
    fixed: _Bools  # [V]: whether a vertex is the end of an edge that is not inner


def _edges_of(surface: _Surface) -> _Edges:
    first = surface.faces.reshape(-1)
    second = surface.faces[:, [1, 2, 0]].reshape(-1)
    count = len(surface.vertices)
    code = np.minimum(first, second) * count + np.maximum(first, second)
    keys, begin, of_side, uses = np.unique(code, return_index=True, return_inverse=True, return_counts=True)
    last = np.empty_like(begin)
    last[of_side] = np.arange(len(of_side))  # of several writes the last one stays
    ends = np.stack([keys // count, keys % count], axis=1)
    inner = (uses == 2) & (first[begin] != first[last])
    fixed = np.zeros(count, bool)
    fixed[ends[~inner]] = True
    return _Edges(ends, of_side, np.stack([begin, last], axis=1), inner, fixed)


def _split_long(surface: _Surface, longest: float) -> _Surface:
    """Halve edges until none is longer than ``longest``; a face is cut along all its halved edges at once."""
    while True:
        edges = _edges_of(surface)
        long = _lengths(surface, edges) > longest
        if not long.any():
            return surface
        middle = surface.vertices[edges.ends[long]].mean(1)
        number = np.full(len(long), -1)
        number[long] = len(surface.vertices) + np.arange(len(middle))
        vertices = np.concatenate([surface.vertices, middle])
        surface = _Surface(vertices, _cut(vertices, surface.faces, number[edges.of_side].reshape(-1, 3)))


def _cut(vertices: _Floats, faces: _Ints, middles: _Ints) -> _Ints:
    """Cut faces at the new vertices ``middles`` [F, 3] of their sides, -1 where there is none."""
    count = (middles >= 0).sum(1)
    # Turned so that with one new vertex it is on the first side, and with two on the first and the second.
    turn = np.where(count == 1, (middles >= 0).argmax(1), np.where(count == 2, ((middles < 0).argmax(1) + 1) % 3, 0))
    order = (turn[:, None] + np.arange(3)) % 3
    a, b, c = np.take_along_axis(faces, order, 1).T
    ab, bc, ca = np.take_along_axis(middles, order, 1).T

    def triangles(which: _Bools, *corners: tuple[_Ints, _Ints, _Ints]) -> list[_Ints]:
        return [np.stack([corner[which] for corner in three], axis=1) for three in corners]

    # Of a quadrangle the shorter diagonal is drawn.
    shorter = _distance(vertices, a, bc) < _distance(vertices, ab, c)
    return np.concatenate(
        [
            faces[count == 0],
            *triangles(count == 1, (a, ab, c), (ab, b, c)),
            *triangles(count == 2, (ab, b, bc)),
            *triangles((count == 2) & shorter, (a, ab, bc), (a, bc, c)),
            *triangles((count == 2) & ~shorter, (a, ab, c), (ab, bc, c)),
            *triangles(count == 3, (a, ab, ca), (ab, b, bc), (ca, bc, c), (ab, bc, ca)),
        ]
    )


def _collapse_short(surface: _Surface, shortest: float, longest: float) -> _Surface:
    """Pull edges shorter than ``shortest`` together to their middles, unless that folds, pinches or stretches."""
    for _ in range(_PASSES):
        edges = _edges_of(surface)
        length = _lengths(surface, edges)
        short = np.flatnonzero((length < shortest) & ~edges.fixed[edges.ends].any(1))
        short = short[_common_neighbours(edges, len(surface.vertices), edges.ends[short]) == 2]
        short = short[np.argsort(length[short], kind="stable")]
        chosen = edges.ends[short[_apart(edges.ends, edges.ends[short], len(surface.vertices))]]
        collapsed = _collapsed(surface, chosen)
        bad = _is_bad(surface, collapsed, chosen, longest)
        if bad.any():
            chosen = chosen[~bad]
            collapsed = _collapsed(surface, chosen)
        if not len(chosen):
            break
        gone = (collapsed.faces == collapsed.faces[:, [1, 2, 0]]).any(1)
        surface = _Surface(collapsed.vertices, collapsed.faces[~gone])
    return surface


def _collapsed(surface: _Surface, chosen: _Ints) -> _Surface:
    """Put both ends of each edge in its middle, as the first of them; some faces are then lines."""
    vertices, target = surface.vertices.copy(), np.arange(len(surface.vertices))
    vertices[chosen[:, 0]] = surface.vertices[chosen].mean(1)
    target[chosen[:, 1]] = chosen[:, 0]
    return _Surface(vertices, target[surface.faces])


def _is_bad(before: _Surface, after: _Surface, chosen: _Ints, longest: float) -> _Bools:
    """Which of the collapses ``chosen`` turn a face over, or make an edge longer than ``longest``."""
    owner = np.full(len(before.vertices), -1)
    owner[chosen] = np.arange(len(chosen))[:, None]
    face_owner = owner[before.faces].max(1)  # at most one: they are apart
    touched = np.flatnonzero(face_owner >= 0)
    touched = touched[(after.faces[touched] != after.faces[touched][:, [1, 2, 0]]).all(1)]
    old, new = before.vertices[before.faces[touched]], after.vertices[after.faces[touched]]
    folded = _cosine(_normals(old), _normals(new)) < _LEAST_COSINE
    stretched = (np.linalg.norm(new - new[:, [1, 2, 0]], axis=2) > longest).any(1)
    bad = np.zeros(len(chosen), bool)
    bad[face_owner[touched[folded | stretched]]] = True
    return bad


def _common_neighbours(edges: _Edges, count: int, ends: _Ints) -> _Ints:
    """How many vertices are neighbours of both ends; two, unless a collapse would pinch the surface."""
    import scipy.sparse

    pairs = np.concatenate([edges.ends, edges.ends[:, ::-1]])
    shape = (count, count)
    adjacent = scipy.sparse.csr_matrix((np.ones(len(pairs), np.int32), (pairs[:, 0], pairs[:, 1])), shape=shape)
    both = adjacent[ends[:, 0]].multiply(adjacent[ends[:, 1]])
    return np.asarray(both.sum(1), dtype=np.int64).reshape(-1)


def _apart(all_edges: _Ints, chosen: _Ints, count: int) -> _Bools:
    """Which of the edges ``chosen``, best first, share no face, nor neighbours' edges, with a better one."""
    rank = np.arange(len(chosen))
    at_vertex = np.full(count, len(chosen))
    np.minimum.at(at_vertex, chosen, rank[:, None])
    near = at_vertex.copy()
    np.minimum.at(near, all_edges, at_vertex[all_edges[:, ::-1]])
    return near[chosen].min(1) == rank if len(chosen) else np.zeros(0, bool)


def _flip(surface: _Surface) -> _Surface:
    """Turn edges to the other diagonal of their two faces where that brings four vertices nearer to six neighbours."""
    for _ in range(_PASSES):
        edges = _edges_of(surface)
        inner = np.flatnonzero(edges.inner)
        one, other = edges.sides[inner].T
        # Side one runs from a to b, and c is opposite; side other from b to a, and d is opposite.
        flat, after = surface.faces.reshape(-1), one // 3 * 3
        a, b, c = flat[one], flat[after + (one + 1) % 3], flat[after + (one + 2) % 3]
        d = flat[other // 3 * 3 + (other + 2) % 3]
        degree = np.bincount(edges.ends.reshape(-1), minlength=len(surface.vertices))
        goal = np.where(edges.fixed, 4, 6)

        def strain(vertex: _Ints, change: int, degree: _Ints = degree, goal: _Ints = goal) -> _Ints:
            return (degree[vertex] + change - goal[vertex]) ** 2 - (degree[vertex] - goal[vertex]) ** 2

        gain = -(strain(a, -1) + strain(b, -1) + strain(c, 1) + strain(d, 1))
        count = len(surface.vertices)
        known = np.minimum(c, d) * count + np.maximum(c, d)
        is_new = ~np.isin(known, edges.ends[:, 0] * count + edges.ends[:, 1]) & (c != d)
        wanted = np.flatnonzero((gain > 0) & is_new)
        wanted = wanted[_keeps_facing(surface.vertices, a[wanted], b[wanted], c[wanted], d[wanted])]
        wanted = wanted[np.argsort(-gain[wanted], kind="stable")]
        corners = np.stack([a, b, c, d], axis=1)[wanted]
        chosen = wanted[_first_at_all(corners, count)]
        if not len(chosen):
            break
        faces = surface.faces.copy()
        faces[one[chosen] // 3] = np.stack([a, d, c], axis=1)[chosen]
        faces[other[chosen] // 3] = np.stack([d, b, c], axis=1)[chosen]
        surface = _Surface(surface.vertices, faces)
    return surface


def _keeps_facing(vertices: _Floats, a: _Ints, b: _Ints, c: _Ints, d: _Ints) -> _Bools:
    """Whether the faces (a, d, c) and (d, b, c) face where (a, b, c) and (b, a, d) do together."""

    def normal(*corners: _Ints) -> _Floats:
        return _normals(vertices[np.stack(corners, axis=1)])

    before = normal(a, b, c) + normal(b, a, d)
    found = np.minimum(_cosine(before, normal(a, d, c)), _cosine(before, normal(d, b, c)))
    return np.asarray(found > _LEAST_COSINE)


def _first_at_all(corners: _Ints, count: int) -> _Bools:
    """Which rows of vertices are the first at each of their vertices."""
    rank = np.arange(len(corners))
    at_vertex = np.full(count, len(corners))
    np.minimum.at(at_vertex, corners, rank[:, None])
    return np.asarray((at_vertex[corners] == rank[:, None]).all(1))


def _moved_along(surface: _Surface) -> _Surface:
    """Move vertices towards the middle of their neighbours, within the plane across their normal."""
    edges = _edges_of(surface)
    vertices, count = surface.vertices, len(surface.vertices)
    total = np.zeros_like(vertices)
    for here, there in ((0, 1), (1, 0)):
        np.add.at(total, edges.ends[:, here], vertices[edges.ends[:, there]])
    degree = np.bincount(edges.ends.reshape(-1), minlength=count)
    normal = np.zeros_like(vertices)
    np.add.at(normal, surface.faces, surface.normals[:, None])
    normal /= np.linalg.norm(normal, axis=1, keepdims=True).clip(1e-30)
    move = total / degree.clip(1)[:, None] - vertices
    move -= (move * normal).sum(1, keepdims=True) * normal
    move[edges.fixed | (degree == 0)] = 0
    return _Surface(vertices + _SMOOTHING * move, surface.faces)


def _lengths(surface: _Surface, edges: _Edges) -> _Floats:
    return _distance(surface.vertices, edges.ends[:, 0], edges.ends[:, 1])


def _distance(vertices: _Floats, first: _Ints, second: _Ints) -> _Floats:
    return np.asarray(np.linalg.norm(vertices[first] - vertices[second], axis=1))


def _normals(corners: _Floats) -> _Floats:
    """``[F, 3]`` of triangles ``[F, 3, 3]``, as long as twice the area."""
    return np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])


def _cosine(first: _Floats, second: _Floats) -> _Floats:
    size = np.linalg.norm(first, axis=1) * np.linalg.norm(second, axis=1)
    return np.asarray((first * second).sum(1) / size.clip(1e-30))
