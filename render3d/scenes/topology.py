"""Edges, neighbours and closedness of a mesh: what its faces alone decide, remembered while they live."""

import functools
from collections.abc import Callable
from typing import Concatenate, NamedTuple, ParamSpec, TypeVar, cast

import numpy as np
import torch
from torch import Tensor
from torch.utils.weak import WeakTensorKeyDictionary

P = ParamSpec("P")
T = TypeVar("T")


def remembered(function: Callable[Concatenate[Tensor, P], T]) -> Callable[Concatenate[Tensor, P], T]:
    """Remember the last answer for a tensor while it lives and is not changed."""
    known: WeakTensorKeyDictionary = WeakTensorKeyDictionary()

    @functools.wraps(function)
    def recall(faces: Tensor, /, *more: P.args, **named: P.kwargs) -> T:
        if faces.is_inference():  # such tensors count no changes
            return function(faces, *more, **named)
        asked = (faces._version, more, named)
        answer = known.get(faces)  # type: ignore[no-untyped-call]
        if answer is None or answer[0] != asked:
            answer = known[faces] = (asked, function(faces.detach(), *more, **named))
        return cast(T, answer[1])

    return recall


class EdgeTable(NamedTuple):
    """The edges of triangles ``[F, 3]``, and which sides lie on them.

    Attributes:
        ends: ``[E, 2]`` int64: each edge once, smaller index first, in sorted order.
        sides: ``[3 F, 2]``: side ``3 f + k`` runs from corner k of face f to the next one.
        of_side: ``[3 F]`` int64: the edge of each side.
    """

    ends: Tensor
    sides: Tensor
    of_side: Tensor

    @property
    def uses(self) -> Tensor:
        """``[E]`` int64: how many sides lie on each edge."""
        return torch.bincount(self.of_side, minlength=len(self.ends))

    @property
    def pairs(self) -> Tensor:
        """``[P, 2]`` int64: the sides on every edge that has exactly two, in the order of the edges."""
        uses = self.uses
        first = (uses.cumsum(0) - uses)[uses == 2]
        return self.of_side.argsort(stable=True)[torch.stack([first, first + 1], dim=-1)]


@remembered
def edges_of(faces: Tensor) -> EdgeTable:
    """Return the edges of ``faces`` ``[F, 3]``."""
    sides = faces[:, [[0, 1], [1, 2], [2, 0]]].reshape(-1, 2)
    count = int(faces.max()) + 1 if len(faces) else 1
    first, second = sides.unbind(-1)  # minima of two columns are quicker than those along rows
    codes = torch.minimum(first, second) * count + torch.maximum(first, second)
    keys, of_side = torch.unique(codes, return_inverse=True)
    return EdgeTable(torch.stack([keys // count, keys % count], dim=-1), sides, of_side)


def face_pairs(faces: Tensor) -> Tensor:
    """``[P, 2]`` int64: the faces on both sides of every edge that belongs to exactly two of ``faces`` ``[F, 3]``."""
    return edges_of(faces).pairs // 3


@remembered
def is_closed(faces: Tensor) -> bool:
    """Whether every edge of ``faces`` ``[F, 3]`` is used as often in one direction as in the other.

    Such a surface has no border, wherever its vertices are. Any line then crosses as many front as back faces, so
    drawing the front faces alone covers exactly the same pixels.
    """
    ends, sides, of_side = edges_of(faces)
    sign = (sides[:, 1] - sides[:, 0]).sign()
    return not bool(torch.zeros_like(ends[:, 0]).index_add(0, of_side, sign).any())


def parts_of(faces: Tensor, vertices: int) -> tuple[Tensor, int]:
    """``[F]`` int64: which part of the surface each face belongs to, from 0, and how many parts there are.

    Parts share no vertex; vertices of no face are parts as well.
    """
    import scipy.sparse

    first, second = edges_of(faces.cpu()).ends.numpy().T
    graph = scipy.sparse.coo_array((np.ones(len(first), bool), (first, second)), shape=(vertices, vertices))
    count, of_vertex = scipy.sparse.csgraph.connected_components(graph, directed=False)
    return torch.from_numpy(of_vertex).long().to(faces.device)[faces[:, 0]], int(count)


class Split(NamedTuple):
    """The vertices of a mesh with one texture coordinate each: those on seams come once for each that they have.

    Attributes:
        faces: ``[F, 3]`` int64, indices of the split vertices; the faces and their corners are in the same order.
        of_vertices: ``[V']`` int64: which vertex each is, in order.
        of_uv: ``[V']`` int64: which row of the texture coordinates each has.
    """

    faces: Tensor
    of_vertices: Tensor
    of_uv: Tensor


def split_at_seams(faces: Tensor, uv_faces: Tensor) -> Split:
    """Return the split vertices of ``faces`` whose corners take the rows ``uv_faces``, both ``[F, 3]``, from 0."""
    return _splits_of(faces)(uv_faces)


@remembered
def _splits_of(faces: Tensor) -> Callable[[Tensor], Split]:
    @remembered
    def split(uv_faces: Tensor) -> Split:
        count = int(uv_faces.max()) + 1 if len(uv_faces) else 1
        keys, of_corners = torch.unique(faces * count + uv_faces, return_inverse=True)
        return Split(of_corners, keys // count, keys % count)

    return split


@remembered
def neighbours(faces: Tensor, vertices: int) -> tuple[Tensor, Tensor]:
    """``[V, R]`` int64: each vertex, then those it shares a face with, then itself again; and which are not that."""
    itself = torch.arange(vertices, device=faces.device)
    first, second = faces.repeat_interleave(3, 1).reshape(-1), faces.repeat(1, 3).reshape(-1)
    pairs = torch.unique(torch.stack([first, second])[:, first != second], dim=1)
    count = torch.bincount(pairs[0], minlength=vertices)
    start = count.cumsum(0) - count
    column = torch.arange(pairs.shape[1], device=faces.device) - start[pairs[0]] + 1
    table = itself[:, None].repeat(1, 1 + int(count.max()) if len(faces) else 1)
    table[pairs[0], column] = pairs[1]
    real = torch.arange(table.shape[1], device=faces.device) <= count[:, None]
    return table, real
