"""Deferred shading: every image from which face a pixel shows and where on it, in torch."""

import dataclasses
import functools
from typing import final

import torch
from torch import Size, Tensor
from torch.nn.functional import grid_sample, normalize, pad

from render3d.cameras import Cameras
from render3d.color import NEUTRAL_GREY
from render3d.precision import without_autocast
from render3d.renderers.shading import Color, Shading
from render3d.scenes import Mesh


@final
@dataclasses.dataclass(frozen=True)
class SurfacePoints:
    """P points of a surface, each seen in one of the images ``[*batch, views]``.

    Attributes:
        mesh: Its batch broadcasts to ``[*batch]``.
        leading: ``[*batch, views]``.
        image: ``[P]`` int64, the flat index of the image.
        face: ``[P]`` int64.
        weights: ``[P, 3]``, perspective-correct, of the face's vertices.
    """

    mesh: Mesh
    leading: Size
    image: Tensor
    face: Tensor
    weights: Tensor

    @functools.cached_property
    def element(self) -> Tensor:
        """``[P]``, or ``[1]`` if there is one mesh: the number of the mesh in its batch."""
        if self.mesh.batch_shape.numel() == 1:
            return torch.zeros_like(self.image[:1])
        numbers = torch.arange(self.mesh.batch_shape.numel(), device=self.image.device)
        return numbers.reshape(*self.mesh.batch_shape, 1).expand(self.leading).reshape(-1)[self.image]

    @functools.cached_property
    def corners(self) -> Tensor:
        """``[P, 3]``: the vertices of the face, counted through the batch."""
        return self.element[:, None] * self.mesh.vertices.shape[-2] + self.mesh.faces[self.face]

    def positions(self) -> Tensor:
        """``[P, 3]``, world."""
        return _mean(self.mesh.vertices.reshape(-1, 3), self.corners, self.weights)

    def depth(self, cameras: Cameras) -> Tensor:
        """``[P]``: the z of cameras whose batch broadcasts to ``[*batch]``, as in all that follows."""
        axis = cameras.rotation[..., 2, :].expand(*self.leading, 3).reshape(-1, 3).index_select(0, self.image)
        shift = cameras.translation[..., 2].expand(self.leading).reshape(-1)[self.image]
        return (axis * self.positions()).sum(-1) + shift

    def normals(self, cameras: Cameras, shading: Shading) -> Tensor:
        """``[P, 3]``: unit normals, world axes, turned to the camera; of faces, or interpolated where smooth."""
        if shading.normals == "smooth":
            normals = normalize(_mean(self.mesh.vertex_normals().reshape(-1, 3), self.corners, self.weights), dim=-1)
        else:
            normals = self.mesh.face_normals().reshape(-1, 3).index_select(0, self._number_of_face)
        return torch.where(self._turned(cameras)[:, None], -normals, normals)

    def light(self, cameras: Cameras, shading: Shading) -> Tensor:
        """``[P, 3]``, of the type of the weights: what of the light reaches the surface."""
        if shading.normals == "smooth":
            return light_on(self.normals(cameras, shading).to(self.weights), shading)
        normals = self.mesh.face_normals().reshape(-1, 3).to(self.weights)  # there are fewer faces than points
        both = light_on(torch.cat([normals, -normals]), shading)
        return both.index_select(0, self._number_of_face + len(normals) * self._turned(cameras))

    def reflectance(self) -> Tensor:
        """``[P, 3]``, of the type of the weights: the colour of the mesh."""
        mesh = self.mesh
        if mesh.face_colors is not None:
            return mesh.face_colors.reshape(-1, 3)[self._number_of_face].to(self.weights)
        if mesh.texture is not None:
            uv = _mean(mesh.texture.uv, mesh.uv_faces[self.face], self.weights)
            return _bilinear(mesh.texture.image.to(self.weights), uv)
        if mesh.colors is not None:
            return _mean(mesh.colors.reshape(-1, 3), self.corners, self.weights)
        return torch.tensor(NEUTRAL_GREY).to(self.weights).expand_as(self.weights)

    def _turned(self, cameras: Cameras) -> Tensor:
        """``[P]`` bool: whether a camera sees the back of the face."""
        mesh, cameras = self.mesh.detach(), cameras.detach()
        normals, first = mesh.face_normals(), mesh.vertices[..., mesh.faces[:, 0], :]
        if cameras.projection == "orthographic":
            back = cameras.rotation[..., 2, :].to(normals) @ normals.mT > 0
        else:
            middle = mesh.vertices.mean(-2, keepdim=True)  # far from the origin, digits would be lost
            towards = (cameras.position.to(normals) - middle) @ normals.mT
            back = towards < ((first - middle) * normals).sum(-1)[..., None, :]
        return back.expand(*self.leading, -1).reshape(-1)[self.image * len(mesh.faces) + self.face]

    @property
    def _number_of_face(self) -> Tensor:
        """``[P]``, counted through the batch."""
        return self.element * len(self.mesh.faces) + self.face


