"""p(x given x_hat), equation 6: how observations scatter round what the model says."""

import abc
import dataclasses
import math
from typing import final

import torch
from torch import Generator, Tensor

from render3d.errors import ModelError


class Likelihood(abc.ABC):
    """A law of the observation given ``x_hat``, each element by itself."""

    @abc.abstractmethod
    def log_probs(self, x: Tensor, x_hat: Tensor) -> Tensor:
        """Nats: the log probability (or density) of every element of ``x``, which broadcasts to ``x_hat``."""

    @abc.abstractmethod
    def mean(self, x_hat: Tensor) -> Tensor:
        """The expected observation, of the shape of ``x_hat``."""

    @abc.abstractmethod
    def sample(self, x_hat: Tensor, generator: Generator | None = None) -> Tensor:
        """An observation, of the shape of ``x_hat``."""

    @final
    def log_prob(self, x: Tensor, x_hat: Tensor) -> Tensor:
        """``[N]``, nats: that of ``x`` given ``x_hat``, both ``[N, ...]``: the sum over elements.

        Raises:
            ModelError: They are of different shapes.
        """
        if x.shape != x_hat.shape:
            raise ModelError(
                f"The observation has shape {list(x.shape)}, and the model makes {list(x_hat.shape)}. Build the model "
                "for this data."
            )
        return self.log_probs(x, x_hat).flatten(1).sum(1)


@final
@dataclasses.dataclass(frozen=True)
class Bernoulli(Likelihood):
    """Zero or one; ``x_hat`` is a logit. For binary volumes through the identity projection."""

    def log_probs(self, x: Tensor, x_hat: Tensor) -> Tensor:
        """``x log p + (1 - x) log(1 - p)`` with ``p = sigmoid(x_hat)``."""
        return -torch.nn.functional.binary_cross_entropy_with_logits(x_hat, x.expand_as(x_hat), reduction="none")

    def mean(self, x_hat: Tensor) -> Tensor:
        """The probability of one."""
        return torch.sigmoid(x_hat)

    def sample(self, x_hat: Tensor, generator: Generator | None = None) -> Tensor:
        """Zeros and ones."""
        return torch.bernoulli(torch.sigmoid(x_hat), generator=generator)


@final
@dataclasses.dataclass(frozen=True)
class ClampedBernoulli(Likelihood):
    """Zero or one; ``x_hat`` is a probability, such as a rendered coverage.

    Attributes:
        margin: Probabilities are kept this far from zero and one: a hard pixel of a black box would otherwise be
            infinitely sure, and the bound minus infinity.
    """

    margin: float = 0.01

    def __post_init__(self) -> None:
        if not 0 < self.margin < 0.5:
            raise ModelError(f"margin must lie between 0 and 0.5; got {self.margin}.")

    def log_probs(self, x: Tensor, x_hat: Tensor) -> Tensor:
        """``x log p + (1 - x) log(1 - p)`` with ``p`` shrunk linearly into the margins, so that gradients stay."""
        return -torch.nn.functional.binary_cross_entropy(self.mean(x_hat), x.expand_as(x_hat), reduction="none")

    def mean(self, x_hat: Tensor) -> Tensor:
        """The probability of one."""
        return self.margin + (1 - 2 * self.margin) * x_hat.clamp(0, 1)

    def sample(self, x_hat: Tensor, generator: Generator | None = None) -> Tensor:
        """Zeros and ones."""
        return torch.bernoulli(self.mean(x_hat), generator=generator)


@final
@dataclasses.dataclass(frozen=True)
class GaussianLikelihood(Likelihood):
    """Real values round ``x_hat``.

    Attributes:
        sigma: Their standard deviation, in units of the observation. The paper does not state it.
    """

    sigma: float = 0.1

    def __post_init__(self) -> None:
        if not (self.sigma > 0 and math.isfinite(self.sigma)):
            raise ModelError(f"sigma must be positive and finite; got {self.sigma}.")

    def log_probs(self, x: Tensor, x_hat: Tensor) -> Tensor:
        """The log density of ``N(x_hat, sigma^2)``."""
        constant = math.log(self.sigma) + 0.5 * math.log(2 * math.pi)
        return -0.5 * ((x - x_hat) / self.sigma).square() - constant

    def mean(self, x_hat: Tensor) -> Tensor:
        """``x_hat`` itself."""
        return x_hat

    def sample(self, x_hat: Tensor, generator: Generator | None = None) -> Tensor:
        """Real values."""
        noise = torch.randn(x_hat.shape, generator=generator, dtype=x_hat.dtype, device=x_hat.device)
        return x_hat + self.sigma * noise
