"""Smoothed renderers and expected losses: values, gradients, and the rules that keep gradients honest."""

import dataclasses
from collections.abc import Sequence

import pytest
import torch
from torch import Tensor

import render3d as r3
from render3d import Key, Mesh, Rendering
from render3d.errors import CapabilityError, GradientError, ShapeError
from render3d.estimators import (
    Estimator,
    Smoothed,
    antithetic,
    differentiable,
    expected_loss,
    leave_one_out,
    local_credit,
    reinforce,
)
from render3d.testing.pixel_function import PixelFunction


def pattern(rendering: Rendering) -> Tensor:
    height, width = rendering.image_size
    weights = torch.randn(height, width, generator=torch.Generator().manual_seed(8))
    return rendering.alpha[..., 0, :, :] * weights


def exact_gradients(box: PixelFunction, mesh: Mesh, cameras: r3.Cameras, twist: Tensor) -> tuple[Tensor, Tensor]:
    vertices = mesh.vertices.clone().requires_grad_()
    loss = pattern(box(mesh.with_vertices(vertices), cameras.retract(twist))).sum()
    vertex_gradient, twist_gradient = torch.autograd.grad(loss, (vertices, twist))
    return vertex_gradient, twist_gradient


@pytest.mark.parametrize("way", ["smoothed", "expected"])
def test_gradients_of_a_linear_box_are_exact_on_average(
    mesh: Mesh, cameras: r3.Cameras, linear_box: PixelFunction, way: str
) -> None:
    """Vertices and poses, by chi-squared over all coordinates: a right estimator fails with probability 1e-3."""
    resting = torch.zeros(2, 6, requires_grad=True)
    expected = torch.cat([gradient.flatten() for gradient in exact_gradients(linear_box, mesh, cameras, resting)])
    smoothed, calls = Smoothed(linear_box, leave_one_out(16, 0.1)), 800  # a batch: each example has its own noise
    vertices = mesh.vertices.expand(calls, -1, -1).clone().requires_grad_()
    twist = torch.zeros(calls, 2, 6, requires_grad=True)
    scene, moved = mesh.with_vertices(vertices), r3.Cameras.stack([cameras] * calls).retract(twist)
    if way == "smoothed":
        loss = pattern(smoothed(scene, moved, ("alpha",), generator=Key(1)))
    else:
        loss = expected_loss(linear_box, scene, moved, pattern, smoothed.estimator, generator=Key(1))
    found = torch.autograd.grad(loss.sum(), (vertices, twist))
    estimates = torch.cat([gradient.flatten(1) for gradient in found], dim=1).double()
    deviation = estimates.mean(0) - expected
    # Poses repeat what vertices know, so the covariance is singular: use the directions that vary.
    variance, directions = torch.linalg.eigh(estimates.T.cov() / calls)
    real = variance > 1e-6 * variance.max()
    chi2 = ((deviation @ directions)[real] ** 2 / variance[real]).sum()
    assert chi2 < torch.distributions.Chi2(torch.tensor(float(real.sum()))).mean + 5 * (2 * real.sum()) ** 0.5
    assert (deviation @ directions)[~real].abs().max() < 1e-2


def test_intrinsics_get_the_gradient_that_moving_the_points_would_give(mesh: Mesh, cameras: r3.Cameras) -> None:
    """On a box that reads pixels: exact gradients in intrinsics come through camera-space vertices."""
    from render3d.estimators.perturbation import camera_space

    for system in (cameras, cameras.to_orthographic(4.0)):
        intrinsics = system.intrinsics.clone().requires_grad_()
        varied = dataclasses.replace(system, intrinsics=intrinsics)
        (exact,) = torch.autograd.grad(varied.project(mesh.vertices).square().sum(), intrinsics)
        through = system.to_pixels(camera_space(mesh, varied)).square().sum()
        (carried,) = torch.autograd.grad(through, intrinsics)
        torch.testing.assert_close(carried[..., :2, :], exact[..., :2, :], rtol=1e-4, atol=1e-2)


