"""Is an estimator exactly unbiased? Discrete noise, and the sum over all that may happen.

Each vertex moves along a line by ``+a`` or ``-a``, with probabilities that depend on the mean of the step. The tuples
of K samples are then finitely many: they are rendered as one batch, and the mean of the estimator, weighted by their
probabilities, is compared with the exact gradient, by autograd, of the objective in the means.
"""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import pytest
import torch
from torch import Tensor

import render3d as r3
from render3d import Mesh, Rendering
from render3d.estimators import (
    Antithetic,
    Draw,
    Estimator,
    Everywhere,
    LeaveOneOut,
    Noisy,
    Paired,
    Plain,
    Rings,
    Signal,
    Smoothed,
    Support,
    expected_loss,
    multi_sample_bound,
)
from render3d.estimators.bound import LeftOut
from render3d.estimators.support import box_sums
from render3d.images import CHANNELS
from render3d.renderers import Capabilities, Renderer
from render3d.testing.pixel_function import PixelFunction

EXACT = {"rtol": 0.0, "atol": 1e-10}
"""Of gradients of order 1 to 100, in float64."""


@dataclasses.dataclass(frozen=True)
class Steps:
    """Noise of two outcomes a vertex; a mesh of batch ``[T]`` gets all T tuples of samples.

    The mean of a step is m: ``P(+a) = (a + m) / 2a``, and the score is ``1 / (a + m)`` or ``-1 / (a - m)``.
    """

    size: float
    mean: float = 0.0
    views: int = 1  # more than 1: each view draws its own
    paired: ClassVar[bool] = False

    def tuples(self, samples: int, vertices: int) -> Tensor:
        """``[K, T, views, V]`` of +-a."""
        steps = samples * self.views * vertices
        bits = torch.arange(2**steps)[:, None] >> torch.arange(steps) & 1
        signs = (2.0 * bits.double() - 1).reshape(-1, samples, self.views, vertices)
        return self.size * signs.movedim(1, 0)

    def probabilities(self, tuples: Tensor, mean: Tensor) -> Tensor:
        """``[T]``, differentiable in the means ``[V]``."""
        return ((1 + tuples.sign() * mean / self.size) / 2).prod(-1).prod(-1).prod(0)

    def draw(self, key: r3.Key, samples: int, mesh: Mesh, cameras: r3.Cameras) -> Draw:
        steps = self.tuples(samples, mesh.vertices.shape[-2])[..., None]
        assert steps.shape[1:2] == mesh.batch_shape
        score = steps.sign() / (self.size + steps.sign() * self.mean)
        return Draw(steps, score, steps.new_ones(1, 1, 1), lines(mesh)[:, None, :])


def lines(mesh: Mesh) -> Tensor:
    """``[V, 3]``: where each vertex moves, a unit vector, for the most part to the right."""
    noise = torch.randn(mesh.vertices.shape[-2], 3, generator=torch.Generator().manual_seed(4), dtype=torch.float64)
    return torch.nn.functional.normalize(noise * 0.4 + torch.tensor([1.0, 0, 0]), dim=-1)


@dataclasses.dataclass(frozen=True)
class Problem:
    """A renderer and what it is shown."""

    renderer: Renderer
    mesh: Mesh
    cameras: r3.Cameras

    def losses(self, image: Rendering) -> Tensor:
        """Squared differences to a pattern, weighted, ``[..., views, H, W]`` float64."""
        height, width = image.image_size
        place = torch.arange(height * width, dtype=torch.float64).reshape(height, width)
        return (image.alpha.double()[..., 0, :, :] - 0.5 * place.cos()).square() * (1 + 0.5 * place.sin())

    def of_tuples(self, steps: Tensor) -> Tensor:
        """Losses ``[K, T]`` of samples that all views share, ``[K, T, 1, V]``, summed over views and pixels."""
        moved = self.mesh.vertices + steps.squeeze(-2)[..., None] * lines(self.mesh)
        return self.losses(self.renderer(self.mesh.with_vertices(moved), self.cameras)).sum((-1, -2, -3))

    def batch(self, count: int) -> Mesh:
        """That many equal meshes, whose vertices wait for a gradient."""
        return self.mesh.with_vertices(self.mesh.vertices.expand(count, -1, -1).clone().requires_grad_())

    def exact_gradient(self, noise: Steps) -> tuple[Tensor, Tensor]:
        """The expected loss, and its gradient ``[V]`` in the means."""
        steps = Steps(noise.size).tuples(1, len(self.mesh.vertices))
        mean = torch.full((len(self.mesh.vertices),), noise.mean, dtype=torch.float64, requires_grad=True)
        expected = (noise.probabilities(steps, mean) * self.of_tuples(steps)[0]).sum()
        return expected.detach(), torch.autograd.grad(expected, mean)[0]


