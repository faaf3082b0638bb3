"""What moving edges add to the gradient of images."""

from collections.abc import Mapping

import torch
from torch import Tensor

from render3d.renderers.deferred import SurfacePoints
from render3d.renderers.edge_gradient.adjacency import Adjacency, adjacency
from render3d.renderers.edge_gradient.seen import SeenMesh
from render3d.renderers.edge_gradient.walk import CrossedEdges, Pairs, crossed_edges, pairs_of
from render3d.renderers.shading import Shading
from render3d.scenes import Mesh


def edge_term(seen: SeenMesh, images: Mapping[str, Tensor], shading: Shading) -> Tensor:
    """Zeros ``[*batch, views, C, H, W]`` whose gradient is that of the edges, for the C channels of ``images``."""
    image = torch.cat(list(images.values()), dim=-3).detach()
    leading, (channels, height, width) = image.shape[:-3], image.shape[-3:]
    with torch.no_grad():
        pairs, crossed, meeting = _crossed(seen, shaded="rgb" in images)
        if "rgb" in images:
            crossed = crossed.some(_may_differ(seen.mesh, shading, crossed))
        pairs = pairs.some(crossed.pair)
        jump = _jumps(seen, pairs, crossed, meeting, {name: _flat(image) for name, image in images.items()}, shading)
    advance = _advance(seen, pairs, crossed) * (pairs.sign / 2)
    passed = jump * advance[:, None]
    empty = passed.new_zeros(leading.numel() * height * width, channels)
    term = empty.index_add(0, torch.cat([pairs.near, pairs.far]), torch.cat([passed, passed]))
    return term.reshape(*leading, height, width, channels).movedim(-1, -3)


def _flat(image: Tensor) -> Tensor:
    """``[M, C]``: the M pixels of all images."""
    return image.detach().movedim(-3, -1).reshape(-1, image.shape[-3])


def _crossed(seen: SeenMesh, *, shaded: bool) -> tuple[Pairs, CrossedEdges, Adjacency]:
    """Which neighbouring pixels show different things, and the edges between their centres."""
    face = seen.face_index.flatten(0, -4)[:, 0].long()
    covered = face >= 0
    if shaded:
        assert seen.depth is not None
        depth = torch.full_like(covered, torch.inf, dtype=seen.depth.dtype)
        depth[covered] = seen.depth
    else:
        depth = torch.where(covered, 0.0, torch.inf)
    pairs = pairs_of(face if shaded else covered, depth)
    meeting = adjacency(seen.mesh.vertices, seen.mesh.faces)
    corners = seen.corners.detach()
    found, ended = crossed_edges(corners, meeting, face, pairs, outlines=not shaded)
    again = (~ended & covered.reshape(-1)[pairs.far]).nonzero()[:, 0]
    if len(again):  # what is nearer at its own pixel goes on behind what the other shows
        turned = pairs.some(again).swapped()
        more, _ = crossed_edges(corners, meeting, face, turned, outlines=not shaded)
        more = more._replace(pair=more.pair + len(pairs.near))
        pairs = Pairs(*(torch.cat(parts) for parts in zip(pairs, turned, strict=True)))
        found = CrossedEdges(*(torch.cat(parts) for parts in zip(found, more, strict=True)))
    return pairs, found, meeting


def _may_differ(mesh: Mesh, shading: Shading, crossed: CrossedEdges) -> Tensor:
    """``[C]``: whether the colours on both sides of an edge can differ."""
    outline = crossed.across < 0
    if shading.normals == "flat" or mesh.face_colors is not None:
        return torch.ones_like(outline)
    faces = mesh.faces if mesh.seams is None else mesh.seams.faces
    sides = faces[:, [[0, 1], [1, 2], [2, 0]]].sort(-1).values.reshape(-1, 2)
    return outline | (sides[crossed.side] != sides[crossed.across]).any(-1)  # those whose vertices are split, and seams


def _jumps(
    seen: SeenMesh,
    pairs: Pairs,
    crossed: CrossedEdges,
    meeting: Adjacency,
    images: Mapping[str, Tensor],
    shading: Shading,
) -> Tensor:
    """``[C, channels]``: by how much images differ before and after crossings, whose pairs are given one by one."""
    outline = crossed.across < 0
    jumps = []
    for name, image in images.items():
        after = image[pairs.far]
        if name == "alpha":
            before = torch.ones_like(after)
            after = torch.where(outline[:, None], after, 1)
        else:
            inner = (~outline).nonzero()[:, 0]
            across = crossed.across[inner]
            share = torch.where(meeting.same_way[crossed.side[inner]], crossed.share[inner], 1 - crossed.share[inner])
            surface = SurfacePoints(
                seen.mesh.detach(),
                seen.face_index.shape[:-3],
                torch.cat([pairs.image, pairs.image[inner]]),
                torch.cat([crossed.side, across]) // 3,
                _weights(seen.mesh, torch.cat([crossed.side, across]), torch.cat([crossed.share, share]), shading),
            )
            lit = surface.reflectance() * surface.light(seen.cameras, shading)
            before, behind = torch.split(lit, [len(outline), len(inner)])
            after = after.to(behind).index_put((inner,), behind)
        jumps.append(before - after)
    return torch.cat(jumps, dim=-1)


def _weights(mesh: Mesh, side: Tensor, share: Tensor, shading: Shading) -> Tensor:
    """``[C, 3]``: those of a face's vertices so far along a ``side``; zeros where all of a face looks the same."""
    if shading.normals == "flat" and mesh.colors is None and mesh.texture is None:
        return share.new_zeros(1, 3).expand(len(share), 3)
    first = side[:, None] % 3
    weights = share.new_zeros(len(side), 3)
    return weights.scatter(1, first, 1 - share[:, None]).scatter(1, (first + 1) % 3, share[:, None])


def _advance(seen: SeenMesh, pairs: Pairs, crossed: CrossedEdges) -> Tensor:
    """``[C]``: zeros with the gradient of where the points of edges lie, on the axis of their pair, in pixels."""
    first = seen.corners.shape[1] * pairs.image
    face, corner = crossed.side // 3, crossed.side % 3
    ends = [first + seen.mesh.faces[face, end] for end in (corner, (corner + 1) % 3)]
    flat = seen.corners.reshape(-1)
    ends = [torch.stack([flat.index_select(0, 3 * end + axis) for axis in (pairs.axis, 2)]) for end in ends]
    place, depth = torch.lerp(ends[0], ends[1], crossed.share)
    place = place / depth
    advance: Tensor = place - place.detach()
    return advance
