"""Whether workers grow: what their processes held after each of their objects."""

import collections
import dataclasses
from typing import final

from render3d.datasets.view_sets.write.engine import Finished

_MIB = 2**20


@final
@dataclasses.dataclass(frozen=True)
class WorkerMemory:
    """The resident memory of a worker's process between objects, in MiB.

    Attributes:
        worker: As in `Finished`.
        objects: How many it made.
        after_tenth: When it had made a tenth of them.
        at_end: When it had made all.
        most: At any time between two.
    """

    worker: str
    objects: int
    after_tenth: float
    at_end: float
    most: float


@final
class MemoryLog:
    """Collects it over a run."""

    def __init__(self) -> None:
        self._held: collections.defaultdict[str, list[int]] = collections.defaultdict(list)

    def add(self, outcome: Finished) -> None:
        """Note what is known of an outcome: nothing, if its job had no process of its own."""
        if outcome.memory is not None:
            self._held[outcome.worker].append(outcome.memory)

    def by_worker(self) -> tuple[WorkerMemory, ...]:
        """One for each process, in the order of their first objects."""
        return tuple(
            WorkerMemory(worker, len(held), held[len(held) // 10] / _MIB, held[-1] / _MIB, max(held) / _MIB)
            for worker, held in self._held.items()
        )
