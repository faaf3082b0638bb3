"""Where the edges of a surface cross the lines between the centres of neighbouring pixels.

From the centre of one pixel to that of its neighbour, the surface that the first shows is followed from face to face,
until it turns away, ends, or reaches what the second shows. Only points are compared: neither winding nor normals
matter, and positions are homogeneous, so that vertices may lie behind the camera.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from render3d.renderers.edge_gradient.adjacency import Adjacency

_LONGEST = 1000
"""Faces that are crossed between two pixels, at most: rounding could lead round in a circle."""

_BEYOND = 1 / 64
"""Pixels by which a rasteriser may round an edge to the wrong side of a centre."""


class Pairs(NamedTuple):
    """P pairs of neighbouring pixels that show different things.

    Attributes:
        image: ``[P]`` int64, which image they are in.
        near: ``[P]``, the flat index ``(image * H + row) * W + column`` of the pixel that shows what is nearer.
        far: ``[P]``, of the other.
        axis: ``[P]``, 0 for pixels side by side, 1 for one above the other.
        sign: ``[P]``, 1. if the far one is to the right or below, else -1.
        along: ``[P]``, the near centre's coordinate on the axis, in pixels.
        aside: ``[P]``, its other coordinate.
    """

    image: Tensor
    near: Tensor
    far: Tensor
    axis: Tensor
    sign: Tensor
    along: Tensor
    aside: Tensor

    def swapped(self) -> "Pairs":
        """The same pairs, seen from the far pixels."""
        return self._replace(near=self.far, far=self.near, sign=-self.sign, along=self.along + self.sign)

    def some(self, index: Tensor) -> "Pairs":
        """Those of an index."""
        return Pairs(*(part[index] for part in self))


class CrossedEdges(NamedTuple):
    """C edges that are crossed on the way from the near to the far pixel of a pair.

    Side ``3 f + k`` of the faces runs from corner k of face f to the next.

    Attributes:
        pair: ``[C]`` int64, which pair.
        side: ``[C]``, the side by which a face is left.
        across: ``[C]``, the side by which another is entered, -1 if the surface turns away or ends.
        share: ``[C]``, how far along ``side``, in the scene, from 0 to 1.
    """

    pair: Tensor
    side: Tensor
    across: Tensor
    share: Tensor

    def some(self, kept: Tensor) -> "CrossedEdges":
        """Those that are ``kept`` ``[C]`` bool."""
        if bool(kept.all()):
            return self
        index = kept.nonzero()[:, 0]
        return CrossedEdges(*(part[index] for part in self))


def pairs_of(label: Tensor, depth: Tensor) -> Pairs:
    """Return the neighbours with different labels.

    Args:
        label: ``[N, H, W]``, what the pixels of N images show.
        depth: ``[N, H, W]``, infinite where nothing is.
    """
    height, width = label.shape[1:]
    flat, found = depth.reshape(-1), []
    for axis, step in ((0, 1), (1, width)):
        along, size = 2 - axis, label.shape[2 - axis] - 1
        image, row, column = torch.nonzero(
            label.narrow(along, 0, size) != label.narrow(along, 1, size), as_tuple=True
        )  # fmt: skip
        first = (image * height + row) * width + column
        second = first + step
        swap = flat[second] < flat[first]
        place, aside = (column, row) if axis == 0 else (row, column)
        ends = torch.where(swap, second, first), torch.where(swap, first, second)
        sign = 1 - 2 * swap.to(depth)
        found.append(Pairs(image, *ends, torch.full_like(image, axis), sign, place + swap + 0.5, aside + 0.5))
    return Pairs(*(torch.cat(parts) for parts in zip(*found, strict=True)))


def crossed_edges(
    points: Tensor, meeting: Adjacency, face: Tensor, pairs: Pairs, *, outlines: bool = False
) -> tuple[CrossedEdges, Tensor]:
    """Follow surfaces from near to far pixels.

    Args:
        points: ``[N, V, 3]``, the vertices in each image: column, row and 1, times the depth (times 1 if there is no
            perspective).
        meeting: Which faces meet.
        face: ``[N, H, W]`` int64, what the pixels show, -1 for nothing.
        pairs: Of pixels.
        outlines: Whether to leave out edges beyond which the surface goes on.

    Returns:
        The edges crossed; and ``[P]`` bool, whether the surface ended or what the far pixel shows was reached. The
        crossings of other pairs, whose surface goes on behind what the far pixel shows, are left out.
    """
    sides = _Sides.of(meeting)
    shown = face.reshape(-1)
    walks = _begin(_Lines.of(points, pairs), meeting.faces, shown[pairs.near])
    walks = walks._replace(target=shown[pairs.far][walks.pair])
    ended = torch.zeros_like(pairs.near, dtype=torch.bool)
    found: list[CrossedEdges] = []
    for _ in range(_LONGEST):
        if len(walks.pair) == 0:
            break
        step = _step(walks, sides)
        turned = step.folded & (step.other == walks.left)  # else more faces meet at the edge: the next may lead on
        arrived = step.passed & ((step.following < 0) | (sides.face_across[step.leave] == walks.target))
        ended[walks.pair[turned | arrived]] = True
        behind = turned if outlines else (walks.left >= 0) & (turned | ~step.folded)
        last = arrived & (step.following < 0) if outlines else arrived
        found.append(walks.crossed(behind.nonzero()[:, 0], turned))
        found.append(step.crossed(walks.pair, last.nonzero()[:, 0]))
        walks = _go_on(walks, step, sides, (step.passed & ~arrived) | (step.folded & ~turned))
    edges = CrossedEdges(*(torch.cat(parts) for parts in zip(*found, strict=True))) if found else _nothing(points, face)
    return edges.some(ended[edges.pair]), ended


def _nothing(points: Tensor, face: Tensor) -> CrossedEdges:
    none = face.new_zeros(0)
    return CrossedEdges(none, none, none, points.new_zeros(0))


_ALONG, _ASIDE, _DEPTH = 0, 1, 2


class _Sides(NamedTuple):
    """What there is to know of each side ``[3 F]``."""

    third: Tensor  # the vertex that is not on it
    following: Tensor  # the next side of the face
    last: Tensor  # and the one after
    across: Tensor  # as of `Adjacency`
    face_across: Tensor
    same_way: Tensor
    in_twos: bool  # whether no more than two faces meet at any

    @classmethod
    def of(cls, meeting: Adjacency) -> "_Sides":
        side = torch.arange(meeting.faces.numel(), device=meeting.faces.device).reshape(-1, 3)
        return cls(
            third=meeting.faces.roll(1, 1).reshape(-1),
            following=side.roll(-1, 1).reshape(-1),
            last=side.roll(1, 1).reshape(-1),
            across=meeting.across,
            face_across=meeting.across.div(3, rounding_mode="floor"),
            same_way=meeting.same_way,
            in_twos=meeting.in_twos,
        )


class _Lines(NamedTuple):
    """L lines from centre to centre."""

    flat: Tensor  # [3 N V], all vertices in all images, as of `crossed_edges`
    place: Tensor  # [3, L] int64, where in it the coordinates of an image's first vertex are: along, aside, depth
    centre: Tensor  # [2, L], where the line begins: along, aside
    sign: Tensor  # [L], as of `Pairs`

    @classmethod
    def of(cls, points: Tensor, pairs: Pairs) -> "_Lines":
        first = 3 * points.shape[1] * pairs.image
        place = torch.stack([first + pairs.axis, first + 1 - pairs.axis, first + 2])
        return cls(points.reshape(-1), place, torch.stack([pairs.along, pairs.aside]), pairs.sign)

    def some(self, index: Tensor) -> "_Lines":
        """Those of an index."""
        return _Lines(self.flat, self.place[:, index], self.centre[:, index], self.sign[index])

    def at(self, vertex: Tensor) -> Tensor:
        """``[3, L]``: how far vertices ``[L]`` are along and aside, both times the depth, and the depth."""
        found = self.flat[self.place + 3 * vertex]
        found[:2] -= self.centre * found[_DEPTH]
        found[_ALONG] *= self.sign
        return found


class _Walks(NamedTuple):
    """L walks along lines, each in a face."""

    lines: _Lines
    pair: Tensor  # [L] int64, of which pair
    target: Tensor  # [L], the face that its far pixel shows
    entered: Tensor  # [L], the side by which the face was entered
    ends: tuple[Tensor, Tensor]  # each [3, L], of that side, as of `_Lines.at`
    left: Tensor  # [L], the side by which the face before was left, -1 if there was none
    share: Tensor  # [L], how far along it
    where: Tensor  # [L], how far on the line: NaN if there was none

    def crossed(self, index: Tensor, turned: Tensor) -> CrossedEdges:
        """The crossings that led into the faces of an index; nothing is across where the surface ``turned`` [L]."""
        across = torch.where(turned[index], -1, self.entered[index])
        return CrossedEdges(self.pair[index], self.left[index], across, self.share[index])


class _Step(NamedTuple):
    """How L walks leave their faces."""

    leave: Tensor  # [L] int64, the side
    following: Tensor  # [L], the one across
    other: Tensor  # [L], the one across the side by which the face was entered
    ends: tuple[Tensor, Tensor]  # each [3, L], of `leave`
    share: Tensor  # [L], how far along it
    where: Tensor  # [L], how far on the line
    folded: Tensor  # [L] bool, whether the face leads back
    passed: Tensor  # [L] bool, whether it leads on, and its end is not beyond the far centre

    def crossed(self, pair: Tensor, index: Tensor) -> CrossedEdges:
        """The crossings that lead out of the faces of an index."""
        return CrossedEdges(pair[index], self.leave[index], self.following[index], self.share[index])


def _begin(lines: _Lines, faces: Tensor, current: Tensor) -> _Walks:
    """Walks in the faces ``current`` [L], from the sides that are crossed behind the origin; ``target`` is not set.

    Rounding may have a line pass by its face: it has no walk.
    """
    corners = torch.stack([lines.at(faces[current, corner]) for corner in range(3)])  # [3 corners, 3, L]
    following = corners.roll(-1, 0)
    aside, next_aside = corners[:, _ASIDE], following[:, _ASIDE]
    share = aside / (aside - next_aside)
    crossed = (aside > 0) != (next_aside > 0)
    along = torch.where(crossed, torch.lerp(corners[:, _ALONG], following[:, _ALONG], share), torch.inf)
    along, corner = along.min(0)
    pair = (along < torch.inf).nonzero()[:, 0]
    corner = corner[pair]
    entered, nowhere = 3 * current[pair] + corner, torch.full_like(pair, -1)
    ends = corners[corner, :, pair].T, following[corner, :, pair].T
    nan = torch.full_like(along[pair], torch.nan)
    return _Walks(lines.some(pair), pair, nowhere, entered, ends, nowhere, nan, nan)


def _step(walks: _Walks, sides: _Sides) -> _Step:
    """Cross each face."""
    first, second = walks.ends
    third = walks.lines.at(sides.third[walks.entered])
    # Signs are equal for equal points, so a line that enters a face by one side leaves it by just one other.
    by_next = (second[_ASIDE] > 0) != (third[_ASIDE] > 0)
    leave = torch.where(by_next, sides.following[walks.entered], sides.last[walks.entered])
    begin, end = torch.where(by_next, second, third), torch.where(by_next, third, first)
    share = begin[_ASIDE] / (begin[_ASIDE] - end[_ASIDE])
    along, _, depth = torch.lerp(begin, end, share)
    where, folded = along / depth, along <= walks.where * depth
    passed = ~folded & (depth > 0) & (where <= 1 + _BEYOND)  # behind the camera, it has left the image
    other = walks.left if sides.in_twos else sides.across[walks.entered]
    return _Step(leave, sides.across[leave], other, (begin, end), share, where, folded, passed)


def _go_on(walks: _Walks, step: _Step, sides: _Sides, on: Tensor) -> _Walks:
    """The walks that go ``on`` [L]: in the face across, or, where theirs led back, in another at the same edge."""
    index = on.nonzero()[:, 0]
    left, share, where = step.leave, step.share, step.where
    entered, crossed, (begin, end) = step.following, step.leave, step.ends
    if not sides.in_twos:
        back = step.folded
        left, share = torch.where(back, walks.left, left), torch.where(back, walks.share, share)
        where, entered = torch.where(back, walks.where, where), torch.where(back, step.other, entered)
        crossed = torch.where(back, walks.entered, crossed)
        begin, end = torch.where(back, walks.ends[0], begin), torch.where(back, walks.ends[1], end)
    same = sides.same_way[crossed]
    ends = torch.where(same, begin, end), torch.where(same, end, begin)
    if len(index) == len(on):
        return _Walks(walks.lines, walks.pair, walks.target, entered, ends, left, share, where)
    return _Walks(
        walks.lines.some(index),
        walks.pair[index],
        walks.target[index],
        entered[index],
        (ends[0][:, index], ends[1][:, index]),
        left[index],
        share[index],
        where[index],
    )
