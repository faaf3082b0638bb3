"""What the tests of the engine on Ray have done: a module of its own, for each worker that is started imports it."""

import dataclasses
import os
import secrets
import signal
import time
from collections.abc import Callable
from pathlib import Path

from render3d.datasets.collections import CollectionObject
from render3d.datasets.view_sets.write.engine import Finished, Outcome

LONG = 600.0  # seconds; nothing here may wait so long


@dataclasses.dataclass(frozen=True)
class Toy:
    """Does what the first word of an object's id says; who began which object is told by files in a folder."""

    folder: Path

    def __call__(self, item: CollectionObject) -> Outcome:
        started = self.folder / f"{item.id} {os.getpid()} {os.getppid()} {secrets.token_hex(4)}"
        again = any(self.started(item.id))
        started.touch()
        getattr(self, item.id.split("-")[0])(again)
        return Finished(item, {"making": 0.0})

    def started(self, item: str = "*") -> list[tuple[int, int]]:
        """The processes that began objects, and their parents."""
        names = (path.name.split() for path in self.folder.glob(f"{item} *"))
        return [(int(name[1]), int(name[2])) for name in names]

    def fine(self, again: bool) -> None:
        pass

    def slow(self, again: bool) -> None:
        time.sleep(LONG)

    def large(self, again: bool) -> None:
        held = []
        while True:
            held.append(b"x" * 2**26)

    def dies(self, again: bool) -> None:
        os._exit(3)

    def loses(self, again: bool) -> None:
        """The worker, whatever it is at: as the system does when memory is short."""
        os.kill(os.getppid(), signal.SIGKILL)
        time.sleep(LONG)

    def loses_once(self, again: bool) -> None:
        if not again:
            self.loses(again)

    def held(self, again: bool) -> None:
        """Until its machine is lost."""
        if not again:
            time.sleep(LONG)

    def after_held(self, again: bool) -> None:
        until(lambda: any(self.started("held")))


def until(condition: Callable[[], bool]) -> None:
    """Wait for it; there is a limit, so that nothing hangs."""
    end = time.monotonic() + 120.0
    while not condition():
        assert time.monotonic() < end, "It did not happen."
        time.sleep(0.02)
