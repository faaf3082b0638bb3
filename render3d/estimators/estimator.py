"""Estimators: gradients of functions that give none. Noise, support and signal, put together."""

import dataclasses
from typing import Self, final

import torch
from torch import Tensor

from render3d.estimators.noise import Noise
from render3d.estimators.noisy import Noisy
from render3d.estimators.signal import Signal
from render3d.estimators.support import Support


@final
@dataclasses.dataclass(frozen=True, kw_only=True)
class Estimator:
    """The score-function estimator ``1/K sum_k A_k score(d_k)`` of the gradient of ``E l(x + d)`` in ``x``.

    Attributes:
        samples: K, the number of noisy realisations; each is rendered once.
        noise: The law of the displacements d.
        support: Which pixels' credit A reaches which vertex.
        signal: How losses become A, and A the gradient.

    Raises:
        ValueError: Too few samples for the signal, or antithetic noise and a signal that is not for it.
    """

    samples: int
    noise: Noise
    support: Support
    signal: Signal

    def __post_init__(self) -> None:
        if self.samples < self.signal.minimum_samples:
            raise ValueError(
                f"samples must be at least {self.signal.minimum_samples} for {type(self.signal).__name__}; got "
                f"samples={self.samples}. A leave-one-out baseline needs another sample to leave in."
            )
        if self.noise.paired != self.signal.paired:
            raise ValueError(
                f"{type(self.signal).__name__} is for {'antithetic' if self.signal.paired else 'independent'} samples, "
                f"and {type(self.noise).__name__} noise is not: use Antithetic(noise) with Paired(), and neither with "
                "anything else."
            )

    def gradient(self, losses: Tensor, noisy: Noisy) -> Tensor:
        """The gradient in each view's copy of the vertices, ``[*batch, views, V, 3]``, world axes.

        Args:
            losses: ``[K, *batch, views, H, W]``, one number a pixel; the objective is their sum.
            noisy: What was rendered.
        """
        return noisy.draw.world_gradient(self.signal.gradient(self.credit(losses, noisy), noisy.draw, noisy.faces))

    def credit(self, losses: Tensor, noisy: Noisy) -> Tensor:
        """The credit ``[K, *batch, views, V or 1]`` of each sample and vertex; arguments as in `gradient`."""
        return self.support.collect(self.signal.advantages(losses), noisy).to(noisy.draw.score.dtype)

    def share(self, noisy: Noisy, losses: Tensor) -> float:
        """How many of the pixels of losses of this shape a vertex is credited with, on average: the credit of ones."""
        pixels = self.support.collect(torch.ones_like(losses), noisy)
        return float(pixels.mean()) / (losses.shape[-2] * losses.shape[-1])

    def scaled(self, factor: float) -> Self:
        """The same with noise of ``factor`` times the scale: how noise is annealed, step by step."""
        return dataclasses.replace(self, noise=self.noise.scaled(factor))
