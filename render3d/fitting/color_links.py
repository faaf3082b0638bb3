"""Colours of a mesh as the unknowns of a linear system: which of them a point shows, and which are neighbours."""

import numpy as np
import torch
from scipy import ndimage, sparse
from scipy.sparse.linalg import splu
from torch import Tensor

from render3d.scenes import Mesh
from render3d.scenes.topology import edges_of, face_pairs

_SEAM = 10.0  # how many links between neighbours the two sides of a seam, which are one place, count as much as
_SPACING = 0.5  # of points along seams, texels


def lookup(mesh: Mesh, face: Tensor, weights: Tensor) -> sparse.csr_array:
    """Return which colours points of the surface show, a matrix ``[P, N]``, float32.

    Its product with the colours ``[N, 3]`` of the mesh (vertices, faces, or texels row by row) is what is there.

    Args:
        mesh: Its texture, its colours of faces, or otherwise its vertices are meant.
        face: ``[P]`` int64.
        weights: ``[P, 3]`` of the face's vertices. Where they are zero, nothing is looked up.
    """
    if mesh.texture is not None:
        places = (_in_texels(mesh)[mesh.uv_faces[face]] * weights[..., None]).sum(1)
        texels, shares = _bilinear(places, mesh.texture.image.shape)
        return _matrix(texels, shares * weights.sum(1, keepdim=True), mesh.texture.image[..., 0].numel())
    if mesh.face_colors is not None:
        return _matrix(face[:, None], weights.sum(1, keepdim=True), len(mesh.faces))
    return _matrix(mesh.faces[face], weights, mesh.vertices.shape[-2])


def links_of(mesh: Mesh) -> sparse.csr_array:
    """Return differences of neighbouring colours, a matrix ``[L, N]``, float32.

    Its product with the colours ``[N, 3]`` is small if they are smooth. Colours of vertices are neighbours along edges,
    and those of faces across them. Texels are neighbours beside or above each other if the surface uses both; on a
    seam, the difference is that of what bilinear lookup finds on its two sides.
    """
    if mesh.texture is not None:
        return sparse.vstack([_beside(used_texels(mesh)), _across_seams(mesh)], format="csr")
    if mesh.face_colors is not None:
        return _differences(face_pairs(mesh.faces), len(mesh.faces))
    return _differences(edges_of(mesh.faces).ends, mesh.vertices.shape[-2])


def used_texels(mesh: Mesh) -> Tensor:
    """``[H, W]`` bool: the texels that the surface shows, those beside charts included that bilinear lookup takes."""
    assert mesh.texture is not None
    height, width = mesh.texture.image.shape[:2]
    used = torch.zeros(height * width, dtype=torch.bool)
    places = _in_texels(mesh)
    column, row = _centers_inside(places[mesh.uv_faces], height, width).unbind(-1)
    used[row % height * width + column % width] = True
    # What the border of a chart takes beyond that is found at points along it.
    edges = edges_of(mesh.uv_faces)
    points, _ = _along(places[edges.ends[edges.uses == 1]][:, None])
    texels, shares = _bilinear(points[:, 0], mesh.texture.image.shape)
    used[texels[shares > 0]] = True
    return used.reshape(height, width)


def filled(colors: Tensor, known: Tensor, links: sparse.csr_array) -> Tensor:
    """Colours ``[N, 3]`` of which those not ``known`` ``[N]`` are as smooth as ``links`` ask: a membrane.

    What is linked to nothing known gets the mean of what is.
    """
    if bool(known.all()) or not bool(known.any()):
        return colors
    where, values = known.numpy(), colors.double().numpy().copy()
    mean, columns = values[where].mean(0), links.astype(np.float64).tocsc()
    free = columns[:, ~where]
    stiffness = (free.T @ free + 1e-8 * sparse.eye_array(free.shape[1])).tocsc()
    pull = -free.T @ (columns[:, where] @ (values[where] - mean))
    values[~where] = mean + splu(stiffness, permc_spec="MMD_AT_PLUS_A", options={"SymmetricMode": True}).solve(pull)
    return torch.from_numpy(values).to(colors)


def spread(image: Tensor, used: Tensor) -> Tensor:
    """Return an image ``[H, W, 3]`` whose texels that are not ``used`` ``[H, W]`` take the nearest one's that is."""
    row, column = ndimage.distance_transform_edt(~used.numpy(), return_distances=False, return_indices=True)
    return image[torch.from_numpy(row).long(), torch.from_numpy(column).long()]


def _beside(used: Tensor) -> sparse.csr_array:
    """``[L, N]``: differences of texels beside or above each other."""
    numbers = torch.arange(used.numel()).reshape(used.shape)
    pairs = []
    for one, other in ((np.s_[:, :-1], np.s_[:, 1:]), (np.s_[:-1], np.s_[1:])):
        both = used[one] & used[other]
        pairs.append(torch.stack([numbers[one][both], numbers[other][both]], -1))
    return _differences(torch.cat(pairs), used.numel())


