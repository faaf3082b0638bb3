"""Noise of finite-difference methods, which others are compared with: it is of no use for many vertices."""

import dataclasses
import math
from typing import ClassVar, final

import torch
from torch import Tensor

from render3d.cameras import Cameras
from render3d.estimators.noise import Draw
from render3d.randomness import Key, standard_normal
from render3d.scenes import Mesh


@final
@dataclasses.dataclass(frozen=True, kw_only=True)
class Signs:
    """Every coordinate moves by the same length, up or down at random, in pairs of opposite signs.

    With `Paired` it is simultaneous perturbation (Spall, "Multivariate stochastic approximation using a simultaneous
    perturbation gradient approximation", 1992): the score of a sign is the sign itself, ``1 / s = s``.

    Attributes:
        step: The length, scene units.
    """

    step: float

    paired: ClassVar[bool] = True

    def __post_init__(self) -> None:
        _check_step(self.step)

    def draw(self, key: Key, samples: int, mesh: Mesh, cameras: Cameras) -> Draw:
        """See `render3d.estimators.noise.Noise`.

        Raises:
            ValueError: An odd number of samples.
        """
        if samples % 2:
            raise ValueError(f"samples must be even, since signs come in pairs; got {samples}.")
        batch, event = _shape(mesh, cameras)
        normal = standard_normal(key, samples // 2, batch.numel(), event)
        signs = torch.where(normal < 0, -1.0, 1.0).reshape(samples // 2, *batch, *event).to(mesh.vertices)
        return _pairs(signs, signs, self.step)


@final
@dataclasses.dataclass(frozen=True, kw_only=True)
class OneByOne:
    """One coordinate after the other moves up, and down: central differences, with `Paired`.

    It takes six samples a vertex, and has an error of second order in the step: a black box must change within it.

    Attributes:
        step: How far, scene units.
    """

    step: float

    paired: ClassVar[bool] = True

    def __post_init__(self) -> None:
        _check_step(self.step)

    def draw(self, key: Key, samples: int, mesh: Mesh, cameras: Cameras) -> Draw:
        """See `render3d.estimators.noise.Noise`; nothing is random.

        Raises:
            ValueError: A number of samples that is not six times that of the vertices.
        """
        batch, event = _shape(mesh, cameras)
        coordinates = math.prod(event)
        if samples != 2 * coordinates:
            raise ValueError(
                f"samples must be twice the number of coordinates, {2 * coordinates} for {event[1]} vertices; got "
                f"{samples}. Say central_difference(vertices={event[1]})."
            )
        moves = torch.eye(coordinates).reshape(coordinates, *[1] * len(batch), *event).to(mesh.vertices)
        moves = moves.expand(coordinates, *batch, *event)
        # The estimator takes the mean over the samples, of which each coordinate has two.
        return _pairs(moves, moves * coordinates, self.step)


def _shape(mesh: Mesh, cameras: Cameras) -> tuple[torch.Size, tuple[int, int, int]]:
    """The batch, with dimensions of 1 that the mesh lacks, and ``(W, V, d)`` of noise that views share."""
    missing = max(0, len(cameras.batch_shape) - len(mesh.batch_shape))
    return torch.Size([*[1] * missing, *mesh.batch_shape]), (1, mesh.vertices.shape[-2], 3)


def _pairs(coordinates: Tensor, score: Tensor, step: float) -> Draw:
    both, scores = (torch.cat([values, -values]) for values in (coordinates, score))
    return Draw(both, scores, coordinates.new_tensor(step).reshape(1, 1, 1))


def _check_step(step: float) -> None:
    if not (step > 0 and math.isfinite(step)):
        raise ValueError(f"step must be a positive number of scene units; got {step}.")