def test_smoothed_shows_the_mean_of_noisy_renderings(
    mesh: Mesh, cameras: r3.Cameras, curved_box: PixelFunction
) -> None:
    estimator = leave_one_out(7, 0.2)
    shown = Smoothed(curved_box, estimator)(mesh, cameras, generator=Key(2))
    noisy = mesh.with_vertices(mesh.vertices + estimator.noise.draw(Key(2), 7, mesh, cameras).displacements.squeeze(-3))
    torch.testing.assert_close(shown.alpha, curved_box(noisy, cameras).alpha.mean(0))
    assert shown.leading_shape == (2,)


def test_sharp_has_the_sharp_values_and_the_mean_gradient(
    mesh: Mesh, cameras: r3.Cameras, curved_box: PixelFunction
) -> None:
    results = {}
    for shows in ("mean", "sharp"):
        vertices = mesh.vertices.clone().requires_grad_()
        renderer = Smoothed(curved_box, leave_one_out(5, 0.2), shows=shows)
        image = renderer(mesh.with_vertices(vertices), cameras, generator=Key(2)).alpha
        results[shows] = (image.detach(), torch.autograd.grad(image.sum(), vertices)[0])
    torch.testing.assert_close(results["sharp"][0], curved_box(mesh, cameras).alpha)
    torch.testing.assert_close(results["sharp"][1], results["mean"][1])
    assert not torch.allclose(results["sharp"][0], results["mean"][0])


def test_one_sharp_rendering_without_gradients(mesh: Mesh, cameras: r3.Cameras, curved_box: PixelFunction) -> None:
    renderer = Smoothed(curved_box)
    sharp = curved_box(mesh, cameras).alpha
    with torch.no_grad():
        assert torch.equal(renderer(mesh, cameras).alpha, sharp)
        loss = expected_loss(curved_box, mesh, cameras, pattern, renderer.estimator)
        torch.testing.assert_close(loss, pattern(curved_box(mesh, cameras)).sum())
    assert torch.equal(renderer.eval()(mesh, cameras).alpha, sharp)


def test_expected_loss_is_the_mean_over_samples_of_the_sum_over_views_and_pixels(
    mesh: Mesh, cameras: r3.Cameras, curved_box: PixelFunction
) -> None:
    estimator = leave_one_out(4, 0.3)
    batch = mesh.with_vertices(torch.stack([mesh.vertices, 2 * mesh.vertices, 0.5 * mesh.vertices]))
    loss = expected_loss(curved_box, batch, cameras, pattern, estimator, generator=Key(6))
    noisy = batch.with_vertices(
        batch.vertices + estimator.noise.draw(Key(6), 4, batch, cameras).displacements.squeeze(-3)
    )
    torch.testing.assert_close(loss, pattern(curved_box(noisy, cameras)).sum((-1, -2, -3)).mean(0))
    assert loss.shape == (3,)


@pytest.mark.parametrize("way", ["smoothed", "expected"])
def test_splitting_a_batch_changes_nothing(
    mesh: Mesh, cameras: r3.Cameras, curved_box: PixelFunction, way: str
) -> None:
    scales = torch.tensor([1.0, 2.0, 0.5, 1.5])
    vertices = (mesh.vertices * scales[:, None, None]).requires_grad_()
    estimator = leave_one_out(4, 0.3)

    def gradient(part: slice) -> Tensor:
        scene, key = mesh.with_vertices(vertices[part]), Key(6, first_example=part.start)
        if way == "smoothed":
            loss = Smoothed(curved_box, estimator)(scene, cameras, generator=key).alpha.square().sum()
        else:
            loss = expected_loss(curved_box, scene, cameras, pattern, estimator, generator=key).sum()
        return torch.autograd.grad(loss, vertices)[0]

    torch.testing.assert_close(gradient(slice(0, 4)), gradient(slice(0, 2)) + gradient(slice(2, 4)))


