"""The bound on held-out data."""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from render3d.models.distributed import World
from render3d.models.sequential import SequentialModel
from render3d.models.sources import Source
from render3d.randomness import Key

_BATCH = 50


class Bound(NamedTuple):
    """The negative bound of every example, nats, ``[N]`` float64, and its parts."""

    total: Tensor
    kl: Tensor

    @property
    def mean(self) -> float:
        """Nats."""
        return float(self.total.mean())

    @property
    def standard_error(self) -> float:
        """Of the mean, nats."""
        return float(self.total.std() / math.sqrt(len(self.total)))


@torch.no_grad()
def bound(model: SequentialModel, source: Source, count: int, world: World | None = None, seed: int = 0) -> Bound:
    """The free energy of the first ``count`` examples, one sample of the latents each; shared out over ``world``.

    The latents of an example are a function of ``seed`` and its number: the same for every model, so that models can be
    compared example by example.
    """
    count = min(count, len(source.dataset))
    terms = torch.zeros(2, count, dtype=torch.float64)
    for number, first in enumerate(range(0, count, _BATCH)):
        if world is None or number % world.size == world.rank:
            chosen = slice(first, min(first + _BATCH, count))
            batch = source.batch(range(chosen.start, chosen.stop)).to(model.start.device)
            found = model(batch, Key(seed, first))
            terms[:, chosen] = torch.stack([found.total, found.kl.sum(1)]).double().cpu()
    total, kl = terms if world is None else world.sum(terms.to(world.device)).cpu()
    return Bound(total, kl)
