"""The multi-sample bound: its value, its gradient against loops and closed forms, and what it refuses."""

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

import render3d as r3
from render3d import Key, Mesh, Rendering, multi_sample_bound
from render3d.errors import CapabilityError, GradientError, ShapeError
from render3d.estimators import Antithetic, Gaussian, MultiSampleBound
from render3d.estimators.bound import LeftOut, learning_signals
from render3d.testing.pixel_function import PixelFunction

NOISE = Gaussian(scale=0.2)
MEANS: tuple[LeftOut, ...] = ("geometric", "arithmetic")


def gaussian(image: Rendering) -> Tensor:
    return -0.01 * (image.alpha - 0.3).square().sum(-3)


def linear(image: Rendering) -> Tensor:
    weights = torch.randn(image.image_size, generator=torch.Generator().manual_seed(8))
    return image.alpha[..., 0, :, :] * weights


def sums_of_samples(
    box: PixelFunction, mesh: Mesh, cameras: r3.Cameras, samples: int, log_likelihood: Callable[[Rendering], Tensor]
) -> tuple[Tensor, Tensor]:
    """f ``[K, *batch]`` float64 and displacements ``[K, *batch, V, 3]``, from the noise of ``Key(6)``."""
    displacements = NOISE.draw(Key(6), samples, mesh, cameras).displacements.squeeze(-3)
    noisy = mesh.with_vertices(mesh.vertices + displacements)
    return log_likelihood(box(noisy, cameras)).double().sum((-1, -2, -3)), displacements


def signals_by_loops(f: list[float], left_out: LeftOut) -> list[float]:
    """The text of VIMCO, one sample after the other."""
    bound, signals = math.log(sum(map(math.exp, f)) / len(f)), []
    for k in range(len(f)):
        others = f[:k] + f[k + 1 :]
        if left_out == "geometric":
            stand_in = math.prod(math.exp(other) for other in others) ** (1 / len(others))
        else:
            stand_in = sum(math.exp(other) for other in others) / len(others)
        signals.append(bound - math.log((sum(map(math.exp, others)) + stand_in) / len(f)))
    return signals