def test_cameras_may_have_a_batch_that_the_mesh_lacks(
    mesh: Mesh, cameras: r3.Cameras, curved_box: PixelFunction
) -> None:
    batch = r3.Cameras.stack([cameras, cameras.crop(0, 0, 4, 6), cameras])
    vertices = mesh.vertices.clone().requires_grad_()
    scene, estimator = mesh.with_vertices(vertices), leave_one_out(4, 0.3)
    together = expected_loss(curved_box, scene, batch, pattern, estimator, generator=Key(6))
    alone = [expected_loss(curved_box, scene, batch[i], pattern, estimator, generator=Key(6)) for i in range(3)]
    torch.testing.assert_close(together, torch.stack(alone))
    gradients = [torch.autograd.grad(loss, vertices)[0] for loss in (together.sum(), torch.stack(alone).sum())]
    torch.testing.assert_close(*gradients)


def test_what_the_loss_depends_on_otherwise_gets_its_gradient(
    mesh: Mesh, cameras: r3.Cameras, linear_box: PixelFunction
) -> None:
    gain = torch.tensor(2.0, requires_grad=True)
    vertices = mesh.vertices.clone().requires_grad_()
    scene = mesh.with_vertices(vertices)
    loss = expected_loss(
        linear_box, scene, cameras, lambda image: gain * pattern(image), leave_one_out(4), generator=Key(1)
    )
    gradients = torch.autograd.grad(loss, (gain, vertices))
    torch.testing.assert_close(gradients[0], loss.detach() / 2)
    assert gradients[1].abs().max() > 0


def test_no_silent_zero(mesh: Mesh, cameras: r3.Cameras, linear_box: PixelFunction) -> None:
    colors = torch.rand(5, 3, requires_grad=True)
    colored = dataclasses.replace(mesh, colors=colors)
    with pytest.raises(GradientError, match="colors must get a gradient. .* PixelFunction has no face_index"):
        Smoothed(linear_box)(colored, cameras)
    textured = dataclasses.replace(mesh, texture=r3.Texture(torch.rand(2, 2, 3).requires_grad_(), torch.rand(5, 2)))
    with pytest.raises(GradientError, match="texture.image must get a gradient"):
        expected_loss(linear_box, textured, cameras, pattern, leave_one_out())
    with torch.no_grad():
        Smoothed(linear_box)(colored, cameras)


def test_a_second_derivative_is_an_error(mesh: Mesh, cameras: r3.Cameras, linear_box: PixelFunction) -> None:
    vertices = mesh.vertices.clone().requires_grad_()
    scene = mesh.with_vertices(vertices)
    for loss in (
        Smoothed(linear_box)(scene, cameras).alpha.square().sum(),
        expected_loss(linear_box, scene, cameras, pattern, leave_one_out()) ** 2,
    ):
        (gradient,) = torch.autograd.grad(loss, vertices, create_graph=True)
        with pytest.raises(RuntimeError, match="once_differentiable"):
            gradient.sum().backward()


def test_differentiable_wraps_only_black_boxes(linear_box: PixelFunction) -> None:
    estimator = reinforce()
    wrapped = differentiable(linear_box, estimator)
    assert isinstance(wrapped, Smoothed)
    assert wrapped.estimator is estimator
    assert differentiable(wrapped) is wrapped
    assert isinstance(wrapped, r3.renderers.Renderer)


def test_capabilities_of_a_smoothed_renderer(mesh: Mesh, cameras: r3.Cameras) -> None:
    renderer = differentiable(r3.renderers.OpenGL(), "local_credit")
    assert renderer.capabilities.gradients == {"colors", "lights", "interior", "silhouette", "pose"}
    assert "face_index" not in renderer.capabilities.outputs
    with pytest.raises(CapabilityError, match=r"face_index has no mean, so Smoothed\(OpenGL\) cannot give it"):
        renderer(mesh, cameras, ("face_index",))


