"""What commands share: flags that mean the same in each, how words become a call, and what comes of it."""

import contextlib
import dataclasses
import inspect
import json
import os
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, final

import tyro
from rich.console import Console, RenderableType

from render3d.cli.commands import Command, load
from render3d.errors import Render3DError, UsageError

Out = Annotated[Path, tyro.conf.arg(metavar="DIR", help="Folder for the results.")]
Resume = Annotated[bool, tyro.conf.arg(help="Go on with what was stopped in --out.")]
Size = Annotated[
    tuple[int, ...],
    tyro.conf.arg(metavar="PIXELS [PIXELS]", help="Height and width of a view, pixels; one number for both."),
]
Quiet = Annotated[bool, tyro.conf.arg(help="Show no progress.")]
Json = Annotated[bool, tyro.conf.arg(name="json", help="Print results as JSON, and nothing else on standard output.")]
Device = Annotated[
    str | None,
    tyro.conf.arg(
        metavar="DEVICE",
        help="Where to compute: cpu, cuda or cuda:1.",
        help_behavior_hint="(default: a GPU if there is one)",
    ),
]

_STYLE = (
    tyro.conf.OmitArgPrefixes,  # --updates, not --settings.updates
    tyro.conf.FlagCreatePairsOff,  # --resume, and no --no-resume
    tyro.conf.DisallowNone,
    tyro.conf.PositionalMetavarFromFieldName,
)
_CALLED = {
    "image_size": "size",
    "vertical_fov_degrees": "fov",
    "seconds": "timeout",
    "memory_bytes": "memory",
    "names": "renderers",
}
"""What commands call some arguments of the library."""


def flag_of(argument: str) -> str:
    """The flag of an argument of the library, such as ``--fov`` of ``vertical_fov_degrees``."""
    return "--" + _CALLED.get(argument, argument).replace("_", "-")


def default(value: object) -> Any:
    """Show ``value`` in the help as the default of a flag that is left to what it is given to."""
    return tyro.conf.arg(help_behavior_hint=f"(default: {value})")


def height_and_width(size: tuple[int, ...]) -> tuple[int, int]:
    """What ``--size`` means."""
    if len(size) not in (1, 2):
        raise UsageError(f"--size must be one number, or a height and a width; got {' '.join(map(str, size))}.")
    return size[0], size[-1]


@final
@dataclasses.dataclass(frozen=True)
class Result:
    """What came of a command.

    Attributes:
        facts: What ``--json`` prints.
        shown: Tables and lines for people.
        report: The page, if there is one.
        status: The exit status.
    """

    facts: Any
    shown: Sequence[RenderableType] = ()
    report: Path | None = None
    status: int = 0

    def show(self, as_json: bool) -> int:
        """Print it on standard output, and return the exit status."""
        if as_json:
            print(json.dumps(self.facts))
            return self.status
        console = Console(highlight=False, markup=False)
        for each in self.shown:
            console.print(each, soft_wrap=isinstance(each, str))  # paths are copied whole
        if self.report:
            console.print(f"Report: {self.report.resolve()}", soft_wrap=True)
        return self.status


def call(command: Command, name: str, words: Sequence[str]) -> int:
    """Run a command by its words, and print what comes of it; messages name flags instead of arguments."""
    as_json = "--json" in words
    with nothing_on_stdout() if as_json else contextlib.nullcontext():
        function = load(command)(words) if command.by_words else load(command)
        try:
            result: Result | None = parse(function, name, words)
        except (Render3DError, ValueError) as error:
            error.args = (in_flags(str(error), function),)
            raise
    return result.show(as_json) if result else 0


def parse(function: Callable[..., Any], name: str, words: Sequence[str]) -> Any:
    """Call a function by words; those that make no call end the program, as ``--help`` does."""
    return tyro.cli(function, prog=f"render3d {name}", args=words, config=_STYLE)


def in_flags(message: str, function: Callable[..., Any]) -> str:
    """A message of the library, which names arguments, in the flags of a command.

    Arguments are words before "must" (``samples must be``), with an underscore, or with a value (``resume=True``).
    """
    flags = flags_of(function)

    def flag(match: re.Match[str]) -> str:
        name, value = match["name"], match["value"]
        found = flags.get(name) or flags.get(_CALLED.get(name, ""))
        if not found or (value is None and match["must"] is None and "_" not in name):
            return match[0]
        return found if value in (None, "True") else f"{found} {value}".replace("'", "")

    pattern = r"(?<![\w./-])(?P<name>[a-z]\w*)(?:=(?P<value>'[^']*'|\w+))?(?P<must>(?= (?:and \w+ )?must\b))?(?![\w/])"
    return re.sub(pattern, flag, message)


def flags_of(function: Callable[..., Any]) -> dict[str, str]:
    """The flags of a command by the names of its parameters, with those of the settings and recipes among them."""
    found: dict[str, str] = {}
    for name, parameter in inspect.signature(function).parameters.items():
        about: Sequence[Any] = getattr(parameter.annotation, "__metadata__", ())
        inner: list[Any] = [*filter(inspect.isfunction, about)]
        inner += [type(parameter.default)] if dataclasses.is_dataclass(parameter.default) else []
        for each in inner:
            found |= flags_of(each)
        if not inner:
            said = (each.name for each in about if getattr(each, "name", None))
            found[name] = "--" + next(said, name.replace("_", "-"))
    return found


@contextlib.contextmanager
def nothing_on_stdout() -> Iterator[None]:
    """What libraries print, and processes that are started meanwhile, goes to standard error."""
    sys.stdout.flush()
    kept = os.dup(1)
    os.dup2(2, 1)
    try:
        yield
    finally:
        sys.stdout.flush()
        os.dup2(kept, 1)
        os.close(kept)
