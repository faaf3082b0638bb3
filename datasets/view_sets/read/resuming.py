"""Epochs that can be left and gone on with, and their division among processes."""

import abc
import hashlib
import os
from collections.abc import Iterator, Mapping
from typing import Any, final

import numpy as np
from torch import distributed
from torch.utils.data import Sampler

from render3d.datasets.base import OF_ORDER, Epochs, example_generator
from render3d.datasets.checks import check_at_least
from render3d.errors import DatasetError
from render3d.randomness import Key

_OTHER_ORDER = (
    "state is of another order of examples: the objects, the settings, the ranks or the workers differ. Make this as "
    "that one was made."
)


class Resumable(Epochs, abc.ABC):
    """Something that is gone through in an order of its own for each epoch, and can be gone on with in the middle."""

    def __init__(self, even: bool, rank: int | None, world_size: int | None) -> None:
        super().__init__()
        self.even = even
        self.rank, self.world_size = this_rank(rank, world_size)
        self._resume_at = 0
        self._given = 0
        self._given_in = 0  # which epoch
        self._resumed_order = ""

    @abc.abstractmethod
    def _fingerprint(self) -> str:
        """What tells whether two orders are the same."""

    def _part(self, count: int) -> range:
        """The numbers, of ``count`` things, of those that are this rank's."""
        return share(count, self.rank, self.world_size, even=self.even)

    def _begin(self) -> int:
        """How many examples to leave out; the next time it is none again."""
        start = self._resume_at if self._given_in == self.epoch else 0
        if start and self._resumed_order != self._fingerprint():
            raise DatasetError(_OTHER_ORDER)
        self._resume_at, self._given, self._given_in = 0, start, self.epoch
        return start

    def state_dict(self) -> dict[str, Any]:
        """Where it stands: its epoch, and how many examples of that were given out."""
        given = self._given if self._given_in == self.epoch else 0
        return {"epoch": self.epoch, "position": given, "order": self._fingerprint()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from where another stood: the next iteration gives exactly what was left of its epoch.

        A `set_epoch` of the same epoch changes nothing about that.

        Raises:
            DatasetError: The state is none, or that of another order: of other objects, settings, ranks or workers.
        """
        try:
            epoch, position, order = int(state["epoch"]), int(state["position"]), state["order"]
        except (KeyError, TypeError, ValueError) as error:
            raise DatasetError(f"state must be what state_dict gave; got {state!r}.") from error
        check_at_least(0, epoch=epoch, position=position)
        if order != self._fingerprint():
            raise DatasetError(_OTHER_ORDER)
        self.set_epoch(epoch)
        self._resume_at = self._given = position
        self._given_in, self._resumed_order = epoch, order


@final
class ResumableSampler(Resumable, Sampler[int]):
    """The order of the examples of a map-style dataset, divided among ranks, that can be left and gone on with.

    Each example is in the order of one rank, once an epoch. The order is a function of (seed, epoch).

    With workers, a DataLoader takes numbers from its sampler before they are needed. The position to store is then that
    of the examples that came out of it: ``sampler.state_dict() | {"position": batches * batch_size}``.

    Args:
        length: Of the dataset.
        shuffle: Whether the order is random.
        seed: Of the order, from 0 to 2**63 - 1.
        even: Leave out the last few examples of each epoch, so that all ranks have as many.
        rank: The number of this process; None: that of ``torch.distributed`` or of ``torchrun``, or 0.
        world_size: How many processes there are; None: likewise.

    Raises:
        DatasetError: A value outside its range.
    """

    def __init__(
        self,
        length: int,
        *,
        shuffle: bool = True,
        seed: int = 0,
        even: bool = False,
        rank: int | None = None,
        world_size: int | None = None,
    ) -> None:
        super().__init__(even, rank, world_size)
        check_at_least(0, length=length)
        self.length, self.shuffle, self.seed = length, shuffle, seed

    def _fingerprint(self) -> str:
        return fingerprint(self.length, self.shuffle, self.seed, self.even, self.rank, self.world_size)

    def __len__(self) -> int:
        """How many examples the next iteration gives."""
        return len(self._part(self.length)) - self._resume_at

    def __iter__(self) -> Iterator[int]:
        """The numbers of the examples of this rank, in the order of this epoch."""
        order = np.arange(self.length)
        if self.shuffle:
            order = example_generator(Key(self.seed).fold_in(OF_ORDER).fold_in(self.epoch), 0).permutation(order)
        own = order[self._part(self.length)].tolist()
        for number in own[self._begin() :]:
            self._given += 1
            yield number


def this_rank(rank: int | None, world_size: int | None) -> tuple[int, int]:
    """The number of this process and how many there are.

    Raises:
        DatasetError: Only one of the two, or no such rank.
    """
    if (rank is None) != (world_size is None):
        raise DatasetError(f"rank and world_size belong together; got rank={rank} and world_size={world_size}.")
    if rank is None or world_size is None:
        if distributed.is_available() and distributed.is_initialized():
            rank, world_size = distributed.get_rank(), distributed.get_world_size()
        else:  # what torchrun sets
            rank, world_size = int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
    if not 0 <= rank < world_size:
        raise DatasetError(f"rank must be from 0 to world_size - 1; got rank={rank} and world_size={world_size}.")
    return rank, world_size


def share(count: int, part: int, parts: int, *, even: bool = False) -> range:
    """The numbers, of ``count`` things, of those in one part; parts differ by one at most, or are all alike."""
    if even:
        count -= count % parts
    return range(count * part // parts, count * (part + 1) // parts)


def fingerprint(*facts: object) -> str:
    """A short text that is another one whenever a fact is."""
    return hashlib.sha256(repr(facts).encode()).hexdigest()[:16]