def test_depth_and_normals_are_means_weighted_by_alpha() -> None:
    mesh = Mesh(torch.tensor([[-1.0, -1, 0], [1, -1, 0], [0, 1, 0]]), torch.tensor([[0, 1, 2]]))
    camera = r3.Cameras.look_at((0, 0, 3.0), image_size=(24, 32))
    estimator = leave_one_out(9, 0.05)
    black_box = r3.renderers.OpenGL()
    shown = Smoothed(black_box, estimator)(mesh, camera, ("depth", "normal", "alpha"), generator=Key(3))
    noisy = mesh.with_vertices(mesh.vertices + estimator.noise.draw(Key(3), 9, mesh, camera).displacements.squeeze(-3))
    samples = black_box(noisy, camera, ("depth", "normal", "alpha"))
    weight = samples.alpha.sum(0).clamp(min=1e-9)
    torch.testing.assert_close(shown.depth, (samples.alpha * samples.depth).sum(0) / weight)
    torch.testing.assert_close(shown.normal, (samples.alpha * samples.normal).sum(0) / weight, atol=1e-5, rtol=1e-4)
    inside = shown.depth[shown.alpha > 0]
    assert inside.min() > 2.5


def test_depth_is_differentiable() -> None:
    """A triangle that fills the view and moves away: d depth / d z is 1 at every pixel."""
    vertices = torch.tensor([[-9.0, -9, 0], [9, -9, 0], [0, 14, 0]], requires_grad=True)
    camera = r3.Cameras.look_at((0, 0, 3.0), image_size=(6, 8))
    renderer = Smoothed(r3.renderers.OpenGL(), leave_one_out(4000, 0.05))
    depth = renderer(Mesh(vertices, torch.tensor([[0, 1, 2]])), camera, ("depth",), generator=Key(3)).depth
    (gradient,) = torch.autograd.grad(depth.mean(), vertices)
    assert gradient[:, 2].sum() == pytest.approx(-1, abs=0.1)


def test_a_loss_of_the_wrong_shape_is_an_error(mesh: Mesh, cameras: r3.Cameras, linear_box: PixelFunction) -> None:
    with pytest.raises(ShapeError, match=r"pixel_loss must return one number a pixel, of shape \[16, 2, 4, 6\]"):
        expected_loss(linear_box, mesh, cameras, lambda image: image.alpha, leave_one_out())


def test_a_renderer_that_forgets_the_samples_is_named(
    mesh: Mesh, cameras: r3.Cameras, linear_box: PixelFunction
) -> None:
    class Forgetful:
        capabilities = linear_box.capabilities

        def __call__(self, scene: Mesh, cameras: r3.Cameras, outputs: Sequence[str], **_: object) -> Rendering:
            return linear_box(scene[0], cameras, outputs)

    for estimator in (leave_one_out(4), local_credit(4)):
        with pytest.raises(ShapeError, match=r"PixelFunction returned images .* expected \[4, 2, 4, 6\]"):
            expected_loss(Forgetful(), mesh, cameras, pattern, estimator)  # type: ignore[arg-type]


def test_a_list_of_meshes_is_an_error(mesh: Mesh, cameras: r3.Cameras, linear_box: PixelFunction) -> None:
    with pytest.raises(CapabilityError, match="Estimators take one Mesh"):
        Smoothed(linear_box)([mesh, mesh], cameras)


def test_batches_that_do_not_broadcast(mesh: Mesh, cameras: r3.Cameras, linear_box: PixelFunction) -> None:
    batch = mesh.with_vertices(mesh.vertices.expand(3, 5, 3))
    with pytest.raises(ShapeError, match=r"scene has batch shape \[3\] and cameras has batch shape \[2\]"):
        expected_loss(linear_box, batch, r3.Cameras.stack([cameras] * 2), pattern, leave_one_out())


def test_shows_must_be_known(linear_box: PixelFunction) -> None:
    with pytest.raises(ValueError, match="shows must be 'mean' or 'sharp'"):
        Smoothed(linear_box, shows="median")  # type: ignore[arg-type]


