"""The progress of commands: bars on a terminal, lines elsewhere, nothing if quiet; how to go on when stopped."""

import io
import re

import pytest
from rich.console import Console

from render3d.cli.progress import Bar


def shown(*, terminal: bool = False, quiet: bool = False, seconds: float = 1.0, updates: int = 8) -> str:
    """What is shown of 8 of 40 objects, one of which takes so many seconds by a clock of our own."""
    stream = io.StringIO()
    console = Console(file=stream, force_terminal=terminal, color_system=None, width=120)
    now = [0.0]
    with Bar("objects", quiet=quiet, console=console, clock=lambda: now[0]) as bar:
        bar.begin("views", 40)
        for done in range(1, updates + 1):
            now[0] += seconds
            bar.advance(done, "1 failed")
    return stream.getvalue()


def test_a_bar_has_a_count_a_rate_and_an_estimate() -> None:
    last = shown(terminal=True, seconds=0.5).rsplit("views", 1)[1]
    assert re.search(r"8/40.*1 failed +2 objects/s.*left .*0:00:16", last), last


def test_where_there_is_no_terminal_there_is_a_line_every_few_seconds_and_at_the_end() -> None:
    assert shown(seconds=0.5).splitlines() == []  # four seconds
    lines = shown(seconds=2.0).splitlines()
    assert lines == [
        "views: 3/40  1 failed  0.5 objects/s  left 0:01:14",
        "views: 6/40  1 failed  0.5 objects/s  left 0:01:08",
    ]
    (last,) = shown(seconds=0.1, updates=40).splitlines()
    assert last.startswith("views: 40/40  1 failed  10 objects/s")


@pytest.mark.parametrize("terminal", [True, False])
def test_quiet_shows_nothing(terminal: bool) -> None:
    assert shown(terminal=terminal, quiet=True, seconds=9.0) == ""


def test_a_stopped_command_says_once_how_to_go_on() -> None:
    with pytest.raises(KeyboardInterrupt) as stopped, Bar("updates", quiet=True) as bar:
        bar.begin("fit", 500)
        bar.advance(7)
        raise KeyboardInterrupt
    message = "stopped after 7 of 500 updates; nothing is lost. Go on by the same command with --resume."
    assert str(stopped.value) == message
    with pytest.raises(KeyboardInterrupt, match="^more is known$"), Bar("updates", quiet=True):
        raise KeyboardInterrupt("more is known")
