"""One OpenGL context for many renderer objects: who uses it, and whether this process may."""

import os
import weakref
from typing import Protocol, final

from render3d.errors import GraphicsError


class Closable(Protocol):
    """A context that several renderers share."""

    def close(self) -> None:
        """Free it."""
        ...


@final
class Users:
    """Which renderers use which contexts: a context is closed with its last user."""

    def __init__(self) -> None:
        self._contexts: weakref.WeakKeyDictionary[object, set[Closable]] = weakref.WeakKeyDictionary()

    def join(self, user: object, context: Closable) -> None:
        """``user`` uses ``context`` from now on."""
        self._contexts.setdefault(user, set()).add(context)

    def leave(self, user: object) -> None:
        """``user`` uses none any more."""
        for context in self._contexts.pop(user, set()):
            if not any(context in others for others in self._contexts.values()):
                context.close()


def check_process(process: int) -> None:
    """Raise `GraphicsError` unless this is the process of that number: OpenGL would hang or crash in a fork of it."""
    if os.getpid() != process:
        raise GraphicsError(
            "This process was forked after its parent used OpenGL, and an OpenGL context does not survive a fork. "
            'Start workers afresh: DataLoader(..., multiprocessing_context="spawn"), or '
            'multiprocessing.get_context("spawn").'
        )
