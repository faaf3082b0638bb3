"""Discrete noise, and the exact mean of an estimator: the sum over all that may happen.

Each vertex moves along a line by ``+a`` or ``-a``, with probabilities that depend on the mean of the step. The tuples
of K samples are then finitely many: they are rendered as one batch, and the mean of the estimator, weighted by their
probabilities, is compared with the exact gradient, by autograd, of the objective in the means.
"""

import dataclasses

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
    Noise,
    Signal,
    Support,
    expected_loss,
)
from render3d.renderers import Renderer

EXACT = {"rtol": 0.0, "atol": 1e-10}
"""Of gradients of order 1 to 100, in float64."""


@dataclasses.dataclass(frozen=True)
class Steps(Noise):
    """Noise of two outcomes a vertex; a mesh of batch ``[T]`` gets all T tuples of samples.

    The mean of a step is m: ``P(+a) = (a + m) / 2a``, and the score is ``1 / (a + m)`` or ``-1 / (a - m)``.
    """

    size: float
    mean: float = 0.0
    views: int = 1  # more than 1: each view draws its own

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

    def scaled(self, factor: float) -> "Steps":
        return dataclasses.replace(self, size=self.size * factor, mean=self.mean * factor)


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
