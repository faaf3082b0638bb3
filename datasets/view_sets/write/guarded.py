"""A process that does a job for one object after another, and is ended when an object is too much for it."""

import dataclasses
import multiprocessing
import os
import platform
import sys
import threading
import traceback
from concurrent.futures import CancelledError, Future, TimeoutError
from pathlib import Path
from typing import TYPE_CHECKING, final

from render3d.datasets.collections import CollectionObject
from render3d.datasets.view_sets.write.engine import Failed, Finished, Job, Limits, Outcome
from render3d.errors import RendererError
from render3d.optional import PEBBLE

if TYPE_CHECKING:
    from pebble import ProcessPool

_PAGE = os.sysconf("SC_PAGE_SIZE")
_TOO_LARGE = 77  # the exit status of a process that held more memory than it may
_SECONDS_BETWEEN_LOOKS = 0.05
_MOST_STARTS = 3  # for one object


@final
class GuardedProcess:
    """One process with whatever the job keeps in it, such as an OpenGL context.

    It is started when first needed, anew after an object has cost it, and ends with the process that made it.

    Args:
        job: What is done.
        limits: What one object may take. Memory is that of the whole process: libraries and what it keeps included.
        threads: Of software OpenGL; one, where each core has a process of its own.
    """

    def __init__(self, job: Job, limits: Limits, *, threads: int = 1) -> None:
        self._job = job
        self._limits = limits
        self._threads = threads
        self._pebble = PEBBLE.load()
        self._pool = self._new_pool()
        self._lock = threading.Lock()  # of the next two
        self._running: Future[Outcome] | None = None
        self._closed = False
        self._worked = False

    def outcome(self, item: CollectionObject) -> Outcome:
        """Do the job for an object; whatever becomes of the process, there is an outcome.

        Raises:
            RendererError: No process can be started.
            CancelledError: The process was closed meanwhile, by another thread.
        """
        for _ in range(_MOST_STARTS):
            try:
                outcome = self._attempt(item)
            except RuntimeError:  # the process died between two objects, or as it began: that costs no object
                if self._closed:
                    raise CancelledError from None
                _end(self._pool)
                self._pool = self._new_pool()
            else:
                self._worked = True
                return outcome
        if self._worked:
            return Failed(item, "crash", "Its process ended as soon as it began, several times.")
        raise RendererError(
            "Workers end as soon as they begin: see above what they print. A script that makes views must do so under "
            "if __name__ == '__main__', for its workers import it."
        )

    def _attempt(self, item: CollectionObject) -> Outcome:
        with self._lock:
            if self._closed:
                raise CancelledError
            self._running = self._pool.schedule(_do, args=[self._job, item], timeout=self._limits.seconds)
        try:
            return self._running.result()
        except TimeoutError:
            return Failed(item, "timeout", f"It took longer than {self._limits.seconds:g} s.")
        except self._pebble.ProcessExpired as error:
            if error.exitcode == _TOO_LARGE and self._limits.memory is not None:
                held = self._limits.memory / 2**30
                return Failed(item, "memory", f"Its process held more than {held:.3g} GiB of memory.")
            return Failed(item, "crash", f"Its process ended with status {error.exitcode}.")

    def close(self) -> None:
        """End the process, whatever it is at."""
        with self._lock:
            self._closed = True
            if self._running is not None:
                self._running.cancel()  # who waits for it waits no longer
        _end(self._pool)

    def _new_pool(self) -> "ProcessPool":
        pool: ProcessPool = self._pebble.ProcessPool(
            max_workers=1,
            initializer=_begin,
            initargs=(self._limits.memory, self._threads),
            context=multiprocessing.get_context("spawn"),  # OpenGL does not survive a fork
        )
        return pool


def _end(pool: "ProcessPool") -> None:
    pool.stop()  # type: ignore[no-untyped-call]
    pool.join()


def _begin(memory: int | None, threads: int) -> None:
    if torch := sys.modules.get("torch"):
        torch.set_num_threads(1)
    os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1")  # torch reads them when it is imported
    os.environ.setdefault("LP_NUM_THREADS", str(threads))  # Mesa reads it when a context is made
    threading.Thread(target=_watch, args=(memory,), daemon=True).start()


def _do(job: Job, item: CollectionObject) -> Outcome:
    try:
        outcome = job(item)
    except MemoryError as error:
        return Failed(item, "memory", str(error) or "There is no memory left.", traceback.format_exc())
    except Exception as error:  # a job that does not keep its promise costs its object only
        return Failed(item, "crash", f"{type(error).__name__}: {error}", traceback.format_exc())
    if isinstance(outcome, Finished):
        return dataclasses.replace(outcome, worker=f"{platform.node()}:{os.getpid()}", memory=_resident())
    return outcome


def _watch(memory: int | None) -> None:
    """End this process when it holds too much, and when nobody waits for it any more.

    Limits of the system (RLIMIT_AS, RLIMIT_DATA) are of no use here: they count what is mapped but never touched, of
    which torch and Mesa have gigabytes, and make libraries that cannot allocate abort.
    """
    parent = multiprocessing.parent_process()
    assert parent is not None
    while parent.is_alive():
        if memory is not None and _resident() > memory:
            os._exit(_TOO_LARGE)
        parent.join(_SECONDS_BETWEEN_LOOKS)
    os._exit(0)


def _resident() -> int:
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * _PAGE
