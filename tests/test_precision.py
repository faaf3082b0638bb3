"""Autocast and half precision change no place, no camera and no picture."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

import render3d as r3
from render3d import conventions as to
from render3d.cameras import Projection
from render3d.errors import CameraError
from render3d.estimators import (
    expected_loss,
    local_credit,
    local_regression,
    multi_sample_bound,
)
from render3d.images import Rendering
from render3d.renderers import DeferredShading, EmissionAbsorption, LearnedProjection, MaxProjection, Renderer
from render3d.renderers.volumetric.warps import warp_to_view
from render3d.spatial import Affine, ScaleShift, read, superpose, write
from render3d.testing.scenes import asymmetric_mesh, uneven_cameras


def autocast() -> torch.autocast:
    return torch.autocast("cpu", torch.bfloat16)


CAMERAS: dict[str, Callable[[r3.Cameras], r3.Cameras]] = {
    "look_at": lambda _: r3.Cameras.look_at((0.3, 1.0, 3.0), image_size=(24, 40)),
    "orbit": lambda _: r3.Cameras.orbit(5, 3.0),
    "retract": lambda cameras: cameras.retract(torch.linspace(-0.3, 0.4, 6).expand(cameras.views, 6)),
    "opengl": lambda cameras: to.from_opengl(to.to_opengl(cameras)),
    "nvdiffrast": lambda cameras: to.from_nvdiffrast(to.to_nvdiffrast(cameras)),
    "pytorch3d": lambda cameras: to.from_pytorch3d(to.to_pytorch3d(cameras)),
    "kaolin": lambda cameras: to.from_kaolin(to.to_kaolin(cameras)),
    "mitsuba": lambda cameras: to.from_mitsuba(to.to_mitsuba(cameras)),
    "colmap": lambda cameras: to.from_colmap(to.to_colmap(cameras)),
    "opencv": lambda cameras: to.from_opencv(to.to_opencv(cameras)),
    "nerfstudio": lambda cameras: to.from_nerfstudio(to.to_nerfstudio(cameras)),
}


@pytest.mark.parametrize("name", CAMERAS)
def test_cameras_are_made_and_converted_exactly(name: str) -> None:
    cameras = r3.Cameras.sphere(4, 3.0, image_size=(96, 160))[1:2].crop(3, 7, 80, 120)
    expected = CAMERAS[name](cameras)
    with autocast():
        found = CAMERAS[name](cameras)
    assert torch.equal(found.world_to_camera, expected.world_to_camera)
    assert torch.equal(found.intrinsics, expected.intrinsics)


BALL = r3.Volume.from_mesh(r3.Mesh.icosphere(1, radius=0.6), resolution=12)
PLACES: dict[str, Callable[[r3.Cameras, r3.Mesh], Tensor]] = {
    "position": lambda cameras, mesh: cameras.position,
    "camera_to_world": lambda cameras, mesh: cameras.camera_to_world,
    "project": lambda cameras, mesh: cameras.project(mesh.vertices),
    "origins": lambda cameras, mesh: cameras.rays().origins,
    "directions": lambda cameras, mesh: cameras.rays().directions,
    "restored": lambda cameras, mesh: mesh.normalized().normalized().restored().vertices,
    "affine warp": lambda cameras, mesh: warp_to_view(BALL, cameras, 9, "affine"),
    "frustum warp": lambda cameras, mesh: warp_to_view(BALL, cameras, 9, "frustum"),
    "normals": lambda cameras, mesh: mesh.vertex_normals(),
}


@pytest.mark.parametrize("projection", ["perspective", "orthographic"])
@pytest.mark.parametrize("name", PLACES)
def test_places_are_computed_exactly(name: str, projection: Projection) -> None:
    cameras, mesh = uneven_cameras(projection), asymmetric_mesh()
    expected = PLACES[name](cameras, mesh)
    with autocast():
        found = PLACES[name](cameras, mesh)
    assert found.dtype == torch.float32 and torch.equal(found, expected)


def transforms() -> list[Affine | ScaleShift]:
    scale_shift = ScaleShift(torch.tensor([0.61, 0.43, 0.77]), torch.tensor([0.113, -0.237, 0.071]))
    turned = torch.linalg.matrix_exp(torch.tensor([[0, 0.3, -0.2], [-0.3, 0, 0.1], [0.2, -0.1, 0]]))
    return [scale_shift, Affine(torch.cat([0.7 * turned, scale_shift.shift[:, None]], dim=-1))]


@pytest.mark.parametrize("transform", transforms())
def test_patches_are_read_and_written_exactly(transform: Affine | ScaleShift) -> None:
    def all_of_it(canvas: Tensor) -> list[Tensor]:
        there = transform.compose(transform.inverse().compose(transform))  # type: ignore[arg-type]
        patches = torch.stack([canvas, canvas.flip(-1)])
        every = type(there).stack([there, transform])  # type: ignore[list-item]
        gradient = torch.autograd.grad(read(canvas, there, (4, 5, 6)).square().sum(), canvas)
        return [read(canvas, there, (4, 5, 6)), write(canvas, there, (9, 9, 9)), superpose(patches, every, (9, 9, 9)),
                *gradient]  # fmt: skip

    canvas = torch.rand(2, 7, 8, 9, generator=torch.Generator().manual_seed(0), requires_grad=True)
    expected = all_of_it(canvas)
    with autocast():
        found = all_of_it(canvas)
    assert all(torch.equal(one, other) for one, other in zip(found, expected, strict=True))


def test_an_affine_place_keeps_its_digits_for_a_canvas_in_half_precision() -> None:
    canvas = torch.rand(1, 64, 64, 64, generator=torch.Generator().manual_seed(0))
    expected = read(canvas, transforms()[1], (32, 32, 32))
    found = read(canvas.bfloat16(), transforms()[1], (32, 32, 32))
    assert found.dtype == torch.bfloat16
    assert float((found.float() - expected).abs().max()) < 2**-7  # of the values: places would be off by a cell


def _loss(renderer: Renderer, mesh: r3.Mesh, cameras: r3.Cameras, along: str) -> Tensor:
    target = torch.zeros(*cameras.image_size)
    target[8:30, 10:40] = 1

    def by_pixel(images: Rendering) -> Tensor:
        return (images.alpha[..., 0, :, :] - target).square()

    key = r3.Key(3)
    if along == "smoothed":
        return by_pixel(r3.differentiable(renderer)(mesh, cameras, generator=key)).sum()
    if along == "bound":
        return multi_sample_bound(renderer, mesh, cameras[:1], lambda images: -by_pixel(images), 8, generator=key).sum()
    estimators = {
        "axes": local_credit(8),
        "normals": local_credit(8, along="normals"),
        "regression": local_regression(32),
    }
    return expected_loss(renderer, mesh, cameras, by_pixel, estimators[along], generator=key)


@pytest.mark.parametrize("along", ["axes", "normals", "regression", "smoothed", "bound"])
def test_estimated_gradients_are_the_same(along: str) -> None:
    renderer, mesh = r3.renderers.OpenGL(), asymmetric_mesh()
    vertices = mesh.vertices.clone().requires_grad_()
    cameras = uneven_cameras("perspective")

    losses = [_loss(renderer, mesh.with_vertices(vertices), cameras, along)]
    with autocast():
        losses.append(_loss(renderer, mesh.with_vertices(vertices), cameras, along))
    expected, found = (torch.autograd.grad(loss, vertices)[0] for loss in losses)
    assert torch.equal(*losses)
    assert expected.abs().sum() > 0 and torch.equal(found, expected)


def test_deferred_shading_is_the_same() -> None:
    mesh = asymmetric_mesh()
    colors = torch.rand(mesh.vertices.shape, generator=torch.Generator().manual_seed(0)).requires_grad_()
    colored = r3.Mesh(mesh.vertices, mesh.faces, colors)

    renderer, cameras = DeferredShading(r3.renderers.OpenGL()), uneven_cameras("perspective")
    expected = renderer(colored, cameras).rgb
    with autocast():
        found = renderer(colored, cameras).rgb
    assert torch.equal(found, expected)
    gradients = [torch.autograd.grad(rgb.square().sum(), colors)[0] for rgb in (expected, found)]
    assert torch.equal(*gradients)


VOLUMETRIC: list[Renderer] = [EmissionAbsorption(), MaxProjection(), LearnedProjection(warp="affine"),
                              LearnedProjection(warp="frustum")]  # fmt: skip


@pytest.mark.parametrize("renderer", VOLUMETRIC, ids=["emission", "maximum", "affine", "frustum"])
def test_pictures_of_volumes_are_those_of_the_same_places(renderer: Renderer) -> None:
    density = torch.rand(1, 20, 20, 20, generator=torch.Generator().manual_seed(0)).bfloat16()
    cameras = uneven_cameras("perspective")[:2].crop(20, 40, 48, 80)
    expected = renderer(r3.Volume(density.float()), cameras, ("alpha",)).alpha
    assert torch.equal(renderer(r3.Volume(density), cameras, ("alpha",)).alpha, expected)
    with autocast():
        found = renderer(r3.Volume(density), cameras, ("alpha",)).alpha
    assert found.dtype == torch.float32
    tolerance = 0.02 if isinstance(renderer, LearnedProjection) else 0.0  # its convolutions are those of a network
    assert float((found - expected).detach().abs().max()) <= tolerance


def test_what_networks_make_in_half_precision_becomes_a_mesh_and_cameras_in_float32() -> None:
    vertices = asymmetric_mesh().vertices.bfloat16().requires_grad_()
    colors = torch.rand(vertices.shape).half()
    mesh = r3.Mesh(vertices, asymmetric_mesh().faces, colors)
    assert mesh.colors is not None and mesh.vertices.dtype == mesh.colors.dtype == torch.float32
    assert torch.equal(mesh.vertices, vertices.float())
    mesh.vertex_normals().square().sum().backward()  # type: ignore[no-untyped-call]
    assert vertices.grad is not None and vertices.grad.dtype == torch.bfloat16
    cameras = r3.Cameras.look_at(torch.tensor([[0.5, 1.0, 3.0]]).bfloat16())
    assert cameras.dtype == torch.float32
    assert torch.equal(cameras.world_to_camera, r3.Cameras.look_at((0.5, 1.0, 3.0)).world_to_camera)
    twist = torch.full((1, 6), 0.125).bfloat16()
    assert torch.equal(cameras.retract(twist).world_to_camera, cameras.retract(twist.float()).world_to_camera)


def test_a_pose_that_was_rounded_to_half_precision_is_no_rotation_any_more() -> None:
    cameras = uneven_cameras("perspective")
    with pytest.raises(CameraError, match="must be a rotation"):
        r3.Cameras(cameras.world_to_camera.bfloat16(), cameras.intrinsics, cameras.image_size)
