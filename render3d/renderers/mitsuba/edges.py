"""What moving edges add to the gradient of an image: the part that differentiating pixel by pixel misses.

A pixel's colour is a mean over its area. Where an edge crosses it and moves, area passes from one side to the other:

    d pixel = integral over the edge of (image on one side - image on the other) * (speed of the edge across itself)

(Li et al., "Differentiable Monte Carlo ray tracing through edge sampling", 2018, equation 5; in the plane of the
image.) It is summed over points spread evenly along the projected edges, so nothing is random. All that is needed of a
renderer is to say what is seen through any point of the image.
"""

import dataclasses
from collections.abc import Callable
from typing import final

import torch
from torch import Tensor

from render3d.cameras import Cameras
from render3d.scenes import Mesh
from render3d.scenes.topology import edges_of

Show = Callable[[Tensor], tuple[Tensor, Tensor, Tensor]]
"""Given pixels ``[N, 2]`` of a view: images ``[N, C]``, the face ``[N]`` (-1 for none) and its depth ``[N]``, infinite
where nothing is."""

_APART = 0.01
"""From an edge to the points on either side that are looked at, in pixels."""

_HIDDEN = 1e-3
"""An edge is hidden where both sides show something nearer by this share of its depth."""


@final
@dataclasses.dataclass(frozen=True)
class Edges:
    """The edges of a mesh.

    Attributes:
        ends: ``[E, 2]`` int64, indices of vertices.
        share: ``[E]``, 1 over the number of edges in the same place: those where vertices are split.
        place: ``[E]`` int64, the same number for edges in the same place.
        side_place: ``[3 F]`` int64, the place of each side of the faces, as in `render3d.scenes.topology.EdgeTable`.
        parted: ``[E]`` bool: where vertices are split, or a texture has a seam, so that colours of neighbours differ.
    """

    ends: Tensor
    share: Tensor
    place: Tensor
    side_place: Tensor
    parted: Tensor

    @classmethod
    def of(cls, mesh: Mesh) -> "Edges":
        """Those of a mesh without a batch."""
        own = edges_of(mesh.faces)
        where = torch.unique(mesh.vertices.detach(), dim=0, return_inverse=True)[1]
        places = edges_of(where[mesh.faces])
        place = torch.empty_like(own.ends[:, 0]).scatter(0, own.of_side, places.of_side)
        share = 1 / torch.bincount(place, minlength=len(places.ends))[place].to(mesh.vertices.dtype)
        drawn = own if mesh.seams is None else edges_of(mesh.seams.faces)
        drawn_place = torch.empty_like(drawn.ends[:, 0]).scatter(0, drawn.of_side, places.of_side)
        parted = torch.bincount(drawn_place, minlength=len(places.ends))[place] > 1
        return cls(own.ends, share, place, places.of_side, parted)

    def folds(self, mesh: Mesh, camera: Cameras) -> Tensor:
        """Whether the two faces of each place lie on the same side of it in a view; False where there are not two.

        Which way faces are wound does not matter.
        """
        points = camera.detach().to_camera_space(mesh.vertices.detach())[0].double()
        if camera.projection == "orthographic":
            points = torch.cat([points[:, :2], torch.ones_like(points[:, 2:])], -1)
        where = torch.unique(mesh.vertices.detach(), dim=0, return_inverse=True)[1]
        first, second = mesh.faces.reshape(-1), mesh.faces.roll(-1, 1).reshape(-1)
        onward = torch.where(where[first] < where[second], 1.0, -1.0)
        corners = points[torch.stack([first, second, mesh.faces.roll(-2, 1).reshape(-1)], 1)]
        side = torch.linalg.det(corners).sign() * onward
        return (self._faces == 2) & (self._sum(side).abs() > 1)

    def outlines(self, folds: Tensor) -> Tensor:
        """Which edges ``[E]`` part the two sides of the surface, or end it, for `folds`."""
        return ((self._faces != 2) | folds)[self.place]

    @property
    def ends_surface(self) -> Tensor:
        """``[E]`` bool: the edges of one face alone."""
        return (self._faces == 1)[self.place]

    def creases(self, folds: Tensor, facing: Tensor, seen: Tensor) -> Tensor:
        """Which edges ``[E]`` part neighbours that show the same side.

        Args:
            folds: As of `folds`.
            facing: ``[F]``.
            seen: Faces that the image shows, of any shape, -1 where it shows none. If no pixel shows the back of a
                closed surface, edges there are left out.
        """
        flat = (self._faces == 2) & ~folds
        if bool((self._faces == 2).all()) and not bool((facing[seen[seen >= 0]] < 0).any()):
            flat &= self._sum(facing.repeat_interleave(3)) > 0
        return flat[self.place]

    def at(self, edge: Tensor, face: Tensor) -> Tensor:
        """``[N]``: whether a face ``[N]``, -1 for none, is one of those that meet at an edge ``[N]``."""
        places = self.side_place.reshape(-1, 3)[face.clamp(min=0)]
        return (places == self.place[edge, None]).any(-1) & (face >= 0)

    @property
    def _faces(self) -> Tensor:
        """How many faces meet at each place."""
        return torch.bincount(self.side_place)

    def _sum(self, sides: Tensor) -> Tensor:
        """The sums at each place of a number of each side ``[3 F]``."""
        return torch.bincount(self.side_place, sides.double())


