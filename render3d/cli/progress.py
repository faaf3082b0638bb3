"""The progress of a command, on standard error."""

import datetime
import math
import time
from collections.abc import Callable
from typing import Self, final

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

_SECONDS_BETWEEN_LINES = 5.0
_RESUME = "Go on by the same command with --resume."


@final
class Bar:
    """A bar for each task, with its rate and an estimate; where there is no terminal, a line every few seconds.

    Args:
        unit: What is counted, such as ``"updates"``.
        quiet: Show nothing.
        go_on: How a stopped command is resumed.
        console: Where to show it.
        clock: Seconds.
    """

    def __init__(
        self,
        unit: str,
        *,
        quiet: bool = False,
        go_on: str = _RESUME,
        console: Console | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._unit, self._go_on, self._clock = unit, go_on, clock
        self._console = console or Console(stderr=True)
        self._in_lines = not (quiet or self._console.is_terminal)
        columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[state]}"), TimeElapsedColumn())
        self._bars = Progress(
            TextColumn("{task.description}"),
            *columns,
            TextColumn("left"),
            TimeRemainingColumn(),
            console=self._console,
            disable=quiet or self._in_lines,
            get_time=clock,
        )

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        self._bars.stop()
        if isinstance(error, KeyboardInterrupt) and not error.args and self._bars.tasks:
            task = self._bars.tasks[-1]
            error.args = (
                f"stopped after {task.completed:g} of {task.total:g} {self._unit}; nothing is lost. {self._go_on}",
            )

    def begin(self, name: str, total: int) -> None:
        """Show a task that begins."""
        self._task = self._bars.add_task(name, total=total, state="")
        self._said = self._clock()

    def advance(self, done: int, state: str = "") -> None:
        """Show how far the last task is."""
        self._bars.update(self._task, completed=done)
        task = self._bars.tasks[-1]
        rate = f"{task.speed:.3g} {self._unit}/s" if task.speed else ""
        self._bars.update(self._task, state="  ".join(filter(None, (state, rate))))
        if self._in_lines and (task.finished or self._clock() - self._said >= _SECONDS_BETWEEN_LINES):
            left = f"  left {datetime.timedelta(seconds=math.ceil(task.time_remaining))}" if task.time_remaining else ""
            line = f"{task.description}: {done}/{task.total:g}  {task.fields['state']}{left}"
            self._console.print(line, highlight=False, markup=False, soft_wrap=True)
            self._said = self._clock()
