"""Colours through estimators: exact for the samples that were drawn, whatever else waits for a gradient."""

import dataclasses

import pytest
import torch
from torch import Tensor

import render3d as r3
from render3d import Key, Mesh, Rendering, Shading, Texture
from render3d.errors import GradientError
from render3d.estimators import (
    Estimator,
    Gaussian,
    Smoothed,
    expected_loss,
    leave_one_out,
    local_credit,
    multi_sample_bound,
)
from render3d.renderers import OpenGL
from render3d.testing.only_images import OnlyImages
from render3d.testing.scenes import asymmetric_mesh, seamed_mesh, uneven_cameras

ESTIMATORS = [leave_one_out(4, 0.03), local_credit(3)]  # noise that views share, and noise of each view
OPENGL = OpenGL(Shading(samples_per_pixel=4))


def cameras() -> r3.Cameras:
    return uneven_cameras("perspective")[:2].resize(18, 30)


def weighted(rendering: Rendering) -> Tensor:
    """A pixel loss that is linear in the picture."""
    weights = torch.randn(2, 3, 18, 30, generator=torch.Generator().manual_seed(5))
    return (rendering.rgb * weights).sum(-3)


def objective(way: str, mesh: Mesh, estimator: Estimator) -> Tensor:
    if way == "expected":
        return expected_loss(OPENGL, mesh, cameras(), weighted, estimator, outputs=("rgb",), generator=Key(4))
    return weighted(Smoothed(OPENGL, estimator)(mesh, cameras(), ("rgb",), generator=Key(4))).sum()


@pytest.mark.parametrize("way", ["expected", "smoothed"])
@pytest.mark.parametrize("estimator", ESTIMATORS, ids=["shared", "per view"])
def test_colours_get_the_difference_quotient_of_the_same_noisy_objective(way: str, estimator: Estimator) -> None:
    """The objective is linear in them, so that a long step gives the derivative, to the rounding of half floats."""
    mesh = asymmetric_mesh()
    colors = mesh.colors.clone().requires_grad_()  # type: ignore[union-attr]
    (gradient,) = torch.autograd.grad(objective(way, dataclasses.replace(mesh, colors=colors), estimator), colors)
    step = 0.5 * gradient / gradient.abs().max()
    after, before = (
        objective(way, dataclasses.replace(mesh, colors=values.detach()), estimator)
        for values in (colors + step, colors - step)
    )
    torch.testing.assert_close((gradient * step).sum(), (after - before) / 2, rtol=2e-3, atol=0)


def test_crossfit_carries_colours_through_the_samples_that_are_credited() -> None:
    """The half that is not shown: what comes down from the loss does not depend on it."""
    mesh = asymmetric_mesh()
    colors = mesh.colors.clone().requires_grad_()  # type: ignore[union-attr]
    colored = dataclasses.replace(mesh, colors=colors)
    gradients = [
        torch.autograd.grad(weighted(renderer(colored, cameras(), ("rgb",), generator=Key(4))).sum(), colors)[0]
        for renderer in (
            Smoothed(OPENGL, leave_one_out(6, 0.03), crossfit=True),
            Smoothed(OPENGL, leave_one_out(3, 0.03)),
        )
    ]
    torch.testing.assert_close(*gradients)


def test_the_bound_has_the_derivative_in_colours_of_the_same_samples() -> None:
    """By central differences of fourth order; with the noise held, the bound is smooth in colours."""
    mesh = asymmetric_mesh()
    target = OPENGL(mesh, cameras(), ("rgb",)).rgb
    colors = (0.8 * mesh.colors).requires_grad_()  # type: ignore[operator]

    def bound(values: Tensor) -> Tensor:
        colored = dataclasses.replace(mesh, colors=values)
        return multi_sample_bound(
            OPENGL, colored, cameras(), likelihood, 4, noise=Gaussian(scale=0.02), generator=Key(3)
        )

    def likelihood(rendering: Rendering) -> Tensor:
        return -2 * (rendering.rgb - target).square().sum(-3)

    (gradient,) = torch.autograd.grad(bound(colors), colors)
    step = (0.05 * gradient / gradient.abs().max()).float()
    near, far = (
        float(bound(colors + length * step).detach() - bound(colors - length * step).detach()) for length in (1, 2)
    )
    assert float((gradient * step).sum()) == pytest.approx((8 * near - far) / 12, rel=1e-3)


@pytest.mark.parametrize("way", ["expected", "smoothed"])
def test_vertices_get_the_gradient_they_get_without_colours(way: str) -> None:
    estimator, mesh = local_credit(6), asymmetric_mesh()
    gradients = []
    for colors in (mesh.colors, mesh.colors.clone().requires_grad_()):  # type: ignore[union-attr]
        vertices = mesh.vertices.clone().requires_grad_()
        moving = dataclasses.replace(mesh, vertices=vertices, colors=colors)
        gradients.append(torch.autograd.grad(objective(way, moving, estimator), vertices)[0])
    assert (gradients[0] - gradients[1]).norm() < 2e-3 * gradients[0].norm()


