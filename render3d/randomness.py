"""Random numbers that do not depend on how the work is split.

A call that needs noise takes one *key*, and every number is a function of (key, example, sample): the same whether a
batch is rendered in one call or in several, by one worker or by many.
"""

import functools
from typing import NamedTuple

import numpy as np
import torch
from torch import Generator, Tensor


class Key(NamedTuple):
    """The randomness of one call.

    Attributes:
        seed: Any integer from 0 to 2**63 - 1.
        first_example: The number, in the whole batch, of the first example of this call. A worker that renders examples
            64 to 127 of a batch passes 64 and draws what one call for all of them would have drawn.
    """

    seed: int
    first_example: int = 0

    def fold_in(self, number: int) -> "Key":
        """The key of the call with this number: as many independent keys as are wanted from one."""
        return Key(_folded(self.seed, number), self.first_example)


@functools.lru_cache(maxsize=256)  # all examples of a batch ask for the same
def _folded(seed: int, number: int) -> int:
    words = np.random.SeedSequence([seed, number]).generate_state(1, np.uint64)
    return int(words[0] >> 1)


def as_key(generator: Generator | Key | None) -> Key:
    """The key of a call: given, drawn from ``generator``, or drawn from torch's default generator."""
    if isinstance(generator, Key):
        return generator
    device = generator.device if generator is not None else "cpu"
    return Key(int(torch.randint(2**63 - 1, (), generator=generator, device=device)))


def standard_normal(key: Key, samples: int, examples: int, shape: tuple[int, ...]) -> Tensor:
    """``[samples, examples, *shape]`` float32 on the CPU, independent and normal with unit variance.

    Sample k of example e is the same for any number of samples and examples. The stream is numpy's Philox, a
    counter-based generator (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011), one per example.
    """
    noise = np.empty((examples, samples, *shape), dtype=np.float32)
    for example, own in enumerate(noise):
        stream = np.random.Generator(np.random.Philox(key=[key.seed, key.first_example + example]))
        stream.standard_normal(out=own, dtype=np.float32)
    return torch.from_numpy(noise).transpose(0, 1)
