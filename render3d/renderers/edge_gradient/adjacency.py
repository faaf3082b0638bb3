"""Which faces of a mesh meet at each edge, remembered while its faces live."""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.utils.weak import WeakTensorKeyDictionary

from render3d.scenes.topology import edges_of


class Adjacency(NamedTuple):
    """Which faces of a mesh meet, where vertices in the same place count as one.

    Attributes:
        faces: ``[F, 3]``: each corner as the first of the vertices in its place.
        across: ``[3 F]`` int64: the side of another face in the place of each side, -1 at a border. If more than two
            faces meet at an edge, they follow one another round.
        same_way: ``[3 F]`` bool: whether that side runs the same way.
        in_twos: Whether no more than two faces meet at any edge.
    """

    faces: Tensor
    across: Tensor
    same_way: Tensor
    in_twos: bool


def adjacency(vertices: Tensor, faces: Tensor) -> Adjacency:
    """Return which faces meet; it is remembered while ``faces`` lives.

    Args:
        vertices: ``[*batch, V, 3]``. Those that are in the same place in all of the batch count as one.
        faces: ``[F, 3]``.
    """
    vertices = vertices.detach()
    known = _known.get(faces)  # type: ignore[no-untyped-call]
    if known is None or known[0] != faces._version or not _in_one_place(vertices, known[1]):
        first = _first_in_place(vertices)
        known = _known[faces] = (faces._version, first, _adjacency(first[faces]))
    return known[2]  # type: ignore[no-any-return]


_known: WeakTensorKeyDictionary = WeakTensorKeyDictionary()


def _first_in_place(vertices: Tensor) -> Tensor:
    """``[V]``: for each vertex, the first that is in its place."""
    rows = vertices.reshape(-1, *vertices.shape[-2:]).movedim(0, 1).flatten(1)
    place = torch.unique(rows, dim=0, return_inverse=True)[1]
    number = torch.arange(len(place), device=place.device)
    return torch.full_like(number, len(number)).scatter_reduce(0, place, number, "amin")[place]


def _in_one_place(vertices: Tensor, first: Tensor) -> bool:
    """Whether vertices are where the first of their place is."""
    if vertices.shape[-2] != len(first):
        return False
    split = (first != torch.arange(len(first), device=first.device)).nonzero()[:, 0]
    return len(split) == 0 or torch.equal(vertices[..., split, :], vertices[..., first[split], :])


def _adjacency(faces: Tensor) -> Adjacency:
    _, sides, of_side = edges_of(faces)
    order = of_side.argsort(stable=True)
    edge, uses = of_side[order], torch.bincount(of_side)
    start = (uses.cumsum(0) - uses)[edge]
    turn = torch.arange(len(order), device=order.device) - start
    following = order[start + (turn + 1) % uses[edge]]
    across = torch.empty_like(order).scatter(0, order, torch.where(following == order, -1, following))
    return Adjacency(faces, across, sides[:, 0] == sides[across, 0], not len(uses) or int(uses.max()) <= 2)