def deferred(
    mesh: Mesh, cameras: Cameras, face_index: Tensor, barycentric: Tensor, shading: Shading
) -> dict[str, Tensor]:
    """All images of `Rendering` with one sample a pixel, by name, each ``[*batch, views, C, H, W]``.

    Args:
        mesh: Its batch broadcasts to ``[*batch]``.
        cameras: ``[views]``, and a batch that broadcasts to ``[*batch]``.
        face_index: ``[*batch, views, 1, H, W]`` int64, -1 where nothing is.
        barycentric: ``[*batch, views, 3, H, W]``.
        shading: Lights, background and normals; culling and samples are for the caller.

    Differentiable in vertices, colours, texture, lights, poses and ``barycentric``, with ``face_index`` as a constant:
    where a surface is seen, not where it ends.
    """
    seen = face_index >= 0
    points = _points_of(mesh, face_index, barycentric)
    where = seen[..., 0, :, :]
    rgb = image_of(points.reflectance() * points.light(cameras, shading), where, torch.as_tensor(shading.background))
    return {
        "rgb": rgb,
        "alpha": seen.to(rgb),
        "depth": image_of(points.depth(cameras)[:, None], where),
        "normal": image_of(points.normals(cameras, shading), where),
        "face_index": face_index,
        "barycentric": torch.where(seen, barycentric, 0),
    }


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
    points = _points_of(mesh, face_index, barycentric)
    lit = points.reflectance() * light_on(normal.movedim(-3, -1)[seen].to(barycentric), shading)
    return image_of(lit, seen, torch.as_tensor(shading.background))


def image_of(values: Tensor, seen: Tensor, background: Tensor | None = None) -> Tensor:
    """An image ``[..., C, H, W]`` of values ``[P, C]`` where ``seen`` ``[..., H, W]``, elsewhere background or 0."""
    empty = values.new_zeros(()) if background is None else background.to(values)
    return empty.expand(*seen.shape, values.shape[-1]).index_put((seen,), values).movedim(-1, -3)


def weights_at_pixels(corners: Tensor, cameras: Cameras, face_index: Tensor) -> Tensor:
    """Perspective-correct weights of a face's vertices at the centres of pixels, ``[*batch, views, 3, H, W]``.

    Args:
        corners: ``[*batch, views, F, 3, 3]``: the vertices of each face in camera space.
        cameras: ``[views]``, and a batch that broadcasts to ``[*batch]``.
        face_index: ``[*batch, views, 1, H, W]`` int64, -1 where nothing is.

    0 where nothing is. Differentiable in corners and intrinsics; see `weights_through`.
    """
    leading, face = face_index.shape[:-3], face_index[..., 0, :, :]
    image, row, column = torch.nonzero(face.reshape(-1, *cameras.image_size) >= 0, as_tuple=True)
    seen = corners.flatten(0, -4)[image, face[face >= 0].long()]
    matrix = cameras.intrinsics.expand(*leading, 3, 3).reshape(-1, 3, 3).to(corners)[image]
    if cameras.projection == "orthographic":
        seen = torch.cat([seen[..., :2], torch.ones_like(seen[..., 2:])], -1)
    pixels = torch.stack([column, row], -1) + 0.5
    return image_of(weights_through(seen @ matrix.mT, pixels.to(corners)), face >= 0)


def weights_through(corners: Tensor, pixels: Tensor) -> Tensor:
    """Perspective-correct weights ``[P, 3]`` of the vertices of faces at ``pixels`` ``[P, 2]``.

    Args:
        corners: ``[P, 3, 3]``, the vertices of each face: column, row and 1, times the depth (times 1 if there is no
            perspective).
        pixels: Column and row of each point.

    The edge functions of Olano and Greer, "Triangle scan conversion using 2D homogeneous coordinates", 1997, about the
    pixel, so that small faces far away lose no digits. Differentiable in both.
    """
    x, y = (corners[..., :2] - corners[..., 2:] * pixels[:, None]).unbind(-1)
    opposite = x.roll(-1, 1) * y.roll(-2, 1) - y.roll(-1, 1) * x.roll(-2, 1)
    area = opposite.sum(1, keepdim=True)
    return opposite / torch.where(area == 0, 1, area)  # of faces that are seen from their edge, nothing


def _points_of(mesh: Mesh, face_index: Tensor, barycentric: Tensor) -> SurfacePoints:
    """Those that pixels show."""
    leading, seen = face_index.shape[:-3], face_index[..., 0, :, :] >= 0
    image = torch.nonzero(seen.flatten(0, -3))[:, 0]
    face = face_index[..., 0, :, :][seen].long()
    return SurfacePoints(mesh, leading, image, face, barycentric.movedim(-3, -1)[seen])


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
    return light_on(normal.movedim(1, -1), shading).movedim(-1, 1)


def light_on(normals: Tensor, shading: Shading) -> Tensor:
    """``[..., 3]``: what reaches surfaces with these unit ``normals``."""
    found = _vector(shading.ambient).to(normals)
    for lamp in shading.lights:
        towards = normalize(_vector(lamp.towards), dim=0).to(normals)
        found = found + (normals @ towards).clamp(min=0)[..., None] * _vector(lamp.color).to(normals)
    return found.expand_as(normals)


def _vector(values: Color | Tensor) -> Tensor:
    """``[3]`` float64."""
    return torch.as_tensor(values, dtype=torch.float64)