def test_every_mesh_of_a_batch_gets_the_gradient_that_it_gets_alone() -> None:
    mesh, estimator = asymmetric_mesh(), leave_one_out(3, 0.03)
    colors = torch.rand(2, 24, 3, generator=torch.Generator().manual_seed(2)).requires_grad_()
    batch = Mesh(mesh.vertices.expand(2, -1, -1), mesh.faces, colors=colors)
    (together,) = torch.autograd.grad(
        expected_loss(OPENGL, batch, cameras(), weighted, estimator, generator=Key(4)).sum(), colors
    )
    for number in range(2):
        key = Key(4, first_example=number)
        loss = expected_loss(OPENGL, batch[number], cameras(), weighted, estimator, generator=key)
        (alone,) = torch.autograd.grad(loss, colors)
        torch.testing.assert_close(together[number], alone[number], rtol=1e-3, atol=1e-3)


def test_the_objective_is_the_same_whatever_waits_for_a_gradient() -> None:
    """With noise: colours alone are those of the expected picture."""
    mesh, estimator = asymmetric_mesh(), leave_one_out(4, 0.03)
    waiting = dataclasses.replace(mesh, colors=mesh.colors.clone().requires_grad_())  # type: ignore[union-attr]
    shown = [Smoothed(OPENGL, estimator)(each, cameras(), ("rgb",), generator=Key(1)).rgb for each in (mesh, waiting)]
    torch.testing.assert_close(*shown, rtol=0, atol=1.5e-3)
    assert (shown[0] - OPENGL(mesh, cameras(), ("rgb",)).rgb).abs().max() > 0.1


@pytest.mark.parametrize("waiting", [True, False])
def test_autograd_records_the_black_box_for_colours_only(waiting: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """What does not wait for a gradient costs no memory for one, parameters of a learnt renderer included."""
    mesh, recorded = asymmetric_mesh(), []
    shading = r3.renderers.deferred_shading.shade
    monkeypatch.setattr(
        "render3d.renderers.deferred_shading.shade",
        lambda *arguments: recorded.append(torch.is_grad_enabled()) or shading(*arguments),
    )
    vertices = mesh.vertices.clone().requires_grad_()
    colors = mesh.colors.clone().requires_grad_(waiting)  # type: ignore[union-attr]
    renderer = r3.renderers.DeferredShading(OPENGL)
    moving = Mesh(vertices, mesh.faces, colors=colors)
    rgb = Smoothed(renderer, leave_one_out(2))(moving, cameras(), ("rgb",)).rgb
    assert recorded == [waiting]
    assert rgb.requires_grad


def test_one_sharp_rendering_without_gradients() -> None:
    colors = torch.rand(24, 3, requires_grad=True)
    colored = dataclasses.replace(asymmetric_mesh(), colors=colors)
    with torch.no_grad():
        sharp = OPENGL(colored, cameras()).rgb
        assert torch.equal(Smoothed(OPENGL)(colored, cameras()).rgb, sharp)
    assert torch.equal(Smoothed(OPENGL).eval()(colored, cameras()).rgb, sharp)


def test_a_renderer_that_does_not_tell_faces_is_an_error_that_names_the_way_out() -> None:
    textured = dataclasses.replace(
        asymmetric_mesh().without_colors(), texture=Texture(torch.rand(4, 4, 3, requires_grad=True), torch.rand(24, 2))
    )
    with pytest.raises(GradientError, match=r"texture.image must get a gradient.*OnlyImages has no.*Use OpenGL"):
        expected_loss(OnlyImages(OPENGL), textured, cameras(), weighted, leave_one_out())
    with pytest.raises(GradientError, match="Or detach what needs none"):
        Smoothed(OnlyImages(OPENGL))(textured, cameras())


def test_noise_moves_both_sides_of_a_seam_alike() -> None:
    """From within a closed surface every noisy image is full, unless the surface tears at its seams."""
    ball = Mesh.icosphere(1)
    image, uv = torch.rand(4, 4, 3), torch.rand(len(ball.faces) * 3, 2)
    mesh = dataclasses.replace(ball, texture=Texture(image, uv, torch.arange(len(uv)).reshape(-1, 3)))
    within = r3.Cameras.look_at([0.05, 0.1, 0.02], vertical_fov_degrees=80.0, image_size=(24, 40))
    within = dataclasses.replace(within, near=0.05)
    renderer = Smoothed(OpenGL(), leave_one_out(8, 0.05))
    whole, torn = (
        renderer(each.with_vertices(each.vertices.requires_grad_()), within, ("rgb", "alpha"), generator=Key(1)).alpha
        for each in (mesh, mesh.split())
    )
    assert bool((whole == 1).all())
    assert float(torn.detach().min()) < 1


def test_a_texture_with_seams_gets_the_difference_quotient() -> None:
    mesh, estimator = seamed_mesh(), leave_one_out(4, 0.03)
    assert mesh.texture is not None

    def textured(image: Tensor, uv: Tensor) -> Mesh:
        return dataclasses.replace(mesh, texture=Texture(image, uv, mesh.uv_faces))

    image, uv = mesh.texture.image.clone().requires_grad_(), mesh.texture.uv.clone().requires_grad_()
    by_image, by_uv = torch.autograd.grad(objective("expected", textured(image, uv), estimator), (image, uv))
    step = 0.5 * by_image / by_image.abs().max()  # in which the image is linear
    after, before = (
        objective("expected", textured(v.detach(), uv.detach()), estimator) for v in (image + step, image - step)
    )
    torch.testing.assert_close((by_image * step).sum(), (after - before) / 2, rtol=2e-3, atol=0)
    assert int((by_uv.abs().sum(-1) > 0).sum()) > 30
