"""Deferred shading: every image from which face a pixel shows and where on it, in torch."""

import torch
from torch import Tensor
from torch.nn.functional import grid_sample, normalize, pad

from render3d.cameras import Cameras
from render3d.color import NEUTRAL_GREY
from render3d.precision import without_autocast
from render3d.renderers.shading import Color, Shading
from render3d.scenes import Mesh


def deferred(
    mesh: Mesh, cameras: Cameras, face_index: Tensor, barycentric: Tensor, shading: Shading
) -> dict[str, Tensor]:
    """All images of `Rendering` with one sample a pixel, by name, each ``[*batch, views, C, H, W]``.

    Args:
        mesh: Its batch broadcasts to ``[*batch]``.
        cameras: ``[views]``, and a batch that broadcasts to ``[*batch]``.
        face_index: ``[*batch, views, 1, H, W]`` int64, -1 where nothing is.
        barycentric: ``[*batch, views, 3, H, W]``, perspective-correct weights of the face's vertices.
        shading: Lights, background and normals; culling and samples are for the caller.

    Differentiable in vertices, colours, texture, lights, poses and ``barycentric``, with ``face_index`` as a constant:
    where a surface is seen, not where it ends.
    """
    seen = face_index >= 0
    weights = torch.where(seen, barycentric, 0)
    face = face_index[..., 0, :, :].clamp(min=0)
    element = _elements(mesh).expand(face.shape)
    corners = element.reshape(-1, 1) * mesh.vertices.shape[-2] + mesh.faces[face.reshape(-1)]
    flat_weights = weights.movedim(-3, -1).reshape(-1, 3)

    def mean(values: Tensor) -> Tensor:
        """``[*batch, views, C, H, W]`` of values ``[*batch, V, C]`` of vertices."""
        means = _mean(values.reshape(-1, values.shape[-1]), corners, flat_weights)
        return means.unflatten(0, face.shape).movedim(-1, -3)  # type: ignore[no-untyped-call, no-any-return]

    points = mean(mesh.vertices)
    axis = cameras.rotation[..., 2, :, None, None]
    depth = (axis * points).sum(-3, keepdim=True) + cameras.translation[..., 2:, None, None]
    normal = mesh.face_normals().reshape(-1, 3)[element * len(mesh.faces) + face].movedim(-1, -3)
    towards = cameras.position[..., None, None] - points
    if cameras.projection == "orthographic":
        towards = -axis.expand_as(points)
    turned = (normal * towards).sum(-3, keepdim=True) < 0
    if shading.normals == "smooth":
        normal = normalize(mean(mesh.vertex_normals()), dim=-3)
    normal = torch.where(seen, torch.where(turned, -normal, normal), 0)
    rgb = shade(mesh, face_index, barycentric, normal, shading)
    return {
        "rgb": rgb,
        "alpha": seen.to(rgb),
        "depth": torch.where(seen, depth, 0),
        "normal": normal,
        "face_index": face_index,
        "barycentric": weights,
    }


def weights_at_pixels(corners: Tensor, cameras: Cameras, face_index: Tensor) -> Tensor:
    """Perspective-correct weights of a face's vertices at the centres of pixels, ``[*batch, views, 3, H, W]``.

    Args:
        corners: ``[*batch, views, F, 3, 3]``: the vertices of each face in camera space.
        cameras: ``[views]``, and a batch that broadcasts to ``[*batch]``.
        face_index: ``[*batch, views, 1, H, W]`` int64, -1 where nothing is.

    The edge functions of Olano and Greer, "Triangle scan conversion using 2D homogeneous coordinates", 1997, about the
    pixel, so that small faces far away lose no digits; 0 where nothing is. Differentiable in corners and intrinsics.
    """
    leading = face_index.shape[:-3]
    face, corners = face_index.reshape(-1, *cameras.image_size), corners.flatten(0, -4)
    image, row, column = torch.nonzero(face >= 0, as_tuple=True)
    x, y, z = corners[image, face[image, row, column]].unbind(-1)  # each [P, 3]
    if cameras.projection == "orthographic":
        z = torch.ones_like(z)
    matrix = cameras.intrinsics.expand(*leading, 3, 3).reshape(-1, 3, 3)[image].to(corners)
    x = x - z * ((column + 0.5 - matrix[:, 0, 2]) / matrix[:, 0, 0])[:, None]
    y = y - z * ((row + 0.5 - matrix[:, 1, 2]) / matrix[:, 1, 1])[:, None]
    opposite = x.roll(-1, 1) * y.roll(-2, 1) - y.roll(-1, 1) * x.roll(-2, 1)
    weights = opposite / opposite.sum(1, keepdim=True)
    nowhere = corners.new_zeros(*face.shape, 3)
    return nowhere.index_put((image, row, column), weights).reshape(*leading, *face.shape[1:], 3).movedim(-1, -3)


