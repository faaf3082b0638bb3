"""Whether gradients of moving shapes are right: against differences of supersampled images, along fields of motion."""

import dataclasses
from typing import Literal, final

import torch
from torch import Tensor

from render3d.cameras import Cameras
from render3d.images import Rendering
from render3d.randomness import Key
from render3d.renderers import OpenGL
from render3d.renderers.base import Renderer
from render3d.renderers.shading import Shading
from render3d.scenes import Mesh, Texture

Image = Literal["alpha", "rgb"]
_STEP = 0.01  # scene units, or of a twist: images of 16 samples and more change evenly


def pebble(subdivisions: int = 2) -> Mesh:
    """A closed surface without symmetry, some 1.3 units long, with colours that differ everywhere."""
    ball = Mesh.icosphere(subdivisions)
    v = ball.vertices * torch.tensor([0.8, 0.5, 0.6])
    v = v + 0.15 * torch.stack([(5 * v[:, 1]).sin(), (4 * v[:, 2] + 1).cos() * v[:, 0], (5 * v[:, 0]).sin() / 2], -1)
    colors = 0.5 + 0.4 * torch.sin(3 * v + torch.tensor([0.0, 1, 2]))
    return Mesh(v - v.mean(0), ball.faces, colors=colors)


def textured_pebble() -> Mesh:
    """The same with a smooth texture."""
    mesh = pebble()
    y, x = torch.meshgrid(torch.linspace(0, 6.28, 33)[:-1], torch.linspace(0, 6.28, 33)[:-1], indexing="ij")
    image = torch.stack([0.5 + 0.3 * (x + y).sin(), 0.5 + 0.3 * x.cos(), 0.4 + 0.3 * (y - 1).sin()], -1)
    return Mesh(mesh.vertices, mesh.faces, texture=Texture(image, mesh.vertices[:, :2] * 0.4 + 0.5))


def seamed_pebble() -> Mesh:
    """The same with a seam round it: on one half, the texture is moved."""
    mesh = textured_pebble()
    assert mesh.texture is not None
    half = (mesh.vertices[mesh.faces].mean(1)[:, :1] > 0).long()
    uv = torch.cat([mesh.texture.uv, mesh.texture.uv + 0.4])
    texture = Texture(mesh.texture.image, uv, mesh.faces + len(mesh.vertices) * half)
    return dataclasses.replace(mesh, texture=texture)


def smooth_fields(vertices: Tensor, count: int = 16) -> Tensor:
    """``[count, V, 3]``: smooth motions of vertices ``[V, 3]``, always the same."""
    random = torch.Generator().manual_seed(0)
    fields = []
    for _ in range(count):
        frequencies, phases = 2 * torch.randn(3, 3, generator=random), 6 * torch.rand(3, generator=random)
        fields.append(torch.sin(vertices @ frequencies + phases))
    return torch.stack(fields)


def rigid_fields(vertices: Tensor) -> Tensor:
    """``[6, V, 3]``: the shifts along the axes, and the turns about them."""
    axes = torch.eye(3)[:, None].expand(3, *vertices.shape)
    return torch.cat([axes, torch.linalg.cross(axes, vertices.expand_as(axes))])


def weighted_sum(image: Tensor) -> Tensor:
    """``[*batch]``: images ``[*batch, views, C, H, W]``, of one channel or three, under smooth weights."""
    height, width = image.shape[-2:]
    y, x = torch.meshgrid(torch.linspace(0, 1, height), torch.linspace(0, 1, width), indexing="ij")
    view = torch.arange(image.shape[-4])[:, None, None, None]
    weights = 1 + (3 * x + view).sin() + (4 * y + 1 - view).cos() + x * y
    channels = torch.tensor([1.0, -0.6, 0.5])[: image.shape[-3], None, None]
    return (image * weights * channels).sum((-1, -2, -3, -4)) / (height * width)


