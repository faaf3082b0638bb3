"""A differentiable renderer as control variate, and the statistics that a smoothed renderer tells of itself."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import pytest
import torch
from torch import Tensor

import render3d as r3
from render3d import Key, Mesh
from render3d.errors import GradientError
from render3d.estimators import (
    ControlVariate,
    Estimator,
    NoControlVariateWarning,
    Smoothed,
    antithetic,
    control_variate,
    expected_loss,
    leave_one_out,
    local_credit,
)
from render3d.testing.pixel_function import PixelFunction


@dataclasses.dataclass(frozen=True)
class Open:
    """A black box whose autograd gradients are not hidden."""

    inner: PixelFunction
    capabilities = dataclasses.replace(PixelFunction.capabilities, name="Open", gradients=frozenset({"silhouette"}))

    def __call__(
        self, scene: Any, cameras: r3.Cameras, outputs: Sequence[str] = ("rgb", "alpha"), *, generator: Any = None
    ) -> r3.Rendering:
        return self.inner(scene, cameras, outputs)


@pytest.fixture
def similar(curved_box: PixelFunction) -> Open:
    """Nearly the black box: other weights by a tenth, and less curved."""
    other = torch.randn(24, 15, generator=torch.Generator().manual_seed(11))
    return Open(PixelFunction(curved_box.weights + 0.1 * other, (4, 6), curvature=0.05))


def pattern(rendering: r3.Rendering) -> Tensor:
    weights = torch.randn(rendering.image_size, generator=torch.Generator().manual_seed(8))
    return rendering.alpha[..., 0, :, :] * weights


def gradients(
    box: PixelFunction, mesh: Mesh, cameras: r3.Cameras, estimator: Estimator, calls: int, *, smoothed: bool = False
) -> Tensor:
    """``[calls, parameters]``: a batch of as many meshes and cameras, each of which has its own noise."""
    vertices = mesh.vertices.expand(calls, -1, -1).clone().requires_grad_()
    twist = torch.zeros(calls, 2, 6, requires_grad=True)
    scene, seen = mesh.with_vertices(vertices), r3.Cameras.stack([cameras] * calls).retract(twist)
    if smoothed:
        loss = pattern(Smoothed(box, estimator)(scene, seen, ("alpha",), generator=Key(3)))
    else:
        loss = expected_loss(box, scene, seen, pattern, estimator, generator=Key(3))
    found = torch.autograd.grad(loss.sum(), (vertices, twist))
    return torch.cat([part.flatten(1) for part in found], dim=1).double()


@pytest.mark.parametrize("smoothed", [False, True])
def test_it_is_unbiased_though_the_other_renderer_is_wrong_and_has_less_variance(
    mesh: Mesh, cameras: r3.Cameras, curved_box: PixelFunction, similar: Open, smoothed: bool
) -> None:
    """Coordinate by coordinate, poses included: one of 27 beyond 4.5 standard errors has a probability of 2e-4.

    The black box is quadratic, so that its smoothed gradient is its own.
    """
    vertices, twist = mesh.vertices.clone().requires_grad_(), torch.zeros(2, 6, requires_grad=True)
    exact = torch.autograd.grad(
        pattern(curved_box(mesh.with_vertices(vertices), cameras.retract(twist))).sum(), (vertices, twist)
    )
    truth = torch.cat([part.flatten() for part in exact]).double()
    found = gradients(curved_box, mesh, cameras, control_variate(similar, 8, 0.1), 400, smoothed=smoothed)
    z = (found.mean(0) - truth) / (found.std(0) / 20)
    assert float(z.abs().max()) < 4.5
    plain = gradients(curved_box, mesh, cameras, leave_one_out(8, 0.1), 400, smoothed=smoothed)
    assert float(found.var(0).sum()) < float(plain.var(0).sum()) / 8  # it is a ninth, over 4,000 calls
    alone = gradients(curved_box, mesh, cameras, leave_one_out(8, 0.1), 1, smoothed=smoothed)
    assert not torch.allclose(alone, found[:1])
    own = torch.autograd.grad(
        pattern(similar(mesh.with_vertices(vertices), cameras.retract(twist))).sum(), (vertices, twist)
    )
    wrong = torch.cat([part.flatten() for part in own]).double()
    assert float((((found.mean(0) - wrong) / (found.std(0) / 20)).abs()).max()) > 4.5  # the other's gradient is another


def test_both_ways_give_the_same_gradient_of_a_linear_loss(
    mesh: Mesh, cameras: r3.Cameras, curved_box: PixelFunction, similar: Open
) -> None:
    estimator = control_variate(similar, 4, 0.1)
    ways = [gradients(curved_box, mesh, cameras, estimator, 2, smoothed=smoothed) for smoothed in (False, True)]
    torch.testing.assert_close(*ways, rtol=1e-4, atol=1e-3)


def test_colours_do_not_come_from_the_control_variate() -> None:
    """OpenGL tells which face a pixel shows; the other renderer has colours of its own, which must not count."""

    class Elsewhere:
        capabilities = dataclasses.replace(PixelFunction.capabilities, name="Elsewhere", gradients=frozenset({"pose"}))

        def __call__(self, scene: Any, cameras: r3.Cameras, outputs: Sequence[str], *, generator: Any = None) -> Any:
            shape = (*scene.vertices.shape[:-2], cameras.views, 3, *cameras.image_size)
            assert not scene.colors.requires_grad
            return r3.Rendering(
                {"rgb": scene.vertices.square().sum((-1, -2))[..., None, None, None, None].expand(shape)}
            )

    ball = Mesh.icosphere(1, 0.8)
    colors = torch.full_like(ball.vertices, 0.4).requires_grad_()
    vertices = ball.vertices.clone().requires_grad_()
    scene = Mesh(vertices, ball.faces, colors=colors)
    cameras = r3.Cameras.orbit(2, 3.0, image_size=(12, 16))
    found = []
    for estimator in (leave_one_out(4, 0.05), control_variate(Elsewhere(), 4, 0.05)):
        loss = expected_loss(
            r3.renderers.OpenGL(),
            scene,
            cameras,
            lambda image: image.rgb.sum(-3),
            estimator,
            outputs=("rgb",),
            generator=Key(1),
        )
        found.append(torch.autograd.grad(loss, colors)[0])
    torch.testing.assert_close(*found)


def test_without_a_differentiable_renderer_it_is_leave_one_out_and_says_so() -> None:
    for nothing in (None, r3.renderers.OpenGL()):
        with pytest.warns(NoControlVariateWarning, match="the estimator is leave_one_out"):
            assert control_variate(nothing, 8, 0.1) == leave_one_out(8, 0.1)
    with pytest.raises(ValueError, match="must be a renderer with gradients, and OpenGL has none"):
        ControlVariate(r3.renderers.OpenGL())


# Statistics


@pytest.mark.parametrize("estimator", [leave_one_out(64, 0.1), antithetic(64, 0.1)], ids=["independent", "pairs"])
def test_statistics_tell_the_variance_that_many_calls_show(
    mesh: Mesh, cameras: r3.Cameras, linear_box: PixelFunction, estimator: Estimator
) -> None:
    found = gradients(linear_box, mesh, cameras, estimator, 400, smoothed=True)[:, :15]
    truth = float(found.var(0).sum() / (found.mean(0).square().sum() - found.var(0).sum() / 400))
    told = []
    smoothed = Smoothed(linear_box, estimator)
    for call in range(40):
        vertices = mesh.vertices.clone().requires_grad_()
        image = smoothed(mesh.with_vertices(vertices), cameras, ("alpha",), generator=Key(call))
        pattern(image).sum().backward()  # type: ignore[no-untyped-call]
        told.append(smoothed.stats())
    mean = sum(each.relative_variance for each in told) / 40
    assert mean == pytest.approx(truth, rel=0.15)
    assert told[0].signal_to_noise == pytest.approx(1 / told[0].relative_variance)
    assert (told[0].samples, told[0].renders, told[0].share) == (64, 128, 1.0)


def test_statistics_of_local_credit_count_pixels_and_need_a_gradient(
    self_occluding: tuple[Mesh, r3.Cameras],
) -> None:
    mesh, cameras = self_occluding
    smoothed = Smoothed(r3.renderers.OpenGL(), local_credit(128))
    with pytest.raises(GradientError, match="call it after backward"):
        smoothed.stats()
    vertices = mesh.vertices.clone().requires_grad_()
    image = smoothed(mesh.with_vertices(vertices), cameras, ("alpha",), generator=Key(1))
    with pytest.raises(GradientError, match="call it after backward"):
        smoothed.stats()
    image.alpha.square().sum().backward()  # type: ignore[no-untyped-call]
    stats = smoothed.stats()
    assert 0.03 < stats.share < 0.5
    assert stats.renders == 128
    assert 0 < stats.relative_variance < 2
