"""Deferred shading: its images are compared with those of the renderers in tests/conformance; here, its gradients."""

import dataclasses
from typing import Literal

import pytest
import torch
from torch import Tensor

from render3d import Cameras, Mesh, Shading, Texture
from render3d.renderers import OpenGL
from render3d.renderers.deferred import deferred, weights_at_pixels
from render3d.testing.reference import NumpyRenderer
from render3d.testing.scenes import asymmetric_mesh, uneven_cameras


def octahedron() -> Mesh:
    mesh = Mesh.icosphere(0)
    return mesh.with_vertices((mesh.vertices * torch.tensor([1.0, 0.7, 0.8])).double())


def seen(mesh: Mesh, cameras: Cameras) -> tuple[Tensor, Tensor]:
    image = OpenGL()(mesh, cameras, ("face_index", "barycentric"))
    return image.face_index, image.barycentric.double()


@pytest.mark.parametrize("kind", ["colors", "face_colors", "texture"])
def test_colours_have_exact_gradients(kind: str) -> None:
    """The image is linear in them: a step of any size gives the derivative."""
    cameras, mesh = Cameras.sphere(2, 3.0, image_size=(9, 12)), octahedron()
    face, weights = seen(mesh, cameras)
    shape = {"colors": (12, 3), "face_colors": (20, 3), "texture": (4, 5, 3)}[kind]
    random = torch.Generator().manual_seed(0)
    uv = torch.rand(12, 2, generator=random).double() * 3

    def rgb(values: Tensor) -> Tensor:
        painted = Texture(values, uv) if kind == "texture" else values
        changed = dataclasses.replace(mesh, **{kind: painted})
        return deferred(changed, cameras, face, weights, Shading())["rgb"]

    values = torch.rand(*shape, generator=random).double().requires_grad_()
    direction, cotangent = torch.randn(*shape, generator=random).double(), torch.randn(2, 3, 9, 12).double()
    (gradient,) = torch.autograd.grad((rgb(values) * cotangent).sum(), values)
    change = ((rgb(values + direction) - rgb(values)) * cotangent).sum()
    torch.testing.assert_close((gradient * direction).sum(), change, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("output", ["depth", "normal", "rgb"])
@pytest.mark.parametrize("projection", ["perspective", "orthographic"])
def test_vertices_have_the_gradients_of_the_interior(output: str, projection: str) -> None:
    cameras, mesh = Cameras.sphere(2, 3.0, image_size=(9, 12)), octahedron()
    if projection == "orthographic":
        cameras = cameras.to_orthographic(2.2)
    cameras = dataclasses.replace(
        cameras, world_to_camera=cameras.world_to_camera.double(), intrinsics=cameras.intrinsics.double()
    )
    face, weights = seen(mesh, cameras)

    def image(vertices: Tensor) -> Tensor:
        return deferred(mesh.with_vertices(vertices), cameras, face, weights, Shading(normals="smooth"))[output]

    assert torch.autograd.gradcheck(image, mesh.vertices.requires_grad_(), fast_mode=True)


@pytest.mark.parametrize("normals", ["flat", "smooth"])
def test_a_batch_is_its_elements(normals: Literal["flat", "smooth"]) -> None:
    """[2, 1] meshes seen by [3, 2] cameras."""
    cameras = Cameras.sphere(6, 3.0, image_size=(9, 12))
    cameras = Cameras.stack([cameras[:2], cameras[2:4], cameras[4:]])
    mesh = octahedron()
    meshes = mesh.with_vertices(torch.stack([mesh.vertices, mesh.vertices * 0.7])[:, None])
    images = OpenGL()(meshes, cameras, ("face_index", "barycentric"))
    shading = Shading(normals=normals)
    found = deferred(meshes, cameras, images.face_index, images.barycentric.double(), shading)
    for k in range(2):
        for b in range(3):
            seen_by = images[k, b]
            one = deferred(meshes[k, 0], cameras[b], seen_by.face_index, seen_by.barycentric.double(), shading)
            for name, image in one.items():
                torch.testing.assert_close(found[name][k, b], image, msg=name)


@pytest.mark.parametrize("projection", ["perspective", "orthographic"])
def test_where_on_a_face_a_pixel_looks_is_found_from_the_face_alone(
    projection: Literal["perspective", "orthographic"],
) -> None:
    mesh, cameras = asymmetric_mesh(), uneven_cameras(projection)
    expected = NumpyRenderer()(mesh, cameras, ("face_index", "barycentric"))
    corners = cameras.to_camera_space(mesh.vertices)[:, mesh.faces]
    found = weights_at_pixels(corners, cameras, expected.face_index)
    torch.testing.assert_close(found, expected.barycentric, rtol=0, atol=1e-4)


def test_small_faces_far_away_lose_no_digits() -> None:
    """A face of a few pixels at a distance of a thousand times its size."""
    cameras = Cameras.look_at([0.0, 0.0, 1000.0], vertical_fov_degrees=0.1, image_size=(8, 8), far=2000.0)
    corners = torch.tensor([[-0.6, -0.5, 1000.0], [0.7, -0.4, 1000.3], [0.1, 0.8, 999.8]])[None, None]
    face = NumpyRenderer()(
        Mesh(corners[0, 0], torch.tensor([[0, 1, 2]])), standing_at_the_origin(cameras), ("face_index",)
    )
    found, exact = (
        weights_at_pixels(corners.to(dtype), cameras, face.face_index) for dtype in (torch.float32, torch.float64)
    )
    assert (face.face_index >= 0).sum() > 5
    assert (found - exact).abs().max() < 1e-4


def standing_at_the_origin(cameras: Cameras) -> Cameras:
    """Where the world is camera space."""
    return dataclasses.replace(cameras, world_to_camera=torch.eye(4))
