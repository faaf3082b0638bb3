"""Bounds on held-out data."""

import math
from typing import Any, NamedTuple

import torch
from scipy import special
from torch import Tensor

from render3d.datasets import Split
from render3d.errors import ModelError
from render3d.models.parts.batch import Batch
from render3d.models.parts.sequential import SequentialModel
from render3d.models.training.distributed import World
from render3d.models.training.sources import BatchSource
from render3d.randomness import Key

CONFIDENCE = 0.95

_BATCH = 50
_OF_SAMPLES = 2  # what randomness is for; 0 and 1 are of the model


class Estimate(NamedTuple):
    """A mean over examples in nats, and how well it is known of the data they were drawn from.

    Attributes:
        mean: Of the values.
        standard_error: Of the mean.
        low: The lower end of its 95% confidence interval by Student's t.
        high: The upper end.
    """

    mean: float
    standard_error: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Tensor) -> "Estimate":
        """From one value of every example, ``[N]``; all but the mean are NaN for one alone."""
        count = len(values)
        mean, error = float(values.mean()), math.nan if count < 2 else float(values.std()) / math.sqrt(count)
        half = float(special.stdtrit(count - 1, (1 + CONFIDENCE) / 2)) * error
        return cls(mean, error, mean - half, mean + half)

    def __str__(self) -> str:
        return f"{self.mean:.2f} nats, {CONFIDENCE:.0%} interval {self.low:.2f} to {self.high:.2f}"

    def named(self, name: str) -> dict[str, Any]:
        """For a file of measures: the mean by this name, with what is known of it."""
        return {name: self.mean, "standard_error": self.standard_error, "interval_95": [self.low, self.high]}


class Bound(NamedTuple):
    """Negative bounds of every example, nats, ``[N]`` float64: each at least ``-log p(x given c)`` in expectation.

    Attributes:
        total: The free energy of one sample of the latents, the KL in closed form.
        kl: The KL part of it.
        importance_weighted: ``-log 1/K sum_k w_k``, ``w_k = p(x, z_k given c) / q(z_k given x, c)``, of K samples, the
            first of them that of `total`, which it is for K = 1. Its expectation falls with K, from that of the free
            energy to ``-log p(x given c)`` (Burda et al. 2016, theorem 1).
        samples: K.
        split: Of the dataset.
    """

    total: Tensor
    kl: Tensor
    importance_weighted: Tensor
    samples: int
    split: Split

    @property
    def mean(self) -> float:
        """Of the free energy, nats."""
        return float(self.total.mean())

    @property
    def standard_error(self) -> float:
        """Of the mean of the free energy, nats."""
        return Estimate.of(self.total).standard_error

    @property
    def by_samples(self) -> dict[int, Estimate]:
        """The mean negative bound of 1 sample, and of K."""
        return {1: Estimate.of(self.total), self.samples: Estimate.of(self.importance_weighted)}

    @property
    def gain(self) -> Estimate:
        """What K samples take from the bound of one, paired by example."""
        return Estimate.of(self.total - self.importance_weighted)

    def summary(self) -> dict[str, Any]:
        """What a file of measures says: every bound with its samples, examples, split and 95% interval."""
        estimates = self.by_samples
        one = {"split": self.split, "examples": len(self.total), "samples": 1}
        one |= Estimate.of(self.total).named("negative_bound_nats") | {"kl_nats": float(self.kl.mean())}
        if self.samples == 1:
            return one
        many = {"samples": self.samples, **estimates[self.samples].named("negative_bound_nats")}
        return one | {"importance_weighted": many | {"gain_over_one_sample": self.gain.named("nats")}}


@torch.no_grad()
def bound(
    model: SequentialModel,
    source: BatchSource,
    count: int,
    world: World | None = None,
    seed: int = 0,
    *,
    samples: int = 1,
) -> Bound:
    """The negative bounds of the first ``count`` examples; shared out over ``world``.

    The latents of an example are a function of ``seed`` and its number: the same for every model, so that models can be
    compared example by example. Memory does not grow with ``samples``, time does in proportion.

    Raises:
        ModelError: Less than one sample.
    """
    if samples < 1:
        raise ModelError(f"samples must be at least 1; got {samples}.")
    count = min(count, len(source))
    terms = torch.zeros(3, count, dtype=torch.float64)
    for number, first in enumerate(range(0, count, _BATCH)):
        if world is None or number % world.size == world.rank:
            chosen = slice(first, min(first + _BATCH, count))
            batch = source.batch(range(chosen.start, chosen.stop), model.start.device)
            terms[:, chosen] = _negative_bounds(model, batch, Key(seed, first), samples).cpu()
    total, kl, tight = terms if world is None else world.sum(terms.to(world.device)).cpu()
    return Bound(total, kl, tight, samples, source.split)


def _negative_bounds(model: SequentialModel, batch: Batch, key: Key, samples: int) -> Tensor:
    """``[3, N]``: the free energy, its KL, and the importance-weighted bound, of which a running sum is kept."""
    first = model(batch, key)
    total, kl = first.total.double(), first.kl.sum(1).double()
    if samples == 1:
        return torch.stack([total, kl, total])
    log_sum = first.log_weight.double()
    for number in range(1, samples):
        weight = model(batch, key.fold_in(_OF_SAMPLES).fold_in(number)).log_weight
        log_sum = torch.logaddexp(log_sum, weight.double())
    return torch.stack([total, kl, math.log(samples) - log_sum])
