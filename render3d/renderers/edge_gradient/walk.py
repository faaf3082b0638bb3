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


def crossed_edges(points: Tensor, meeting: Adjacency, face: Tensor, pairs: Pairs) -> tuple[CrossedEdges, Tensor]:
    """Follow surfaces from near to far pixels.

    Args:
        points: ``[N, V, 3]``, the vertices in each image: column, row and 1, times the depth (times 1 if there is no
            perspective).
        meeting: Which faces meet.
        face: ``[N, H, W]`` int64, what the pixels show, -1 for nothing.
        pairs: Of pixels.

    Returns:
        The edges crossed; and ``[P]`` bool, whether the surface ended or what the far pixel shows was reached. The
        crossings of other pairs, whose surface goes on behind what the far pixel shows, are left out.
    """
    faces, across, same_way = meeting
    side = torch.arange(3 * len(faces), device=faces.device).reshape(-1, 3)
    third, next_side, last_side = (part.reshape(-1) for part in (faces.roll(1, 1), side.roll(-1, 1), side.roll(1, 1)))
    shown, face_across = face.reshape(-1), across.div(3, rounding_mode="floor")
    target = shown[pairs.far]
    ended = torch.zeros_like(target, dtype=torch.bool)
    made, changed, count = [], [], 0

    # Of the walks that go on: which pair; the side by which the face was entered, with its ends; the one by which the
    # face before was left; the number of the latest crossing; and where on the line that is.
    lines = _Lines(points.reshape(-1), pairs.image * points.shape[1], *pairs[3:])
    entered, first, second, pair = _begin(lines, faces, shown[pairs.near])
    left, latest = torch.full_like(entered, -1), torch.full_like(entered, -1)
    lines = lines.some(pair)
    at = torch.full_like(lines.sign, -torch.inf)
    for _ in range(_LONGEST):
        corner = lines.at(third[entered])
        # Signs are equal for equal points, so a line that enters a face by one side leaves it by just one other.
        by_next = (second[_ASIDE] > 0) != (corner[_ASIDE] > 0)
        leave = torch.where(by_next, next_side[entered], last_side[entered])
        begin, end = torch.where(by_next, second, corner), torch.where(by_next, corner, first)
        share = begin[_ASIDE] / (begin[_ASIDE] - end[_ASIDE])
        along, _, depth = torch.lerp(begin, end, share)
        where = torch.where(depth > 0, along / depth, torch.inf)  # behind the camera, it has left the image
        folded = (along <= at * depth) & (left >= 0)
        other, following = across[entered], across[leave]
        outline = folded & (other == left)  # else more than two faces meet at the edge, and another may lead on
        passed = ~folded & (where <= 1 + _BEYOND)
        arrived = passed & ((following < 0) | (face_across[leave] == target[pair]))
        ended[pair[outline | arrived]] = True
        turn, step = folded.nonzero()[:, 0], passed.nonzero()[:, 0]
        changed.append((latest[turn], torch.where(outline[turn], -1, other[turn])))
        made.append(CrossedEdges(pair[step], leave[step], following[step], share[step]))
        latest[step] = torch.arange(count, count + len(step), device=step.device)
        count += len(step)
        on = ((passed & ~arrived) | (folded & ~outline)).nonzero()[:, 0]
        if len(on) == 0:
            break
        same = same_way[torch.where(folded, entered, leave)[on]]
        folded, pair, latest, lines = folded[on], pair[on], latest[on], lines.some(on)
        left, entered = torch.where(folded, left[on], leave[on]), torch.where(folded, other[on], following[on])
        at = torch.where(folded, at[on], where[on])
        begin, end = torch.where(folded, first[:, on], begin[:, on]), torch.where(folded, second[:, on], end[:, on])
        first, second = torch.where(same, begin, end), torch.where(same, end, begin)
    found = CrossedEdges(*(torch.cat(parts) for parts in zip(*made, strict=True)))
    for number, side in changed:
        found.across[number] = side
    return found.some(ended[found.pair]), ended


_ALONG, _ASIDE, _DEPTH = 0, 1, 2


class _Lines(NamedTuple):
    """L lines from centre to centre."""

    flat: Tensor  # [3 N V], all vertices in all images, as of `crossed_edges`
    vertex: Tensor  # [L] int64, where the vertices of their image begin
    axis: Tensor  # [L], and so on: as of `Pairs`
    sign: Tensor
    along: Tensor
    aside: Tensor

    def some(self, index: Tensor) -> "_Lines":
        """Those of an index."""
        return _Lines(self.flat, *(part[index] for part in self[1:]))

    def at(self, vertex: Tensor) -> Tensor:
        """``[3, L]``: how far vertices ``[L]`` are along and aside, both times the depth, and the depth."""
        place = 3 * (self.vertex + vertex)
        depth = self.flat[place + 2]
        along = (self.flat[place + self.axis] - self.along * depth) * self.sign
        return torch.stack([along, self.flat[place + 1 - self.axis] - self.aside * depth, depth])


def _begin(lines: _Lines, faces: Tensor, current: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The side that lines cross behind their origin, where faces ``current`` [L] are seen.

    Returns:
        The side, its first and its second end; and which lines these are, for rounding may have one pass by the face.
    """
    corners = torch.stack([lines.at(faces[current, corner]) for corner in range(3)])  # [3 corners, 3, L]
    following = corners.roll(-1, 0)
    aside, next_aside = corners[:, _ASIDE], following[:, _ASIDE]
    share = aside / (aside - next_aside)
    crossed = (aside > 0) != (next_aside > 0)
    along = torch.where(crossed, torch.lerp(corners[:, _ALONG], following[:, _ALONG], share), torch.inf)
    along, corner = along.min(0)
    begun = (along < torch.inf).nonzero()[:, 0]
    corner = corner[begun]
    side = 3 * current[begun] + corner
    return side, corners[corner, :, begun].T, following[corner, :, begun].T, begun
