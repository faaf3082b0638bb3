"""Estimators: how a gradient is had through a function that gives none. Noise, support and signal, put together."""

import dataclasses
from typing import Protocol, final

import torch
from torch import Tensor

from render3d.estimators.noise import Gaussian
from render3d.estimators.signal import LeaveOneOut, Plain
from render3d.estimators.support import Everywhere
from render3d.randomness import Key
from render3d.scenes import Mesh


class Noise(Protocol):
    """What is perturbed, and how."""

    def draw(self, key: Key, samples: int, mesh: Mesh) -> Tensor:
        """Displacements ``[samples, *batch, V, 3]``, world axes."""
        ...

    def score(self, displacements: Tensor) -> Tensor:
        """The gradient in the mean of their log-density; same shape."""
        ...


class Support(Protocol):
    """Which pixels may be credited to which vertex."""

    def collect(self, advantages: Tensor) -> Tensor:
        """``[K, *batch, views, V or 1]``, from ``[K, *batch, views, H, W]``."""
        ...


class Signal(Protocol):
    """How losses become credit."""

    @property
    def minimum_samples(self) -> int:
        """The fewest samples it is defined for."""
        ...

    def advantages(self, losses: Tensor) -> Tensor:
        """Credit of each sample, ``[K, ...]`` as the losses."""
        ...


@final
@dataclasses.dataclass(frozen=True, kw_only=True)
class Estimator:
    """The score-function estimator ``1/K sum_k A_k score(d_k)`` of the gradient of ``E l(x + d)`` in ``x``.

    Attributes:
        samples: K, the number of noisy realisations; each is rendered once.
        noise: The law of the displacements d.
        support: Which pixels' credit A reaches which vertex.
        signal: How losses become A.
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

    def gradient(self, losses: Tensor, displacements: Tensor) -> Tensor:
        """The gradient in each view's copy of the vertices, ``[*batch, views, V, 3]``, in the axes of the noise.

        Args:
            losses: ``[K, *batch, views, H, W]``, one number a pixel; the objective is their sum.
            displacements: ``[K, *batch, V, 3]``, with any batch dimension of 1 where examples share the noise.
        """
        credit = self.support.collect(self.signal.advantages(losses))
        return contract(credit, self.noise.score(displacements)) / losses.shape[0]


def contract(credit: Tensor, score: Tensor) -> Tensor:
    """``sum_k credit[k, ..., view, vertex] * score[k, ..., vertex]``, ``[*batch, views, V, 3]``.

    Credit that all vertices share, ``[K, *batch, views, 1]``, makes it a matrix product.
    """
    if credit.shape[-1] == 1:
        weights = credit[..., 0].movedim(0, -1)
        flat = score.flatten(-2).movedim(0, -2)
        return (weights @ flat).unflatten(-1, score.shape[-2:])  # type: ignore[no-untyped-call, no-any-return]
    return torch.einsum("k...wv,k...vc->...wvc", credit, score)


def reinforce(samples: int = 16, scale: float = 0.02) -> Estimator:
    """Score-function gradients without a baseline (Williams 1992), for comparison: the noise swamps most scenes."""
    return Estimator(samples=samples, noise=Gaussian(scale=scale), support=Everywhere(), signal=Plain())


def leave_one_out(samples: int = 16, scale: float = 0.02) -> Estimator:
    """Multi-sample REINFORCE with a leave-one-out baseline (supplement A.5).

    Args:
        samples: K >= 2 noisy realisations of the mesh, each rendered once.
        scale: Standard deviation of the noise, in scene units. About the size of a pixel on the surface is a good
            start: 0.02 for a unit sphere some 100 pixels across, 0.04 for 50.
    """
    return Estimator(samples=samples, noise=Gaussian(scale=scale), support=Everywhere(), signal=LeaveOneOut())
