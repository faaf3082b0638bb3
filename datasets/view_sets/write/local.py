"""Workers on this machine."""

import dataclasses
import itertools
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from queue import SimpleQueue
from typing import final

from render3d.datasets.checks import check_at_least
from render3d.datasets.collections import CollectionObject
from render3d.datasets.view_sets.write.engine import Job, Limits, Outcome
from render3d.datasets.view_sets.write.guarded import GuardedProcess
from render3d.optional import PEBBLE


@final
@dataclasses.dataclass(frozen=True)
class LocalEngine:
    """Processes on this machine, started anew rather than forked, each with an OpenGL context of its own.

    Attributes:
        workers: How many; None: one for each core that this process may use.

    Raises:
        DatasetError: Fewer than one.
        RendererError: Pebble is not installed.
    """

    workers: int | None = None

    def __post_init__(self) -> None:
        PEBBLE.require()
        if self.workers is not None:
            check_at_least(1, workers=self.workers)

    def run(self, job: Job, objects: Sequence[CollectionObject], limits: Limits) -> Iterator[Outcome]:
        """As `Engine.run`; each worker has one object at a time.

        Raises:
            RendererError: Workers cannot start.
        """
        count = min(self.workers or _cores(), len(objects))
        processes = [GuardedProcess(job, limits, threads=max(1, _cores() // count)) for _ in range(count)]
        free: SimpleQueue[GuardedProcess] = SimpleQueue()
        for process in processes:
            free.put(process)

        def outcome(item: CollectionObject) -> Outcome:
            process = free.get()
            try:
                return process.outcome(item)
            finally:
                free.put(process)

        waiting = iter(objects)
        with ThreadPoolExecutor(count + 1) as threads:
            try:
                running = {threads.submit(outcome, item) for item in itertools.islice(waiting, count)}
                while running:
                    done, running = wait(running, return_when=FIRST_COMPLETED)
                    running |= {threads.submit(outcome, item) for item in itertools.islice(waiting, len(done))}
                    for future in done:
                        yield future.result()
            finally:
                _close(processes)


def _cores() -> int:
    return len(os.sched_getaffinity(0))


def _close(processes: Sequence[GuardedProcess]) -> None:
    """All at once: each takes a moment."""
    if processes:
        with ThreadPoolExecutor(len(processes)) as threads:
            list(threads.map(GuardedProcess.close, processes))