@pytest.mark.parametrize("left_out", MEANS)
@pytest.mark.parametrize("samples", [2, 3, 7])
def test_the_signals_agree_with_loops(samples: int, left_out: LeftOut) -> None:
    f = torch.randn(samples, 4, generator=torch.Generator().manual_seed(samples), dtype=torch.float64)
    expected = torch.tensor([signals_by_loops(column.tolist(), left_out) for column in f.T], dtype=torch.float64).T
    torch.testing.assert_close(learning_signals(f, left_out), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("left_out", MEANS)
def test_the_signals_are_stable(left_out: LeftOut) -> None:
    """A constant of -1e5 changes nothing, and neither spreads nor infinities come of samples that are far apart."""
    f = torch.randn(5, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    torch.testing.assert_close(learning_signals(f - 1e5, left_out), learning_signals(f, left_out), atol=1e-9, rtol=0)
    apart = learning_signals(torch.tensor([0.0, -1e5, -2e5], dtype=torch.float64), left_out)
    best = {"geometric": 1e5, "arithmetic": 1e5 + math.log(2) - math.log(3)}[left_out]  # the others explain nothing
    losers = {"geometric": 0.0, "arithmetic": math.log(2 / 3)}[left_out]  # e^0 counts once, or 1 + 1/2 times
    assert apart[0] == pytest.approx(best, rel=1e-5)
    assert apart[1:].tolist() == pytest.approx([losers, losers], abs=1e-9)


@pytest.mark.parametrize("left_out", MEANS)
def test_value_and_gradient_of_a_batch(
    mesh: Mesh, cameras: r3.Cameras, curved_box: PixelFunction, left_out: LeftOut
) -> None:
    """Sums over both views first, then the log of the mean; the gradient by the formula, in float64."""
    scales = torch.tensor([1.0, 2.0, 0.5])
    vertices = (mesh.vertices * scales[:, None, None]).requires_grad_()
    batch = mesh.with_vertices(vertices)
    objective = MultiSampleBound(samples=4, noise=NOISE, left_out=left_out)
    bound = objective(curved_box, batch, cameras, gaussian, generator=Key(6))
    f, displacements = sums_of_samples(curved_box, batch.detach(), cameras, 4, gaussian)
    torch.testing.assert_close(bound, (f.exp().mean(0)).log(), rtol=1e-5, atol=1e-5)
    (gradient,) = torch.autograd.grad(bound.sum(), vertices)
    signals = torch.tensor([signals_by_loops(column.tolist(), left_out) for column in f.T]).T
    expected = (signals[..., None, None] * displacements / NOISE.scale**2).sum(0)  # type: ignore[operator]
    torch.testing.assert_close(gradient, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("left_out", MEANS)
def test_the_gradient_is_right_on_average(
    mesh: Mesh, cameras: r3.Cameras, linear_box: PixelFunction, left_out: LeftOut
) -> None:
    """If f is linear in the vertices, the bound is f and a constant, in every dimension and for every K.

    4,000 estimates at once, of vertices and of the pose of a single view. The largest of 21 deviates is beyond 4.1
    with probability 1e-3.
    """
    calls, view = 4000, cameras[:1]
    vertices = mesh.vertices.expand(calls, -1, -1).clone().requires_grad_()
    twist = torch.zeros(calls, 1, 6, requires_grad=True)
    moved = r3.Cameras.stack([view] * calls).retract(twist)

    def quiet(image: Rendering) -> Tensor:
        return 0.2 * linear(image)

    noise = Gaussian(scale=0.1)
    objective = MultiSampleBound(samples=5, noise=noise, left_out=left_out)
    bound = objective(linear_box, mesh.with_vertices(vertices), moved, quiet, generator=Key(1))
    exact = torch.autograd.grad(
        quiet(linear_box(mesh.with_vertices(vertices), moved)).sum(), (vertices, twist), retain_graph=True
    )
    estimated = torch.autograd.grad(bound.sum(), (vertices, twist))
    for estimate, truth in zip(estimated, exact, strict=True):
        errors = (estimate - truth).flatten(1).double()
        assert (errors.mean(0) / errors.std(0) * calls**0.5).abs().max() < 4.1
        power = truth[0].abs().max() / errors.std(0).max() * calls**0.5
        assert power > 20  # so that a bias of a few tenths would be seen


def test_the_likelihoods_own_parameters_get_their_ordinary_gradient(
    mesh: Mesh, cameras: r3.Cameras, curved_box: PixelFunction
) -> None:
    log_scale = torch.tensor(0.4, dtype=torch.float64, requires_grad=True)

    def scaled(image: Rendering) -> Tensor:
        return gaussian(image).double() / (2 * (2 * log_scale).exp()) - log_scale

    bound = multi_sample_bound(curved_box, mesh, cameras, scaled, 6, noise=NOISE, generator=Key(6))
    f, _ = sums_of_samples(curved_box, mesh, cameras, 6, scaled)
    (found,) = torch.autograd.grad(bound, log_scale)
    (expected,) = torch.autograd.grad(f.exp().mean(0).log(), log_scale, retain_graph=True)
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=0)
    per_sample = torch.stack([torch.autograd.grad(one, log_scale, retain_graph=True)[0] for one in f])
    torch.testing.assert_close(found, (f.softmax(0) * per_sample).sum(), rtol=1e-9, atol=0)


def test_a_hundred_thousand_nats_below_zero(mesh: Mesh, cameras: r3.Cameras, curved_box: PixelFunction) -> None:
    vertices = mesh.vertices.clone().requires_grad_()
    gradients, values = [], []
    for offset in (0.0, -1e5):

        def likelihood(image: Rendering, offset: float = offset) -> Tensor:
            return gaussian(image).double() + offset / 48  # 2 views of 4 x 6 pixels

        value = multi_sample_bound(
            curved_box, mesh.with_vertices(vertices), cameras, likelihood, 4, noise=NOISE, generator=Key(6)
        )
        values.append(value)
        gradients.append(torch.autograd.grad(value, vertices)[0])
    torch.testing.assert_close(values[1], values[0] - 1e5, atol=1e-6, rtol=0)
    torch.testing.assert_close(gradients[1], gradients[0], rtol=1e-5, atol=1e-6)


def test_more_samples_come_nearer_to_the_log_of_the_mean(
    mesh: Mesh, cameras: r3.Cameras, curved_box: PixelFunction
) -> None:
    """The means of 500 bounds rise with K, from the expected log likelihood, and stay below the bound of 20,000."""
    batch = mesh.with_vertices(mesh.vertices.expand(500, -1, -1))

    def quiet(image: Rendering) -> Tensor:
        return 5 * gaussian(image)

    means = [
        multi_sample_bound(curved_box, batch, cameras, quiet, samples, noise=NOISE, generator=Key(2)).mean()
        for samples in (2, 8, 32)
    ]
    single = r3.expected_loss(
        curved_box, batch, cameras, quiet, r3.estimators.reinforce(40, 0.2), generator=Key(2)
    ).mean()
    limit = multi_sample_bound(curved_box, mesh, cameras, quiet, 20000, noise=NOISE, generator=Key(3))
    assert single < means[0] < means[1] < means[2] < limit


def test_one_sharp_rendering_without_gradients(mesh: Mesh, cameras: r3.Cameras, curved_box: PixelFunction) -> None:
    with torch.no_grad():
        value = multi_sample_bound(curved_box, mesh, cameras, gaussian, 4)
    torch.testing.assert_close(value, gaussian(curved_box(mesh, cameras)).double().sum())


def test_splitting_a_batch_changes_nothing(mesh: Mesh, cameras: r3.Cameras, curved_box: PixelFunction) -> None:
    vertices = (mesh.vertices * torch.tensor([1.0, 2.0, 0.5, 1.5])[:, None, None]).requires_grad_()

    def gradient(part: slice) -> Tensor:
        scene, key = mesh.with_vertices(vertices[part]), Key(6, first_example=part.start)
        bound = multi_sample_bound(curved_box, scene, cameras, gaussian, 3, generator=key)
        return torch.autograd.grad(bound.sum(), vertices)[0]

    torch.testing.assert_close(gradient(slice(0, 4)), gradient(slice(0, 2)) + gradient(slice(2, 4)))


def test_through_a_rasteriser() -> None:
    """A triangle too far to the left of the one that was seen is moved to the right."""
    camera = r3.Cameras.look_at((0, 0, 3.0), image_size=(24, 24))
    opengl, shape = r3.renderers.OpenGL(), torch.tensor([[-0.5, -0.5, 0], [0.5, -0.5, 0], [0, 0.5, 0]])
    seen = opengl(Mesh(shape, torch.tensor([[0, 1, 2]])), camera).alpha
    vertices = (shape - torch.tensor([0.2, 0, 0])).requires_grad_()
    bound = multi_sample_bound(
        opengl,
        Mesh(vertices, torch.tensor([[0, 1, 2]])),
        camera,
        lambda image: -(image.alpha - seen).square().sum(-3) / (2 * 0.5**2),
        200,
        noise=Gaussian(scale=0.05),
        outputs=("alpha",),
        generator=Key(0),
    )
    (gradient,) = torch.autograd.grad(bound, vertices)
    assert gradient[:, 0].sum() > 0


def test_too_few_samples(mesh: Mesh, cameras: r3.Cameras, linear_box: PixelFunction) -> None:
    with pytest.raises(ValueError, match="samples must be at least 2, as each is compared with the others; got 1"):
        multi_sample_bound(linear_box, mesh, cameras, linear, 1)


def test_the_mean_must_be_known() -> None:
    with pytest.raises(ValueError, match="left_out must be 'geometric' or 'arithmetic'; got 'harmonic'"):
        MultiSampleBound(samples=4, left_out="harmonic")  # type: ignore[arg-type]


def test_noise_of_each_view_is_an_error(mesh: Mesh, cameras: r3.Cameras, linear_box: PixelFunction) -> None:
    noise = Gaussian(scale=0.1, per_view=True)
    with pytest.raises(CapabilityError, match="the likelihood of a sample is that of one mesh in all views"):
        multi_sample_bound(linear_box, mesh, cameras, linear, 4, noise=noise)
    multi_sample_bound(linear_box, mesh, cameras[:1], linear, 4, noise=noise)


def test_pairs_of_samples_are_an_error(mesh: Mesh, cameras: r3.Cameras, linear_box: PixelFunction) -> None:
    with pytest.raises(CapabilityError, match="needs independent samples, and those of Antithetic noise come in pairs"):
        multi_sample_bound(linear_box, mesh, cameras, linear, 4, noise=Antithetic(NOISE))


def test_cameras_of_several_views_get_no_silent_half_gradient(
    mesh: Mesh, cameras: r3.Cameras, linear_box: PixelFunction
) -> None:
    twist = torch.zeros(2, 6, requires_grad=True)
    with pytest.raises(GradientError, match="world_to_camera of 2 views require a gradient"):
        multi_sample_bound(linear_box, mesh, cameras.retract(twist), linear, 4)


def test_a_log_likelihood_of_the_wrong_shape(mesh: Mesh, cameras: r3.Cameras, linear_box: PixelFunction) -> None:
    with pytest.raises(ShapeError, match=r"log_likelihood must return one number a pixel, of shape \[4, 2, 4, 6\]"):
        multi_sample_bound(linear_box, mesh, cameras, lambda image: image.alpha.sum((-1, -2, -3)), 4)


@pytest.mark.parametrize("value", [math.nan, -math.inf, math.inf])
def test_a_sample_that_is_not_finite_is_named(
    mesh: Mesh, cameras: r3.Cameras, linear_box: PixelFunction, value: float
) -> None:
    batch = mesh.with_vertices(mesh.vertices.expand(3, -1, -1))

    def broken(image: Rendering) -> Tensor:
        pixels = linear(image).clone()
        pixels[2, 1, 0, 3, 5] = value
        return pixels

    message = rf"must be finite; in sample 2 of batch element \[1\] it sums to {value}, and 1 of 12 sums are not finite"
    with pytest.raises(GradientError, match=f"log_likelihood {message}"):
        multi_sample_bound(linear_box, batch, cameras, broken, 4)
    with pytest.raises(GradientError, match=f"pixel_loss {message}"):
        r3.expected_loss(linear_box, batch, cameras, broken, r3.estimators.leave_one_out(4))


def test_a_second_derivative_is_an_error(mesh: Mesh, cameras: r3.Cameras, linear_box: PixelFunction) -> None:
    vertices = mesh.vertices.clone().requires_grad_()
    bound = multi_sample_bound(linear_box, mesh.with_vertices(vertices), cameras, linear, 4)
    (gradient,) = torch.autograd.grad(bound.square(), vertices, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        gradient.square().sum().backward()
