"""The command line: each command is a function whose parameters are its flags, imported when it is run."""

import os
import sys
from collections.abc import Sequence

from render3d._version import __version__
from render3d.cli.commands import COMMANDS, Command, load

__all__ = ["COMMANDS", "Command", "main"]


_EXPECTED = (OSError, ValueError, ImportError)  # beside the package's own errors: a line says it, a trace adds nothing


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit status: 0 if all is well, 1 after a failure, 2 for wrong usage."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if not words or words[0] in ("-h", "--help"):
        print(_help())
        return 0 if words else 2
    if words[0] == "--version":
        print(f"render3d {__version__}")
        return 0
    if words[0] not in COMMANDS:
        print(f"render3d: there is no command {words[0]!r}. The commands are {', '.join(COMMANDS)}.", file=sys.stderr)
        return 2
    status = _run(words[0], words[1:])
    if status == 2:
        print(f"usage: render3d {words[0]} {COMMANDS[words[0]].words}; --help lists all flags", file=sys.stderr)
    return status


def _run(name: str, words: Sequence[str]) -> int:
    """One line on failure, which says what to do; the trace for those who ask for it."""
    try:
        if name == "doctor":  # works where nothing else does
            return int(load(COMMANDS[name])(words))
        from render3d.cli.calls import call

        return call(COMMANDS[name], name, words)
    except SystemExit as end:  # of tyro, after its help or what is wrong with the words
        return int(end.code or 0)
    except KeyboardInterrupt as interrupt:
        print(f"render3d {name}: {str(interrupt) or 'stopped.'}", file=sys.stderr)
        return 130
    except Exception as error:
        from render3d.errors import Render3DError, UsageError

        if os.environ.get("RENDER3D_TRACEBACK") or not isinstance(error, (Render3DError, *_EXPECTED)):
            raise
        print(f"render3d {name}: {' '.join(str(error).split())}", file=sys.stderr)
        return 2 if isinstance(error, UsageError) else 1


def _help() -> str:
    usages = {f"{name} {command.words}": command.purpose for name, command in COMMANDS.items()}
    lines = [f"  {usage:<{max(map(len, usages))}}  {purpose}" for usage, purpose in usages.items()]
    end = "RENDER3D_TRACEBACK=1 shows the trace of an error."
    return "\n".join(["usage: render3d COMMAND [--help] ...", "", *lines, "", end])
