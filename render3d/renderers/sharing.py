"""One OpenGL context for many renderer objects: who uses it, and whether this process may."""

import os
import weakref
from typing import Protocol, Self

from render3d.errors import GraphicsError


class Closable(Protocol):
    """A context that several renderers share."""

    def close(self) -> None:
        """Free it."""
        ...


class SharesContext:
    """Mixin of renderers that share a context: ``close``, ``with``, and the context closed with its last user."""

    _closed = False

    def _check_open(self) -> None:
        if self._closed:
            name = type(self).__name__
            raise GraphicsError(f"This renderer was closed. Make another: render3d.renderers.{name}(...).")

    def _hold(self, context: Closable) -> None:
        """Keep ``context`` open until this renderer is closed or collected."""
        _contexts_of_users.setdefault(self, set()).add(context)

    def close(self) -> None:
        """Let go of OpenGL. A context is released with its last user."""
        self._closed = True
        for context in _contexts_of_users.pop(self, set()):
            if not any(context in others for others in _contexts_of_users.values()):
                context.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


_contexts_of_users: weakref.WeakKeyDictionary[SharesContext, set[Closable]] = weakref.WeakKeyDictionary()


def check_process(process: int) -> None:
    """Raise `GraphicsError` unless this is the process of that number: OpenGL would hang or crash in a fork of it."""
    if os.getpid() != process:
        raise GraphicsError(
            "This process was forked after its parent used OpenGL, and an OpenGL context does not survive a fork. "
            'Start workers afresh: DataLoader(..., multiprocessing_context="spawn"), or '
            'multiprocessing.get_context("spawn").'
        )
