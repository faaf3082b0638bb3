"""What something costs: time and memory."""

import multiprocessing
import resource
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

from render3d.errors import RendererError


def rate(action: Callable[[], object], count: int, seconds: float = 0.5) -> float:
    """Things a second, if a call of ``action`` does ``count`` of them, over calls that take ``seconds`` at least."""
    began, calls = time.perf_counter(), 0
    while calls == 0 or time.perf_counter() - began < seconds:
        action()
        calls += 1
    return calls * count / (time.perf_counter() - began)


def peak_memory(action: Callable[..., object], *arguments: object) -> float:
    """MiB that a process of its own needs for ``action(*arguments)``, at its peak, beyond what it begins with.

    Args:
        action: A function of a module: the process imports it. What it needs is to be made by it.
        arguments: Those of the action; they are pickled.
    """
    spawn = multiprocessing.get_context("spawn")  # a fork would begin with the peak of this process
    with ProcessPoolExecutor(max_workers=1, mp_context=spawn) as pool:
        return pool.submit(_growth, action, arguments).result()


def memory_of(action: Callable[..., object], *arguments: object) -> float:
    """MiB, as `peak_memory`: a first try of a renderer in a process of its own, which shows whether that lives.

    Raises:
        RendererError: The process ended. A library that aborts would have taken this process, and all that others have
            found, with it.
    """
    try:
        return peak_memory(action, *arguments)
    except BrokenProcessPool as error:
        raise RendererError(
            "The process in which it was tried ended without an answer: the library behind it crashes, or memory ran "
            "out. A script that compares must start its work under if __name__ == '__main__'."
        ) from error


def _growth(action: Callable[..., object], arguments: tuple[object, ...]) -> float:
    before = _peak()
    action(*arguments)
    return _peak() - before


def _peak() -> float:
    status = Path("/proc/self/status")
    if status.exists():  # on Linux, getrusage gives a new process the peak of the one that started it
        lines = dict(line.split(":", 1) for line in status.read_text(encoding="ascii").splitlines())
        return int(lines["VmHWM"].split()[0]) / 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
