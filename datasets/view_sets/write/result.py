"""What came of a run: what was made, what failed, and whether workers grew."""

import collections
import dataclasses
from collections.abc import Mapping
from typing import Any, final

from render3d.datasets.collections import Skipped
from render3d.datasets.view_sets.write.engine import Finished
from render3d.datasets.view_sets.write.failures import Failure, skipped_by_reason
from render3d.datasets.view_sets.write.problems import Problem, objects_by_kind

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


@final
@dataclasses.dataclass(frozen=True)
class ViewsResult:
    """What came of a run.

    Attributes:
        kept: Objects that an earlier run had stored.
        made: Objects that this one has stored.
        failures: What is not stored, in the order of ids, with those of earlier runs that are as before.
        skipped: What `open_collection` met and did not take for an object.
        problems: Of all stored objects, those of earlier runs as well, in the order of ids.
        views: Images that this run has stored.
        seconds: That this run took.
        stages: Seconds that its workers spent on ``loading``, ``rendering`` and ``writing``, added up.
        memory: Of each process that made objects.
    """

    kept: int
    made: int
    failures: tuple[Failure, ...]
    skipped: tuple[Skipped, ...]
    problems: tuple[Problem, ...]
    views: int
    seconds: float
    stages: Mapping[str, float]
    memory: tuple[WorkerMemory, ...]

    def facts(self) -> dict[str, Any]:
        """What ``metrics.json`` holds."""
        busy = sum(self.stages.values()) or 1.0
        return {
            "kept": self.kept,
            "made": self.made,
            "failed": len(self.failures),
            "failed_by_kind": dict(sorted(collections.Counter(failure.kind for failure in self.failures).items())),
            "skipped": len(self.skipped),
            "skipped_by_reason": skipped_by_reason(self.skipped),
            "with_problems": len({problem.id for problem in self.problems}),
            "problems_by_kind": objects_by_kind(self.problems),
            "views": self.views,
            "seconds": self.seconds,
            "views_per_second": self.views / self.seconds if self.seconds else 0.0,
            "shares": {name: seconds / busy for name, seconds in self.stages.items()},
            "memory_mib": [dataclasses.asdict(worker) for worker in self.memory],
        }
