"""Views of a collection of objects in shards, as a stream."""

import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, final

import numpy as np
import torch
from torch.utils.data import IterableDataset, get_worker_info

from render3d.datasets.base import OF_ORDER, example_generator
from render3d.datasets.checks import check_at_least
from render3d.datasets.view_sets.formats.shards import INDEX, SHARDS, Shards, objects_in, read_index
from render3d.datasets.view_sets.read.example import PosedObject, PosedSettings, label_of, select
from render3d.datasets.view_sets.read.finding import Place
from render3d.datasets.view_sets.read.objects import read_object
from render3d.datasets.view_sets.read.resuming import Resumable, fingerprint, share
from render3d.errors import DatasetError
from render3d.view_sets.files import MemoryFiles


@final
class PosedShards(Resumable, IterableDataset[PosedObject]):
    """Objects with their views, read from shards in one pass.

    The order of an epoch is a function of (seed, epoch): shards in a random order, divided into parts that differ by
    one example at most, one for each rank and of those one for each worker of its DataLoader; and each part through a
    buffer that gives out at random. A shard that is divided is read by both sides. Each example is in one part.

    An example itself is the same as in `PosedObjects`, whatever the order.

    To go on in the middle of an epoch, store `state_dict` and give it to `load_state_dict` of one that is made alike.
    Without workers it counts what came out of the iterator. A worker's is its own, so with workers a DataLoader cannot
    tell, and `state_dict` is an error until the next `set_epoch`; ``StatefulDataLoader`` of torchdata keeps those of
    its workers.

    Args:
        folder: Of a finished run of ``render3d views --format shards``, or its folder ``shards``.
        settings: What is read.
        buffer: Objects, as they are in their files, that each worker holds to give them out in another order; 0: in
            the order they are stored in, epoch after epoch.
        even: Leave out the last few examples of each epoch, so that all ranks have as many.
        rank: The number of this process; None: that of ``torch.distributed`` or of ``torchrun``, or 0.
        world_size: How many processes there are; None: likewise.

    Attributes:
        ids: Of the objects of all ranks, in the order they are stored in.
        classes: The name of each label.

    Raises:
        DatasetError: No index of shards, a value outside its range, or nothing that the settings ask for. In an
            iteration: a shard that is missing, truncated or damaged, or holds what it should not.
    """

    def __init__(
        self,
        folder: str | Path,
        settings: PosedSettings | None = None,
        *,
        buffer: int = 256,
        even: bool = False,
        rank: int | None = None,
        world_size: int | None = None,
    ) -> None:
        super().__init__(even, rank, world_size)
        check_at_least(0, buffer=buffer)
        self.folder = Path(folder)
        if (self.folder / SHARDS / INDEX).is_file():
            self.folder /= SHARDS
        self.settings = settings or PosedSettings()
        self.buffer = buffer
        self._shards = read_index(self.folder)
        self._items, self.classes = select([item for shard in self._shards for item in shard.objects], self.settings)
        self.ids = tuple(item.id for item in self._items)
        shard_of = {item.id: number for number, shard in enumerate(self._shards) for item in shard.objects}
        self._shard_of = [shard_of[id_] for id_ in self.ids]
        self._read_by_workers = torch.zeros((), dtype=torch.bool).share_memory_()  # type: ignore[no-untyped-call]

    def set_epoch(self, epoch: int) -> None:
        """As `Epochs.set_epoch`."""
        super().set_epoch(epoch)
        self._read_by_workers.fill_(False)

    def state_dict(self) -> dict[str, Any]:
        """As `Resumable.state_dict`.

        Raises:
            DatasetError: Workers read this epoch.
        """
        if get_worker_info() is None and bool(self._read_by_workers):
            raise DatasetError(
                "state_dict of what workers read says nothing: each has its own. Use no workers, or torchdata's "
                "StatefulDataLoader, or store the state between epochs, after set_epoch."
            )
        return super().state_dict()

    def __iter__(self) -> Iterator[PosedObject]:
        """The examples of this rank, or of this worker of it."""
        if get_worker_info() is not None:
            self._read_by_workers.fill_(True)
        epoch = self.epoch
        order, stored = self._order(epoch)
        rest = order[self._begin() :]
        left = set(rest)
        waiting = self._read([number for number in stored if number in left])
        held: dict[int, MemoryFiles] = {}
        for number in rest:
            while number not in held:
                held.update([next(waiting)])
            example = self._example(number, held.pop(number), epoch)
            self._given += 1
            yield example

    def _fingerprint(self) -> str:
        facts = (self.buffer, self.even, self.rank, self.world_size, *_worker(), self.settings.seed)
        return fingerprint(self.ids, self._shard_of, *facts)

    def _order(self, epoch: int) -> tuple[list[int], list[int]]:
        """The numbers of this worker's examples, in the order they are given out and in the order they are read."""
        generator = example_generator(self.settings.stream(OF_ORDER, epoch), 0)
        shards = np.arange(len(self._shards))
        if self.buffer:
            shards = generator.permutation(shards)
        place = np.argsort(shards)  # of each shard in the order of this epoch
        numbers = np.argsort(place[self._shard_of], kind="stable")
        of_rank = numbers[self._part(len(numbers))]
        worker, workers = _worker()
        stored: list[int] = of_rank[share(len(of_rank), worker, workers)].tolist()
        own = example_generator(self.settings.stream(OF_ORDER, epoch), 1 + self.rank * workers + worker)
        return _through_buffer(stored, self.buffer, own), stored

    def _read(self, numbers: Sequence[int]) -> Iterator[tuple[int, MemoryFiles]]:
        """Numbers with their files, in that order: shard after shard."""
        for shard, group in itertools.groupby(numbers, key=self._shard_of.__getitem__):
            by_key = {self._items[number].key: number for number in group}
            found = self._shards[shard]
            for item, files in objects_in(self.folder / found.name, found, by_key.keys()):
                yield by_key[item.key], files

    def _example(self, number: int, files: MemoryFiles, epoch: int) -> PosedObject:
        item = self._items[number]
        place = Place(item.id, item.label, item.split, files.archive / files.key, Shards(), item.sha256)
        return read_object(files, place, label_of(item, self.classes), self.settings, epoch)


def _worker() -> tuple[int, int]:
    """The number of this worker of a DataLoader, and how many there are."""
    info = get_worker_info()
    return (0, 1) if info is None else (info.id, info.num_workers)


def _through_buffer(items: Sequence[int], size: int, generator: np.random.Generator) -> list[int]:
    """The order in which a buffer that holds ``size`` items gives them out, each time a random one."""
    order, held = [], list(items[:size])
    for item in items[size:] if size else ():
        chosen = int(generator.integers(size))
        order.append(held[chosen])
        held[chosen] = item
    return order + generator.permutation(held).tolist() if size else list(items)