def _across_seams(mesh: Mesh) -> sparse.csr_array:
    """``[L, N]``: differences of what is looked up on the two sides of each seam, at points along it."""
    assert mesh.texture is not None
    sides = edges_of(mesh.faces).pairs
    ends = torch.arange(3 * len(mesh.faces)).reshape(-1, 3).roll(-1, 1).reshape(-1)
    segments = torch.stack([sides, ends[sides]], -1)  # [E, 2 sides, 2 ends]: a side has the number of its first corner
    vertices, rows = mesh.faces.reshape(-1), mesh.uv_faces.reshape(-1)
    # Sides of faces that agree on what is outside run against each other.
    against = vertices[segments[:, 0, 0]] != vertices[segments[:, 1, 0]]
    segments[against, 1] = segments[against, 1].flip(-1)
    cut = (rows[segments[:, 0]] != rows[segments[:, 1]]).any(-1)
    points, lengths = _along(_in_texels(mesh)[rows[segments[cut]]])
    texels, shares = _bilinear(points, mesh.texture.image.shape)
    shares = shares * torch.tensor([1.0, -1.0])[:, None] * (_SEAM * lengths).sqrt()[:, None, None]
    return _matrix(texels.flatten(1), shares.flatten(1), mesh.texture.image[..., 0].numel())


def _differences(pairs: Tensor, count: int) -> sparse.csr_array:
    """``[L, N]``: the first less the second of each of ``pairs`` ``[L, 2]``."""
    return _matrix(pairs, torch.tensor([1.0, -1.0]).expand(len(pairs), 2), count)


def _matrix(columns: Tensor, values: Tensor, count: int) -> sparse.csr_array:
    """``[L, N]``: the rows have these ``values`` in these ``columns``, both ``[L, K]``."""
    rows, each = columns.shape
    starts = np.arange(rows + 1, dtype=np.int32) * each
    numbers = columns.int().numpy().reshape(-1)
    return sparse.csr_array((values.float().numpy().reshape(-1), numbers, starts), shape=(rows, count))


def _in_texels(mesh: Mesh) -> Tensor:
    """``[T, 2]`` float32: columns and rows of the texture's coordinates; integers at the centres of texels."""
    assert mesh.texture is not None
    height, width = mesh.texture.image.shape[:2]
    u, v = mesh.texture.uv.float().unbind(-1)
    return torch.stack([u * width, (1 - v) * height], -1) - 0.5


def _bilinear(points: Tensor, size: torch.Size) -> tuple[Tensor, Tensor]:
    """The numbers ``[..., 4]`` of the texels at ``points`` ``[..., 2]`` of an image ``[H, W, 3]``, and their shares."""
    height, width = size[:2]
    low = points.floor()
    (x, y), (column, row) = (points - low).unbind(-1), low.long().unbind(-1)
    ways = [(down, right) for down in (0, 1) for right in (0, 1)]
    texels = [(row + down) % height * width + (column + right) % width for down, right in ways]
    shares = [(y if down else 1 - y) * (x if right else 1 - x) for down, right in ways]
    return torch.stack(texels, -1), torch.stack(shares, -1)


def _along(segments: Tensor) -> tuple[Tensor, Tensor]:
    """Points ``[P, S, 2]`` along each of S parallel ways ``[E, S, 2, 2]``, and the texels ``[P]`` each stands for."""
    lengths = (segments[:, :, 1] - segments[:, :, 0]).norm(dim=-1).amax(-1)
    counts = (lengths / _SPACING).ceil().long().clamp(min=1)
    edge, step = _enumerated(counts)
    share = ((step + 0.5) / counts[edge])[:, None, None]
    return segments[edge, :, 0].lerp(segments[edge, :, 1], share), (lengths / counts)[edge]


def _centers_inside(triangles: Tensor, height: int, width: int) -> Tensor:
    """``[P, 2]`` int64, columns and rows: the points with integer coordinates in ``triangles`` ``[F, 3, 2]``.

    Of triangles larger than the image, which repeats, no more than one image of points is looked at.
    """
    low = triangles.amin(1).ceil().long()
    counts = (triangles.amax(1).floor().long() - low + 1).clamp(min=0)
    counts = counts.minimum(torch.tensor([width, height]))
    face, step = _enumerated(counts.prod(-1))
    across = counts[face, 0]
    points = low[face] + torch.stack([step % across, step // across], -1)
    x, y = (triangles[face] - points[:, None]).unbind(-1)
    turns = x * y.roll(-1, 1) - y * x.roll(-1, 1)
    return points[(turns >= 0).all(1) | (turns <= 0).all(1)]


def _enumerated(counts: Tensor) -> tuple[Tensor, Tensor]:
    """Of things that come ``counts`` times each: which it is, and the how-manieth, from 0; both ``[sum]``."""
    which = torch.arange(len(counts)).repeat_interleave(counts)
    return which, torch.arange(len(which)) - (counts.cumsum(0) - counts)[which]