@final
@dataclasses.dataclass(frozen=True, kw_only=True)
class DeformationProblem:
    """A number made of an image, and its derivatives along motions of the mesh or of the cameras.

    Attributes:
        mesh: One mesh.
        cameras: ``[views]``.
        image: What the number is made of, as of `weighted_sum`.
        shading: Of the image, with one sample a pixel.
        samples: Of a pixel, in the images of which differences are taken.
    """

    mesh: Mesh
    cameras: Cameras
    image: Image = "alpha"
    shading: Shading = Shading()  # noqa: RUF009  # it is frozen
    samples: int = 16

    def gradient(self, renderer: Renderer, key: Key | None = None) -> Tensor:
        """``[V, 3]``: of the number in the vertices, by ``renderer``."""
        vertices = self.mesh.vertices.clone().requires_grad_()
        return torch.autograd.grad(
            self._number(renderer, self.mesh.with_vertices(vertices), self.cameras, key), vertices
        )[0]

    def error(self, renderer: Renderer, fields: Tensor, key: Key | None = None) -> float:
        """Of the derivatives along ``fields`` ``[D, V, 3]``, in the norm of those by differences."""
        found = torch.einsum("dvi,vi->d", fields, self.gradient(renderer, key))
        return relative(found, self._differences(fields))

    def twist_error(self, renderer: Renderer, key: Key | None = None) -> float:
        """The same of the derivatives in a twist of each camera, ``[views, 6]``."""
        twist = torch.zeros(self.cameras.views, 6, requires_grad=True)
        number = self._number(renderer, self.mesh, self.cameras.retract(twist), key)
        return relative(torch.autograd.grad(number, twist)[0], self._twist_differences())

    def _number(self, renderer: Renderer, mesh: Mesh, cameras: Cameras, key: Key | None = None) -> Tensor:
        rendering: Rendering = renderer(mesh, cameras, (self.image,), generator=key)
        return weighted_sum(rendering.as_dict()[self.image])

    @property
    def _fine(self) -> OpenGL:
        return OpenGL(dataclasses.replace(self.shading, samples_per_pixel=self.samples))

    @torch.no_grad()
    def _differences(self, fields: Tensor) -> Tensor:
        parts = []
        for some in torch.split(fields, 8):
            ahead, behind = (
                self._number(self._fine, self.mesh.with_vertices(self.mesh.vertices + step * some), self.cameras)
                for step in (_STEP, -_STEP)
            )
            parts.append((ahead - behind) / (2 * _STEP))
        return torch.cat(parts)

    @torch.no_grad()
    def _twist_differences(self) -> Tensor:
        found = torch.zeros(self.cameras.views, 6)
        for view, axis in torch.cartesian_prod(torch.arange(self.cameras.views), torch.arange(6)):
            step = torch.zeros_like(found)
            step[view, axis] = _STEP
            ahead, behind = (self._number(self._fine, self.mesh, self.cameras.retract(each)) for each in (step, -step))
            found[view, axis] = (ahead - behind) / (2 * _STEP)
        return found


def relative(found: Tensor, expected: Tensor) -> float:
    """The norm of a difference as a share of that of what was expected."""
    return float((found - expected).norm() / expected.norm())


def tube(width: float) -> Mesh:
    """A tube 1.6 units long and ``width`` wide, closed, along no axis."""
    angle = torch.arange(12) * torch.pi / 6
    ring = width / 2 * torch.stack([angle.cos(), angle.sin(), torch.zeros(12)], -1)
    ends = torch.tensor([[0.0, 0, -0.8], [0.0, 0, 0.8]])
    turn = torch.linalg.qr(torch.tensor([[1.0, 0.3, 0.2], [-0.4, 1.0, 0.5], [0.1, -0.6, 1.0]])).Q
    vertices = torch.cat([ring + ends[0], ring + ends[1], ends]) @ (turn * torch.linalg.det(turn).sign())
    i = torch.arange(12)
    j = (i + 1) % 12
    sides = [(i, j, 12 + j), (i, 12 + j, 12 + i), (j, i, 24 + 0 * i), (12 + i, 12 + j, 25 + 0 * i)]
    return Mesh(vertices, torch.cat([torch.stack(side, -1) for side in sides]))


def partly_flipped(mesh: Mesh) -> Mesh:
    """The mesh, half of its faces turned round."""
    flipped = torch.rand(len(mesh.faces), 1, generator=torch.Generator().manual_seed(0)) < 0.5
    return dataclasses.replace(mesh, faces=torch.where(flipped, mesh.faces.flip(-1), mesh.faces))


def partly_missing(mesh: Mesh) -> Mesh:
    """The mesh without three tenths of its faces."""
    kept = torch.rand(len(mesh.faces), generator=torch.Generator().manual_seed(0)) < 0.7
    return dataclasses.replace(mesh, faces=mesh.faces[kept])


def with_junctions(mesh: Mesh) -> Mesh:
    """The mesh with a vertex in the middle of an edge of every fifth face, and not of its neighbour: T-junctions."""
    first, second, third = mesh.faces[::5].unbind(-1)
    middle = (mesh.vertices[first] + mesh.vertices[second]) / 2
    number = len(mesh.vertices) + torch.arange(len(middle))
    kept = torch.arange(len(mesh.faces)) % 5 != 0
    halves = [torch.stack([first, number, third], -1), torch.stack([number, second, third], -1)]
    return Mesh(torch.cat([mesh.vertices, middle]), torch.cat([mesh.faces[kept], *halves]))


def passing_through() -> Mesh:
    """Two balls that pass through one another, in two colours."""
    ball = Mesh.icosphere(2, radius=0.6)
    count = len(ball.vertices)
    vertices = torch.cat(
        [ball.vertices - torch.tensor([0.3, 0, 0]), 0.9 * ball.vertices + torch.tensor([0.3, 0.1, 0.05])]
    )
    colors = torch.tensor([[0.9, 0.2, 0.2], [0.2, 0.3, 0.9]]).repeat_interleave(count, 0)
    return Mesh(vertices, torch.cat([ball.faces, ball.faces + count]), colors=colors)


def room() -> tuple[Mesh, Cameras]:
    """A room and three cameras in it: vertices lie behind each."""
    ball = Mesh.icosphere(2)
    eyes = torch.tensor([[0.3, 0.0, 0.2], [-0.5, 0.1, 0.0], [0.0, -0.2, 0.4]])
    towards = torch.tensor([[2.0, 0, 0], [0, 0.3, 2.0], [-2.0, 0, 1]])
    cameras = Cameras.look_at(eyes, towards, vertical_fov_degrees=70.0, image_size=(48, 64))
    return ball.with_vertices(ball.vertices * torch.tensor([2.0, 1.0, 2.0])), cameras