def facing(mesh: Mesh, camera: Cameras) -> Tensor:
    """``[F]``: 1 for faces that show their front to a view, else -1."""
    vertices = mesh.vertices.detach().double()
    first, second, third = (vertices[mesh.faces[:, corner]] for corner in range(3))
    normals = torch.linalg.cross(second - first, third - first)
    view = camera.detach()
    towards = -view.rotation[0, 2] if view.projection == "orthographic" else view.position[0] - first
    return torch.where((normals * towards).sum(-1) > 0, 1.0, -1.0)


def edge_term(
    mesh: Mesh, camera: Cameras, edges: Edges, outlines: Tensor, creases: Tensor, show: Show, samples: int
) -> Tensor:
    """An image of zeros ``[1, C, H, W]`` whose gradient is that of the edges.

    Args:
        mesh: One mesh, without a batch.
        camera: One view.
        edges: Those of the mesh.
        outlines: ``[E]`` bool, as of `Edges.outlines`.
        creases: ``[E]`` bool, those at which neighbours look different, as of `Edges.creases`.
        show: What is seen in this view.
        samples: Points on an edge for each pixel of its length.

    Differentiable in the vertices and in the camera's pose and intrinsics, to first order.
    """
    chosen = (outlines | creases).nonzero()[:, 0]
    corners = camera.to_camera_space(mesh.vertices)[0]
    with torch.no_grad():
        number, along, point, across, length = _points_on_edges(corners[edges.ends[chosen]], camera, samples)
        edge = chosen[number]
        image, face, depth = show(torch.cat([point - _APART * across, point + _APART * across]))
        depths = corners[edges.ends[edge], 2]
        own = torch.lerp(depths[:, 0], depths[:, 1], along)
        visible = torch.maximum(*depth.chunk(2)) > own - _HIDDEN * own.abs()
        behind, before = (edges.at(edge, side) for side in face.chunk(2))
        # A face thinner than what the two points are apart would let a crease pass for the outline beside it. And where
        # vertices of one face lie on the side of another, the surface ends twice in one place: once is seen.
        at_edge = behind | before | ~edges.ends_surface[edge]
        counts = visible & (outlines[edge] & at_edge | behind & before)
        behind, before = image.chunk(2)
        jump = torch.where(counts[:, None], behind - before, 0)
    begin, end = corners[edges.ends[edge]].unbind(1)
    pixel = camera.to_pixels(torch.lerp(begin, end, along[:, None])[None])[0]
    advance = ((pixel - pixel.detach()) * across).sum(-1)  # zero, but for its gradient
    passed = jump * (advance * length * edges.share[edge])[:, None]
    height, width = camera.image_size
    column, row = point.long().unbind(-1)
    column, row = column.clamp(0, width - 1), row.clamp(0, height - 1)
    empty = passed.new_zeros(height * width, passed.shape[-1])
    return empty.index_add(0, row * width + column, passed).T.reshape(1, -1, height, width)


def _points_on_edges(segments: Tensor, camera: Cameras, samples: int) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Points spread evenly over the part of edges that is in the image.

    Args:
        segments: ``[E, 2, 3]``, in camera space.
        camera: One view.
        samples: Points for each pixel of an edge.

    Returns:
        For each of N points: the edge ``[N]``, the weight of its second end ``[N]``, the pixel ``[N, 2]``, the unit
        normal ``[N, 2]`` and the length ``[N]`` in pixels that it stands for.
    """
    start, stop = _visible_part(segments, camera)
    seen = (start < stop).nonzero()[:, 0]
    segments, start, stop = segments[seen], start[seen], stop[seen]
    clipped = torch.stack([torch.lerp(segments[:, 0], segments[:, 1], t[:, None]) for t in (start, stop)])
    first, last = camera.to_pixels(clipped.flatten(0, 1)[None])[0].chunk(2)
    lengths = (last - first).norm(dim=-1)
    count = (lengths * samples).ceil().long()
    edge = torch.arange(len(seen), device=seen.device).repeat_interleave(count)
    number = torch.arange(len(edge), device=seen.device) - (count.cumsum(0) - count)[edge]
    share = (number + 0.5).to(lengths) / count[edge]
    point = torch.lerp(first[edge], last[edge], share[:, None])
    direction = (last - first)[edge] / lengths[edge, None]
    across = torch.stack([-direction[:, 1], direction[:, 0]], dim=-1)
    if camera.projection == "perspective":  # even on the screen is not even on the edge
        near, far = clipped[:, edge, 2]
        share = share * near / ((1 - share) * far + share * near)
    return seen[edge], torch.lerp(start[edge], stop[edge], share), point, across, (lengths / count)[edge]


def _visible_part(segments: Tensor, camera: Cameras) -> tuple[Tensor, Tensor]:
    """Where edges ``[E, 2, 3]`` enter and leave the view, as shares ``[E]`` of their length (Liang and Barsky 1984)."""
    height, width = camera.image_size
    z = segments[..., 2]
    scale = z if camera.projection == "perspective" else torch.ones_like(z)
    plane = segments[..., :2] * camera.intrinsics[0].diagonal()[:2] + camera.intrinsics[0, :2, 2] * scale[..., None]
    size = torch.tensor([width, height]).to(plane) * scale[..., None]
    inside = torch.cat([plane, size - plane, (z - camera.near)[..., None], (camera.far - z)[..., None]], dim=-1)
    begin, end = inside.unbind(1)  # each [E, 6], negative outside
    crossing = begin / (begin - end)
    start = torch.where((begin < 0) & (end >= 0), crossing, torch.where(begin < 0, 2.0, 0.0)).amax(-1)
    stop = torch.where((begin >= 0) & (end < 0), crossing, torch.where(end < 0, -1.0, 1.0)).amin(-1)
    return start, stop