@without_autocast
def shade(mesh: Mesh, face_index: Tensor, barycentric: Tensor, normal: Tensor, shading: Shading) -> Tensor:
    """The image ``rgb`` ``[*batch, views, 3, H, W]``, of the type of ``barycentric``, with one sample a pixel.

    Only covered pixels are worked on, and they alone take memory until the backward pass.

    Args:
        mesh: Its batch broadcasts to ``[*batch]``.
        face_index: ``[*batch, views, 1, H, W]`` integers, -1 where nothing is.
        barycentric: ``[*batch, views, 3, H, W]``.
        normal: ``[*batch, views, 3, H, W]`` unit, world axes, turned to the camera.
        shading: Lights and background.

    Linear in colours and in the texture's image, and differentiable in them, in texture coordinates, normals and what
    of ``shading`` is a tensor.
    """
    seen = face_index[..., 0, :, :] >= 0
    element = _elements(mesh).expand(seen.shape)[seen]
    face = face_index[..., 0, :, :][seen].long()
    weights, normals = (image.movedim(-3, -1)[seen] for image in (barycentric, normal.to(barycentric)))
    lit = _reflectance(mesh, element, face, weights) * light(normals.T[None, ..., None], shading)[0, ..., 0].T
    background = torch.as_tensor(shading.background).to(lit).expand(*seen.shape, 3)
    return background.index_put((seen,), lit).movedim(-1, -3)


def _elements(mesh: Mesh) -> Tensor:
    """``[*batch, 1, 1, 1]``: the number of each element of a mesh's batch, for all views and pixels."""
    return torch.arange(mesh.batch_shape.numel(), device=mesh.device).reshape(*mesh.batch_shape, 1, 1, 1)


def _reflectance(mesh: Mesh, element: Tensor, face: Tensor, weights: Tensor) -> Tensor:
    """``[P, 3]`` at pixels that show a ``face`` [P] of an ``element`` [P] of the batch, at ``weights`` [P, 3] of it."""
    if mesh.face_colors is not None:
        return mesh.face_colors.reshape(-1, 3)[element * len(mesh.faces) + face].to(weights)
    if mesh.texture is not None:
        return _bilinear(mesh.texture.image.to(weights), _mean(mesh.texture.uv, mesh.faces[face], weights))
    if mesh.colors is not None:
        corners = element[:, None] * mesh.vertices.shape[-2] + mesh.faces[face]
        return _mean(mesh.colors.reshape(-1, 3), corners, weights)
    return torch.tensor(NEUTRAL_GREY).to(weights).expand_as(weights)


def _mean(values: Tensor, corners: Tensor, weights: Tensor) -> Tensor:
    """``[P, C]``: the means of values ``[N, C]`` at ``corners`` [P, 3] with ``weights`` [P, 3]."""
    values = values.to(weights)
    # Corner by corner: several times quicker than to gather all three, forwards and backwards.
    first, second, third = (values.index_select(0, corners[:, i]) * weights[:, i, None] for i in range(3))
    return first + second + third


def _bilinear(image: Tensor, uv: Tensor) -> Tensor:
    """Texels ``[P, 3]`` at ``uv`` ``[P, 2]``, the image ``[H, W, 3]`` repeated."""
    repeated = pad(image.movedim(-1, 0)[None], (1, 1, 1, 1), mode="circular")
    height, width = image.shape[:2]
    inside = uv - uv.floor()
    x = (inside[:, 0] * width + 1) / (width + 2) * 2 - 1
    y = ((1 - inside[:, 1]) * height + 1) / (height + 2) * 2 - 1
    return grid_sample(repeated, torch.stack([x, y], -1)[None, None], align_corners=False)[0, :, 0].T


def light(normal: Tensor, shading: Shading) -> Tensor:
    """``[N, 3, H, W]``: what reaches surfaces with these unit normals; the ambient light where a normal is zero."""
    found = _column(shading.ambient).to(normal).expand_as(normal)
    for lamp in shading.lights:
        towards = normalize(_column(lamp.towards), dim=0).to(normal)
        cosine = (normal * towards).sum(1, keepdim=True).clamp(min=0)
        found = found + cosine * _column(lamp.color).to(normal)
    return found


def _column(values: Color | Tensor) -> Tensor:
    """``[3, 1, 1]`` float64."""
    return torch.as_tensor(values, dtype=torch.float64)[:, None, None]