def test_crossfit_shows_one_half_and_credits_the_other(
    mesh: Mesh, cameras: r3.Cameras, curved_box: PixelFunction
) -> None:
    """The halves are two plain calls, of the keys ``key.fold_in(1)`` and ``key``."""
    vertices = mesh.vertices.clone().requires_grad_()
    scene, key, half = mesh.with_vertices(vertices), Key(2), Smoothed(curved_box, leave_one_out(3, 0.2))
    fitted = Smoothed(curved_box, leave_one_out(6, 0.2), crossfit=True)(scene, cameras, generator=key)
    shown, credited = half(mesh, cameras, generator=key.fold_in(1)), half(scene, cameras, generator=key)
    assert torch.equal(fitted.alpha, shown.alpha)
    (found,) = torch.autograd.grad(fitted.alpha.square().sum(), vertices)
    (expected,) = torch.autograd.grad((2 * shown.alpha * credited.alpha).sum(), vertices)
    torch.testing.assert_close(found, expected)


def test_crossfit_of_means_weighted_by_alpha() -> None:
    """A triangle that fills the view and moves away: d depth / d z is 1, whichever samples are shown."""
    vertices = torch.tensor([[-9.0, -9, 0], [9, -9, 0], [0, 14, 0]], requires_grad=True)
    camera = r3.Cameras.look_at((0, 0, 3.0), image_size=(6, 8))
    renderer = Smoothed(r3.renderers.OpenGL(), leave_one_out(8000, 0.05), crossfit=True)
    depth = renderer(Mesh(vertices, torch.tensor([[0, 1, 2]])), camera, ("depth",), generator=Key(3)).depth
    (gradient,) = torch.autograd.grad(depth.mean(), vertices)
    assert gradient[:, 2].sum() == pytest.approx(-1, abs=0.1)


@pytest.mark.parametrize(
    ("estimator", "message"),
    [
        (leave_one_out(5), "samples must be a multiple of 2, at least 4, for LeaveOneOut; got samples=5"),
        (leave_one_out(2), "samples must be a multiple of 2, at least 4, for LeaveOneOut; got samples=2"),
        (antithetic(6), "samples must be a multiple of 4, at least 4, for Paired; got samples=6"),
    ],
)
def test_crossfit_needs_samples_for_two_halves(linear_box: PixelFunction, estimator: Estimator, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Smoothed(linear_box, estimator, crossfit=True)


def test_crossfit_of_pairs(mesh: Mesh, cameras: r3.Cameras, linear_box: PixelFunction) -> None:
    """Each half has both of its pairs: on a linear box, the mean image is the sharp one."""
    shown = Smoothed(linear_box, antithetic(8, 0.1), crossfit=True)(mesh, cameras, generator=Key(0)).alpha
    torch.testing.assert_close(shown, linear_box(mesh, cameras).alpha, rtol=1e-4, atol=1e-5)


def test_the_sharp_image_needs_no_crossfit(linear_box: PixelFunction) -> None:
    with pytest.raises(ValueError, match="the sharp image depends on no sample"):
        Smoothed(linear_box, shows="sharp", crossfit=True)


@pytest.mark.parametrize("way", ["smoothed", "expected"])
def test_meshes_in_float64_have_gradients_in_float64(way: str) -> None:
    """OpenGL's images are float32 whatever the mesh is."""
    cameras = r3.Cameras.orbit(2, 3.0, image_size=(16, 16))
    cameras = dataclasses.replace(
        cameras, world_to_camera=cameras.world_to_camera.double(), intrinsics=cameras.intrinsics.double()
    )
    ball, opengl, gradients = r3.Mesh.icosphere(1, radius=0.8), r3.renderers.OpenGL(), []
    for vertices, seen in (
        (ball.vertices.double(), cameras),
        (ball.vertices, r3.Cameras.orbit(2, 3.0, image_size=(16, 16))),
    ):
        moving = ball.with_vertices(vertices.clone().requires_grad_())
        if way == "smoothed":
            loss = Smoothed(opengl, leave_one_out(8, 0.05))(moving, seen, ("alpha",), generator=Key(1)).alpha.sum()
        else:
            loss = expected_loss(opengl, moving, seen, pattern, local_credit(8), outputs=("alpha",), generator=Key(1))
        gradients.append(torch.autograd.grad(loss, moving.vertices)[0])
    assert gradients[0].dtype == torch.float64
    torch.testing.assert_close(gradients[0].float(), gradients[1], rtol=1e-3, atol=1e-3)
