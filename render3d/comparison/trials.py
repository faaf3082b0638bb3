"""A first try of a renderer in a process of its own: whether that lives, and how much memory it needs."""

from collections.abc import Callable
from concurrent.futures.process import BrokenProcessPool

from render3d.comparison.costs import peak_memory
from render3d.errors import RendererError


def memory_of(action: Callable[..., object], *arguments: object) -> float:
    """MiB, as `peak_memory`.

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
