"""Is an estimator exactly unbiased? By `enumeration`: losses, bounds, and losses of the mean image."""

import dataclasses
from collections.abc import Callable

import pytest
import torch
from enumeration import EXACT, Problem, Steps, double, lines, mean_gradient
from torch import Tensor

import render3d as r3
from render3d import Mesh
from render3d.estimators import (
    Draw,
    Estimator,
    Everywhere,
    LeaveOneOut,
    MultiSampleBound,
    Noise,
    Paired,
    Plain,
    Signal,
    Smoothed,
)
from render3d.estimators.bound import LeftOut
from render3d.testing.pixel_function import PixelFunction


@pytest.fixture(scope="module")
def smooth() -> Problem:
    """Three vertices and two views of 2 x 2 pixels, each a polynomial of all coordinates."""
    vertices = torch.randn(3, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    weights = 0.3 * torch.randn(4, 9, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    cameras = double(r3.Cameras.sphere(2, 3.0, image_size=(2, 2)))
    return Problem(PixelFunction(weights, (2, 2), curvature=0.4), Mesh(vertices, torch.tensor([[0, 1, 2]])), cameras)


@pytest.mark.parametrize(
    ("signal", "samples", "noise"),
    [
        (Plain(), 1, Steps(0.5, mean=0.1)),
        (Plain(), 2, Steps(0.5, mean=0.1)),
        (LeaveOneOut(), 2, Steps(0.5, mean=0.1)),
        (LeaveOneOut(), 3, Steps(0.5, mean=-0.2)),
        (LeaveOneOut(), 2, Steps(0.5, mean=0.1, views=2)),
        (Paired(), 2, Steps(0.5)),
        (Paired(), 4, Steps(0.5)),
    ],
)
def test_expected_losses_are_exactly_unbiased(smooth: Problem, signal: Signal, samples: int, noise: Steps) -> None:
    exact, exact_gradient = smooth.exact_gradient(noise)
    value, gradient = mean_gradient(smooth, noise, samples, signal)
    assert exact_gradient.abs().min() > 0.05
    torch.testing.assert_close(value, exact, **EXACT)
    torch.testing.assert_close(gradient, exact_gradient, **EXACT)


def test_pairs_are_biased_under_a_law_that_is_not_symmetric(smooth: Problem) -> None:
    noise = Steps(0.5, mean=0.1)
    bias = mean_gradient(smooth, noise, 2, Paired())[1] - smooth.exact_gradient(noise)[1]
    assert bias.abs().max() > 0.01


@pytest.mark.parametrize("left_out", ["geometric", "arithmetic"])
@pytest.mark.parametrize("samples", [2, 3])
def test_the_multi_sample_bound_is_exactly_unbiased(smooth: Problem, samples: int, left_out: LeftOut) -> None:
    """Against autograd of the sum over all tuples, in the means and in a parameter of the likelihood."""
    noise = Steps(0.5, mean=0.1)
    steps = noise.tuples(samples, 3)
    gain = torch.tensor(0.7, dtype=torch.float64, requires_grad=True)
    mean = torch.full((3,), noise.mean, dtype=torch.float64, requires_grad=True)
    bounds = (-gain * smooth.of_tuples(steps)).exp().mean(0).log()
    exact = (noise.probabilities(steps, mean) * bounds).sum()
    exact_gradients = torch.autograd.grad(exact, (mean, gain))
    scene = smooth.batch(steps.shape[1])
    bound = MultiSampleBound(samples=samples, noise=noise, left_out=left_out)
    values = bound(smooth.renderer, scene, smooth.cameras, lambda image: -gain * smooth.losses(image))
    weights = noise.probabilities(steps, mean).detach()
    (gradients,) = torch.autograd.grad(values.sum(), scene.vertices, retain_graph=True)
    torch.testing.assert_close(weights @ values, exact, **EXACT)
    torch.testing.assert_close(weights @ (gradients * lines(smooth.mesh)).sum(-1), exact_gradients[0], **EXACT)
    torch.testing.assert_close(torch.autograd.grad(weights @ values, gain)[0], exact_gradients[1], **EXACT)
    plain = -gain.detach() * smooth.exact_gradient(noise)[1]
    assert (exact_gradients[0] - plain).abs().max() > 0.01  # it is not the gradient of the expected log likelihood


@dataclasses.dataclass(frozen=True)
class TwoDraws(Noise):
    """All pairs of two tuples, for a renderer that draws twice: the first of a pair with `FIRST`, then the second."""

    steps: Steps

    def draw(self, key: r3.Key, samples: int, mesh: Mesh, cameras: r3.Cameras) -> Draw:
        vertices = mesh.vertices.shape[-2]
        count = self.steps.tuples(samples, vertices).shape[1]
        first, second = torch.arange(count).repeat_interleave(count), torch.arange(count).repeat(count)
        chosen = first if key == FIRST else second
        whole = self.steps.draw(key, samples, mesh.with_vertices(mesh.vertices[:count]), cameras)
        return dataclasses.replace(whole, coordinates=whole.coordinates[:, chosen], score=whole.score[:, chosen])

    def scaled(self, factor: float) -> "TwoDraws":
        return TwoDraws(self.steps.scaled(factor))


FIRST = r3.Key(3)
TARGET = torch.linspace(-0.3, 0.4, 4).reshape(2, 2)


def quadratic(image: Tensor) -> Tensor:
    """Of images ``[..., views, 1, 2, 2]``: squared differences, and the square of a sum over views."""
    return (image - TARGET).square().sum((-1, -2, -3, -4)) + image.sum((-1, -2, -3, -4)).square()


def cubic(image: Tensor) -> Tensor:
    return image.pow(3).sum((-1, -2, -3, -4))


@pytest.mark.parametrize(
    ("loss", "crossfit", "biased"), [(quadratic, False, True), (quadratic, True, False), (cubic, True, True)]
)
def test_crossfit_is_exactly_unbiased_for_quadratic_losses_of_the_mean_image(
    smooth: Problem, loss: Callable[[Tensor], Tensor], crossfit: bool, biased: bool
) -> None:
    """K = 4: all tuples of four samples, or all pairs of tuples of two. Renderings are float32, hence the tolerance."""
    steps = Steps(0.5, mean=0.1)
    noise = TwoDraws(steps) if crossfit else steps
    estimator = Estimator(samples=4, noise=noise, support=Everywhere(), signal=LeaveOneOut())
    tuples = steps.tuples(4, 3)  # the first two samples vary fastest
    if crossfit:
        pairs = steps.tuples(2, 3)
        count = pairs.shape[1]
        tuples = torch.cat([pairs.repeat_interleave(count, 1), pairs.repeat(1, count, 1, 1)])
    scene = smooth.batch(tuples.shape[1])
    shown = Smoothed(smooth.renderer, estimator, crossfit=crossfit)(scene, smooth.cameras, ("alpha",), generator=FIRST)
    (gradients,) = torch.autograd.grad(loss(shown.alpha).sum(), scene.vertices)
    mean = torch.full((3,), steps.mean, dtype=torch.float64, requires_grad=True)
    found = steps.probabilities(tuples, mean.detach()) @ (gradients * lines(smooth.mesh)).sum(-1)

    single = steps.tuples(1, 3)
    moved = smooth.mesh.vertices + single[0, :, 0, :, None] * lines(smooth.mesh)
    images = smooth.renderer(smooth.mesh.with_vertices(moved), smooth.cameras, ("alpha",)).alpha.double()
    expected_image = (steps.probabilities(single, mean)[:, None, None, None, None] * images).sum(0)
    (exact,) = torch.autograd.grad(loss(expected_image), mean)
    bias = (found - exact).norm() / exact.norm()
    assert bias > 0.01 if biased else bias < 1e-6
