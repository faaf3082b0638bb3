"""Deferred shading: every image from which face a pixel shows and where on it, in torch."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import grid_sample, normalize, pad

from render3d.cameras import Cameras
from render3d.renderers.base import NEUTRAL_GREY, Shading
from render3d.scenes import Mesh


def deferred(
    mesh: Mesh, cameras: Cameras, face_index: Tensor, barycentric: Tensor, shading: Shading
) -> dict[str, Tensor]:
    """All images of `Rendering` with one sample a pixel, by name, each ``[views, C, H, W]``.

    Args:
        mesh: One mesh, without a batch.
        cameras: ``[views]``.
        face_index: ``[views, 1, H, W]`` int64, -1 where nothing is.
        barycentric: ``[views, 3, H, W]``, perspective-correct weights of the face's vertices.
        shading: Lights, background and normals; culling and samples are for the caller.

    Differentiable in vertices, colours, texture and poses, with ``face_index`` and ``barycentric`` as constants: where
    a surface is seen, not where it ends.
    """
    seen = face_index >= 0
    face = face_index[:, 0].clamp(min=0)
    weights = torch.where(seen, barycentric, 0).movedim(1, -1)[..., None]

    def mean(values: Tensor) -> Tensor:
        """``[views, C, H, W]`` of values ``[V, C]`` of vertices."""
        return (values[mesh.faces][face] * weights).sum(-2).movedim(-1, 1)

    points = mean(mesh.vertices)
    depth = (cameras.rotation[:, 2, :, None, None] * points).sum(1) + cameras.translation[:, 2, None, None]
    normal = mesh.face_normals()[face].movedim(-1, 1)
    towards = cameras.position[:, :, None, None] - points
    if cameras.projection == "orthographic":
        towards = -cameras.rotation[:, 2, :, None, None].expand_as(points)
    turned = (normal * towards).sum(1, keepdim=True) < 0
    if shading.normals == "smooth":
        normal = normalize(mean(mesh.vertex_normals()), dim=1)
    normal = torch.where(seen, torch.where(turned, -normal, normal), 0)
    rgb = _reflectance(mesh, face, mean) * light(normal, shading)
    return {
        "rgb": torch.where(seen, rgb, _column(shading.background).to(rgb)),
        "alpha": seen.to(rgb),
        "depth": torch.where(seen, depth[:, None], 0),
        "normal": normal,
        "face_index": face_index,
        "barycentric": torch.where(seen, barycentric, 0),
    }


def _reflectance(mesh: Mesh, face: Tensor, mean: Callable[[Tensor], Tensor]) -> Tensor:
    if mesh.texture is not None:
        return _bilinear(mesh.texture.image, mean(mesh.texture.uv))
    if mesh.face_colors is not None:
        return mesh.face_colors[face].movedim(-1, 1)
    return _column(NEUTRAL_GREY).to(face.device) if mesh.colors is None else mean(mesh.colors)


def _bilinear(image: Tensor, uv: Tensor) -> Tensor:
    """Texels at ``uv`` ``[views, 2, H, W]``, the image ``[H, W, 3]`` repeated: ``[views, 3, H, W]``."""
    repeated = pad(image.movedim(-1, 0)[None], (1, 1, 1, 1), mode="circular")
    height, width = image.shape[:2]
    inside = uv - uv.floor()
    x = (inside[:, 0] * width + 1) / (width + 2) * 2 - 1
    y = ((1 - inside[:, 1]) * height + 1) / (height + 2) * 2 - 1
    return grid_sample(repeated.expand(len(uv), -1, -1, -1), torch.stack([x, y], -1).to(image), align_corners=False)


def light(normal: Tensor, shading: Shading) -> Tensor:
    """``[N, 3, H, W]``: what reaches surfaces with these unit normals; the ambient light where a normal is zero."""
    found = _column(shading.ambient).to(normal).expand_as(normal)
    for lamp in shading.lights:
        towards = normalize(_column(lamp.towards), dim=0).to(normal)
        cosine = (normal * towards).sum(1, keepdim=True).clamp(min=0)
        found = found + cosine * _column(lamp.color).to(normal)
    return found


def _column(values: tuple[float, float, float]) -> Tensor:
    """``[3, 1, 1]`` float64."""
    return torch.tensor(values, dtype=torch.float64)[:, None, None]
