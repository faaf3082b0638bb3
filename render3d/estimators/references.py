"""Noise of finite-difference methods, which others are compared with: it is of no use for many vertices."""

import dataclasses
import math
from typing import ClassVar, final

import torch
from torch import Tensor

from render3d.estimators.noise import VertexNoise
from render3d.randomness import Key, standard_normal


@final
@dataclasses.dataclass(frozen=True, kw_only=True)
class Signs(VertexNoise):
    """Every coordinate moves by the same length ``scale``, up or down at random; see `VertexNoise`.

    With `Antithetic` and `Paired` it is simultaneous perturbation (Spall, "Multivariate stochastic approximation using
    a simultaneous perturbation gradient approximation", 1992): the score of a sign is the sign itself, ``1 / s = s``.
    """

    def sample(self, key: Key, samples: int, examples: int, event: tuple[int, ...]) -> tuple[Tensor, Tensor]:
        """See `VertexNoise`."""
        signs = torch.where(standard_normal(key, samples, examples, event) < 0, -1.0, 1.0)
        return signs, signs


@final
@dataclasses.dataclass(frozen=True, kw_only=True)
class OneByOne(VertexNoise):
    """One coordinate after the other moves up by ``scale``, and down: central differences, with `Paired`.

    It takes six samples a vertex along the axes, and has an error of second order in the scale: a black box must change
    within it. See `VertexNoise`.
    """

    paired: ClassVar[bool] = True

    def sample(self, key: Key, samples: int, examples: int, event: tuple[int, ...]) -> tuple[Tensor, Tensor]:
        """See `VertexNoise`; nothing is random.

        Raises:
            ValueError: A number of samples that is not twice that of the coordinates.
        """
        coordinates = math.prod(event)
        if samples != 2 * coordinates:
            raise ValueError(
                f"samples must be twice the number of coordinates, {2 * coordinates} for {event[1]} vertices; got "
                f"{samples}. Say central_difference(vertices={event[1]})."
            )
        moves = torch.eye(coordinates).reshape(coordinates, 1, *event).expand(coordinates, examples, *event)
        moves = torch.cat([moves, -moves])
        # The estimator takes the mean over the samples, of which each coordinate has two.
        return moves, moves * coordinates
