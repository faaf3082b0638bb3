"""Workers on one machine or many: the engine that stands on Ray."""

import collections
import contextlib
import dataclasses
import itertools
import os
import platform
import socket
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar, final

from render3d.datasets.checks import check_at_least
from render3d.datasets.collections import CollectionObject
from render3d.datasets.view_sets.write.engine import Failed, Job, Limits, Outcome
from render3d.datasets.view_sets.write.guarded import GuardedProcess
from render3d.errors import RendererError
from render3d.optional import PEBBLE, RAY

RETRIES = 3
"""How often an object is made again because its worker was lost."""

_SECONDS_TO_ANSWER = 10.0


@final
@dataclasses.dataclass(frozen=True)
class RayEngine:
    """Workers that Ray starts, one a CPU, on this machine or on all machines of a cluster.

    A worker is an actor, and a process beside it that does the job. What an object does, it does to that process: one
    that takes too long or too much memory, or crashes, is `Failed` at once, as on one machine without Ray. The actor
    runs nothing of an object's: when it dies, its machine was lost or short of memory, and the object is made again by
    another, `RETRIES` times at most.

    Attributes:
        address: Of a cluster, ``HOST:PORT``, or ``"auto"`` for the one that this machine is part of. None: that of
            ``RAY_ADDRESS``, and without it a Ray of the run's own, on this machine. A program that has called
            ``ray.init`` keeps its Ray, whatever is said here.
        workers: How many; None: one for each CPU that the cluster has when the run begins. Those for which there is no
            CPU yet wait for one.

    Raises:
        DatasetError: Fewer than one worker.
        RendererError: Ray or Pebble is not installed.
    """

    elsewhere: ClassVar[bool] = True

    address: str | None = None
    workers: int | None = None

    def __post_init__(self) -> None:
        RAY.require()
        PEBBLE.require()
        if self.workers is not None:
            check_at_least(1, workers=self.workers)
        RAY.load()  # what is missing is known before a run is begun

    def run(self, job: Job, objects: Sequence[CollectionObject], limits: Limits) -> Iterator[Outcome]:
        """As `Engine.run`; each worker has one object at a time, and gets the next when an outcome is asked for.

        Raises:
            RendererError: There is no cluster at the address, or a worker cannot do its work on its machine.
        """
        return self._run(RAY.load(), job, objects, limits)

    def _run(self, ray: ModuleType, job: Job, objects: Sequence[CollectionObject], limits: Limits) -> Iterator[Outcome]:
        with self._session(ray):
            yield from _Crew(ray, job, limits).run(objects, self._count(ray))

    @contextlib.contextmanager
    def _session(self, ray: ModuleType) -> Iterator[None]:
        """Ray, connected; what was begun here is ended here."""
        if ray.is_initialized():
            yield
            return
        address = self.address or os.environ.get("RAY_ADDRESS") or "local"
        own: dict[str, Any] = {}
        if address == "local":
            os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # a run tells nobody
            own = {"num_cpus": self.workers, "include_dashboard": False}
        try:
            _knock(address)
            ray.init(address, log_to_driver=False, logging_level="ERROR", **own)
        except (OSError, RuntimeError, ValueError) as error:
            raise RendererError(
                f"No Ray cluster can be joined at {address!r}: {error}. Start one there: ray start --head --port PORT; "
                "or leave out the address for a Ray of this machine alone."
            ) from error
        try:
            yield
        finally:
            ray.shutdown()

    def _count(self, ray: ModuleType) -> int:
        count = self.workers or int(ray.cluster_resources().get("CPU", 0))
        if not count:
            raise RendererError(
                "The Ray cluster has no CPUs. Add a machine: ray start --address HOST:PORT; or say how many workers "
                "there will be."
            )
        return count


def _knock(address: str) -> None:
    """An OSError if nobody listens there: Ray itself would ask again and again for many minutes."""
    host, _, port = address.rpartition(":")
    if host and port.isdigit():
        socket.create_connection((host, int(port)), timeout=_SECONDS_TO_ANSWER).close()


@final
class _Crew:
    """The actors of a run."""

    def __init__(self, ray: ModuleType, job: Job, limits: Limits) -> None:
        self._ray = ray
        self._given = (job, limits, Path.cwd())
        # Ray would start lost actors again by itself (max_restarts, max_task_retries). But what it counts are attempts
        # to reach one: when a machine is gone, several of those are over before Ray takes note of it.
        self._actor = ray.remote(_Worker).options(num_cpus=1, max_restarts=0, scheduling_strategy="SPREAD")
        self._loss: tuple[type[Exception], ...] = (ray.exceptions.RayActorError, ray.exceptions.OutOfMemoryError)
        self._losses: collections.Counter[str] = collections.Counter()

    def run(self, objects: Sequence[CollectionObject], count: int) -> Iterator[Outcome]:
        waiting = iter(objects)
        busy: dict[Any, tuple[Any, CollectionObject]] = {}
        try:
            for item in itertools.islice(waiting, count):
                actor = self._hire()
                busy[actor.outcome.remote(item)] = actor, item
            while busy:
                [done], _ = self._ray.wait(list(busy), num_returns=1)
                actor, item = busy.pop(done)
                try:
                    outcome: Outcome | None = self._result(done)
                except self._loss as error:
                    self._ray.kill(actor)  # it may only be out of reach
                    actor = self._hire()
                    outcome = self._lost(item, error)
                following = next(waiting, None) if outcome else item
                if following:
                    busy[actor.outcome.remote(following)] = actor, following
                del actor  # Ray ends an actor that nobody holds: one that waits for a CPU has it
                if outcome:
                    yield outcome
        finally:
            for actor, _ in busy.values():
                self._ray.kill(actor)

    def _hire(self) -> Any:
        return self._actor.remote(*self._given)

    def _result(self, done: Any) -> Outcome:
        try:
            outcome: Outcome = self._ray.get(done)
        except self._ray.exceptions.RayTaskError as error:
            raise error.cause from error  # what the actor raised
        return outcome

    def _lost(self, item: CollectionObject, error: Exception) -> Failed | None:
        """None, as long as the object is to be made again."""
        if getattr(error, "actor_init_failed", False):
            raise RendererError(
                f"A worker cannot start; install the same render3d on every machine of the cluster. Ray says: {error}"
            ) from error
        self._losses[item.id] += 1
        if self._losses[item.id] <= RETRIES:
            return None
        reason = f"It lost its worker {RETRIES + 1} times: machines went away, or were short of memory."
        return Failed(item, "crash", reason, str(error))


@final
class _Worker:
    """What a Ray actor is."""

    def __init__(self, job: Job, limits: Limits, directory: Path) -> None:
        with contextlib.suppress(OSError):
            os.chdir(directory)  # paths that are relative mean what they mean where the run was started
        self._process = GuardedProcess(job, limits)

    def outcome(self, item: CollectionObject) -> Outcome:
        # Left to the job, a machine that sees no models would fail them one by one, and faster than others make them.
        if not item.root.is_dir():
            raise RendererError(
                f"{item.root} is not there on {platform.node()}. Every machine of the cluster must see the models, "
                "and the folder of the run, at the same path."
            )
        outcome = self._process.outcome(item)
        if isinstance(outcome, Failed) and outcome.kind == "output":
            return dataclasses.replace(outcome, reason=f"on {platform.node()}: {outcome.reason}")
        return outcome