def double(cameras: r3.Cameras) -> r3.Cameras:
    """In float64, with rotations that are orthogonal to as many digits."""
    pose = cameras.world_to_camera.double().clone()
    left, _, right = torch.linalg.svd(pose[..., :3, :3])
    pose[..., :3, :3] = left @ right
    return dataclasses.replace(cameras, world_to_camera=pose, intrinsics=cameras.intrinsics.double())


@pytest.fixture(scope="module")
def smooth() -> Problem:
    """Three vertices and two views of 2 x 2 pixels, each a polynomial of all coordinates."""
    vertices = torch.randn(3, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    weights = 0.3 * torch.randn(4, 9, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    cameras = double(r3.Cameras.sphere(2, 3.0, image_size=(2, 2)))
    return Problem(PixelFunction(weights, (2, 2), curvature=0.4), Mesh(vertices, torch.tensor([[0, 1, 2]])), cameras)


@dataclasses.dataclass(frozen=True)
class Boxes:
    """A local black box: a face fills the screen box of its corners, and the nearest face is seen, in its own grey."""

    capabilities = Capabilities(name="Boxes", outputs=("rgb", "alpha"), batched=True, device="cpu", licence="", reach=1)

    def __call__(
        self, scene: Any, cameras: r3.Cameras, outputs: Sequence[str] = ("alpha",), *, generator: Any = None
    ) -> Any:
        height, width = cameras.image_size
        corners = cameras.to_camera_space(scene.vertices)[..., scene.faces, :]  # [*batch, views, F, 3 corners, xyz]
        pixels = cameras.to_pixels(corners)
        low, high = pixels.amin(-2).floor(), pixels.amax(-2).ceil()
        x, y = torch.arange(width), torch.arange(height)
        columns = (low[..., 0, None] <= x) & (x < high[..., 0, None])
        rows = (low[..., 1, None] <= y) & (y < high[..., 1, None])
        inside = rows[..., :, None] & columns[..., None, :]  # [*batch, views, F, H, W]
        depth, grey = corners[..., 2].mean(-1), 1.5 + torch.sin(4 * corners.sum((-1, -2)))
        distances = torch.where(inside, depth[..., None, None], torch.inf)
        shown = torch.where(inside, grey[..., None, None], 0).gather(-3, distances.argmin(-3, keepdim=True))
        return Rendering({name: shown.expand(*shown.shape[:-3], CHANNELS[name], -1, -1) for name in outputs})


@pytest.fixture(scope="module")
def local() -> Problem:
    """A strip of three faces and five vertices in an image of 3 x 12 pixels; a step is some 1.5 pixels."""
    vertices = [[-1.0, -0.2, 0.1], [-0.6, 0.3, -0.1], [0.05, -0.2, 0.2], [0.5, 0.25, 0.0], [1.05, -0.15, -0.2]]
    camera = r3.Cameras.look_at((0, 0, 3.0), image_size=(3, 12), vertical_fov_degrees=12).to_orthographic(0.9)
    mesh = Mesh(torch.tensor(vertices, dtype=torch.float64), torch.tensor([[0, 1, 2], [1, 2, 3], [2, 3, 4]]))
    return Problem(Boxes(), mesh, double(camera))


def mean_gradient(
    problem: Problem, noise: Steps, samples: int, signal: Signal, support: Support | None = None
) -> tuple[Tensor, Tensor]:
    """The exact mean of `expected_loss` and of its gradient ``[V]`` along the lines of the vertices."""
    drawn = samples // 2 if signal.paired else samples
    estimator = Estimator(
        samples=samples,
        noise=Antithetic(noise) if signal.paired else noise,
        support=support or Everywhere(),
        signal=signal,
    )
    steps = noise.tuples(drawn, len(problem.mesh.vertices))
    scene = problem.batch(steps.shape[1])
    values = expected_loss(problem.renderer, scene, problem.cameras, problem.losses, estimator)
    (gradients,) = torch.autograd.grad(values.sum(), scene.vertices)
    weights = noise.probabilities(steps, torch.tensor(noise.mean, dtype=torch.float64))
    assert weights.sum() == pytest.approx(1, abs=1e-12)
    return weights @ values.detach(), weights @ (gradients * lines(problem.mesh)).sum(-1)


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
    values = multi_sample_bound(
        smooth.renderer,
        scene,
        smooth.cameras,
        lambda image: -gain * smooth.losses(image),
        samples,
        noise=noise,
        left_out=left_out,
    )
    weights = noise.probabilities(steps, mean).detach()
    (gradients,) = torch.autograd.grad(values.sum(), scene.vertices, retain_graph=True)
    torch.testing.assert_close(weights @ values, exact, **EXACT)
    torch.testing.assert_close(weights @ (gradients * lines(smooth.mesh)).sum(-1), exact_gradients[0], **EXACT)
    torch.testing.assert_close(torch.autograd.grad(weights @ values, gain)[0], exact_gradients[1], **EXACT)
    plain = -gain.detach() * smooth.exact_gradient(noise)[1]
    assert (exact_gradients[0] - plain).abs().max() > 0.01  # it is not the gradient of the expected log likelihood


class OwnBox:
    """A wrong support: the box of the vertex in each sample, for the credit of that sample."""

    def collect(self, advantages: Tensor, noisy: Noisy) -> Tensor:
        alone = [
            dataclasses.replace(
                noisy, draw=dataclasses.replace(noisy.draw, coordinates=noisy.draw.coordinates[k : k + 1])
            )
            for k in range(len(advantages))
        ]
        return torch.cat([Rings().collect(advantages[k : k + 1], one) for k, one in enumerate(alone)])


class StillBox:
    """A wrong support: the box of the vertex in the mesh without noise."""

    def collect(self, advantages: Tensor, noisy: Noisy) -> Tensor:
        still = dataclasses.replace(noisy.draw, coordinates=0 * noisy.draw.coordinates)
        return box_sums(advantages, *Rings().boxes(dataclasses.replace(noisy, draw=still), 1))


RIGHT = [
    (LeaveOneOut(), 2, Steps(0.35, mean=0.1)),
    (LeaveOneOut(), 3, Steps(0.35, mean=-0.05)),
    (Paired(), 2, Steps(0.35)),
    (Paired(), 4, Steps(0.35)),
]


@pytest.mark.parametrize(("signal", "samples", "noise"), RIGHT)
def test_boxes_over_all_samples_are_exactly_unbiased(
    local: Problem, signal: Signal, samples: int, noise: Steps
) -> None:
    """The claim of `Rings`, with occlusion, by a box that is narrower than the image for all vertices but one."""
    _, exact = local.exact_gradient(noise)
    _, gradient = mean_gradient(local, noise, samples, signal, Rings())
    assert exact.abs().min() > 0.05
    torch.testing.assert_close(gradient, exact, **EXACT)


@pytest.mark.parametrize("support", [OwnBox(), StillBox()])
@pytest.mark.parametrize(("signal", "samples", "noise"), RIGHT)
def test_tighter_boxes_are_biased(local: Problem, support: Support, signal: Signal, samples: int, noise: Steps) -> None:
    _, exact = local.exact_gradient(noise)
    _, gradient = mean_gradient(local, noise, samples, signal, support)
    assert (gradient - exact).norm() > 0.1 * exact.norm()


def test_boxes_over_all_samples_need_a_baseline(local: Problem) -> None:
    """Without one, what is left out keeps its mean: Plain is biased by half a percent, where LeaveOneOut was exact."""
    noise = Steps(0.35, mean=0.1)
    _, exact = local.exact_gradient(noise)
    assert (mean_gradient(local, noise, 2, Plain(), Rings())[1] - exact).norm() > 0.003 * exact.norm()
    torch.testing.assert_close(mean_gradient(local, noise, 2, Plain())[1], exact, **EXACT)


@dataclasses.dataclass(frozen=True)
class TwoDraws:
    """All pairs of two tuples, for a renderer that draws twice: the first of a pair with `FIRST`, then the second."""

    steps: Steps
    paired: ClassVar[bool] = False

    def draw(self, key: r3.Key, samples: int, mesh: Mesh, cameras: r3.Cameras) -> Draw:
        vertices = mesh.vertices.shape[-2]
        count = self.steps.tuples(samples, vertices).shape[1]
        first, second = torch.arange(count).repeat_interleave(count), torch.arange(count).repeat(count)
        chosen = first if key == FIRST else second
        whole = self.steps.draw(key, samples, mesh.with_vertices(mesh.vertices[:count]), cameras)
        return dataclasses.replace(whole, coordinates=whole.coordinates[:, chosen], score=whole.score[:, chosen])


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


@dataclasses.dataclass(frozen=True)
class Followers:
    """As `Steps` without a mean, and the first vertex goes with the others: it moves by half their sum, and a step.

    That step is the vertex's own. It is independent of the others and has the score of the vertex, whose gradient
    alone is looked at.

    Attributes:
        steps: Of all vertices.
        told: Whether supports are told what is the vertex's own.
    """

    steps: Steps
    told: bool = True
    paired: ClassVar[bool] = False

    def moved(self, steps: Tensor) -> Tensor:
        """``[..., V]`` of independent steps ``[..., V]``."""
        first, others = steps[..., :1], steps[..., 1:]
        return torch.cat([first + 0.5 * others.sum(-1, keepdim=True), others], -1)

    def draw(self, key: r3.Key, samples: int, mesh: Mesh, cameras: r3.Cameras) -> Draw:
        draw = self.steps.draw(key, samples, mesh, cameras)
        own = draw.coordinates
        return dataclasses.replace(draw, coordinates=self.moved(own[..., 0])[..., None], own=own if self.told else None)


@pytest.fixture(scope="module")
def folded(local: Problem) -> Problem:
    """The strip with its first vertex turned in, so that the border of its box runs across the other faces."""
    vertices = local.mesh.vertices.clone()
    vertices[0, 0] = 0.4
    return dataclasses.replace(local, mesh=local.mesh.with_vertices(vertices))


@pytest.mark.parametrize(("signal", "samples"), [(LeaveOneOut(), 2), (LeaveOneOut(), 3), (Paired(), 2), (Paired(), 4)])
def test_boxes_of_noise_that_vertices_share_hold_a_vertex_wherever_its_own_part_is_exchanged(
    folded: Problem, signal: Signal, samples: int
) -> None:
    """The range over the samples alone is biased: how far a vertex is taken depends on what the others do."""
    noise = Followers(Steps(0.25))
    steps = noise.steps.tuples(1, 5)
    mean = torch.zeros(5, dtype=torch.float64, requires_grad=True)
    expected = (noise.steps.probabilities(steps, mean) * folded.of_tuples(noise.moved(steps))[0]).sum()
    exact = torch.autograd.grad(expected, mean)[0][0]
    assert exact.abs() > 0.05
    for support in (Everywhere(), Rings()):
        found = mean_gradient_of_the_first(folded, noise, samples, signal, support)
        torch.testing.assert_close(found, exact, **EXACT)
    untold = dataclasses.replace(noise, told=False)
    bias = mean_gradient_of_the_first(folded, untold, samples, signal, Rings()) - exact
    assert bias.abs() > 0.01 * exact.abs()


def mean_gradient_of_the_first(
    problem: Problem, noise: Followers, samples: int, signal: Signal, support: Support
) -> Tensor:
    """The exact mean of the gradient in the first vertex along its line."""
    both = Antithetic(noise) if signal.paired else noise
    steps = noise.steps.tuples(samples // 2 if signal.paired else samples, 5)
    scene = problem.batch(steps.shape[1])
    estimator = Estimator(samples=samples, noise=both, support=support, signal=signal)
    values = expected_loss(problem.renderer, scene, problem.cameras, problem.losses, estimator)
    (gradients,) = torch.autograd.grad(values.sum(), scene.vertices)
    return (gradients * lines(problem.mesh)).sum(-1).mean(0)[0]
