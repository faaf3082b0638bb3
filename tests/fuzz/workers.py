"""Many inputs, read by a process of bounded memory and time, so that a bad one is named and does not end the run."""

import multiprocessing
import resource
from collections.abc import Callable, Iterable, Iterator
from multiprocessing.connection import Connection
from pathlib import Path

SECONDS = 10.0
"""That an input may take."""

BYTES = 2 * 2**30
"""That an input may allocate beside what a worker has when it begins."""

_SECONDS_TO_BEGIN = 300.0

Answer = tuple[str, ...]
Judge = Callable[[int], Answer]


def answers(
    judge: Judge, numbers: Iterable[int], *, seconds: float = SECONDS, extra_bytes: int = BYTES
) -> Iterator[tuple[int, Answer | str]]:
    """Each number with what ``judge`` says of it, in order; or, as text, how it brought its process down.

    Args:
        judge: Is called in another process, and so must be picklable. -1 comes first, to prepare whatever it needs.
        numbers: Of the inputs.
        seconds: That each may take.
        extra_bytes: That each may allocate.
    """
    process, connection = _begin(judge, extra_bytes)
    try:
        for number in numbers:
            connection.send(number)
            answer = _answer(connection, seconds)
            yield number, answer
            if isinstance(answer, str):
                process.kill()
                process.join()
                process, connection = _begin(judge, extra_bytes)
    finally:
        process.kill()
        process.join()


def _answer(connection: Connection, seconds: float) -> Answer | str:
    try:
        if not connection.poll(seconds):
            return f"no answer within {seconds:g} s"
        answer: Answer = connection.recv()
    except (EOFError, ConnectionError):
        return "its process died"
    return answer


def _begin(judge: Judge, extra_bytes: int) -> tuple[multiprocessing.process.BaseProcess, Connection]:
    """A process, once it is ready."""
    context = multiprocessing.get_context("spawn")  # OpenGL and threads do not survive a fork
    ours, theirs = context.Pipe()
    process = context.Process(target=_work, args=(judge, theirs, extra_bytes), daemon=True)
    process.start()
    theirs.close()
    ready = _answer(ours, _SECONDS_TO_BEGIN)
    if isinstance(ready, str):
        raise RuntimeError(f"A worker did not begin: {ready}.")
    return process, ours


def _work(judge: Judge, connection: Connection, extra_bytes: int) -> None:
    connection.send(judge(-1))
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (_address_space() + extra_bytes, hard))
    while True:
        connection.send(judge(connection.recv()))


def _address_space() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    return pages * resource.getpagesize()
