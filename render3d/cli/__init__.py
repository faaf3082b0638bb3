"""The command line: each command is a function whose keyword parameters are its flags, imported when it is run."""

import importlib
import os
import sys
from collections.abc import Callable, Sequence
from typing import Any

COMMANDS = {
    "doctor": (
        "render3d.cli.doctor:doctor",
        "what is installed, which OpenGL answers, what to do about what is missing",
    ),
    "views": ("render3d.cli.views:views", "training views from a collection of meshes"),
    "fit": ("render3d.cli.fit:fit_by_words", "a mesh or a volume from posed images"),
    "compare": ("render3d.cli.compare:compare_by_words", "the same scene, or the same fit, by several back ends"),
    "train": ("render3d.cli.train:train", "a generative model of volumes, from a recipe"),
    "bounds": ("render3d.cli.bounds:bounds", "the paper's table: bounds by steps, views in the context, and seeds"),
    "sample": ("render3d.cli.sample:sample", "volumes that a trained model imagines"),
    "complete": ("render3d.cli.complete:complete", "volumes of which a part is missing, by a trained model"),
    "bench": ("benchmarks.bench:bench", "speed, as ratios measured in one run"),
}
"""Each command's function and what it is for."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit status: 0 if all is well, 1 after a failure, 2 for wrong usage."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if not words or words[0] in ("-h", "--help"):
        print(_usage())
        return 0 if words else 2
    if words[0] == "--version":
        from render3d import __version__

        print(f"render3d {__version__}")
        return 0
    if words[0] not in COMMANDS:
        print(f"render3d: there is no command {words[0]!r}. The commands are {', '.join(COMMANDS)}.", file=sys.stderr)
        return 2
    return _run(words[0], words[1:])


def _run(name: str, words: Sequence[str]) -> int:
    """One line on failure, which says what to do; the trace for those who ask for it."""
    try:
        return _call(_function(name), name, words)
    except KeyboardInterrupt as interrupt:
        print(f"render3d {name}: {str(interrupt) or 'stopped.'}", file=sys.stderr)
        return 130
    except Exception as error:
        from render3d.errors import Render3DError

        if os.environ.get("RENDER3D_TRACEBACK") or not isinstance(
            error, Render3DError | OSError | ValueError | ImportError
        ):
            raise
        print(f"render3d {name}: {' '.join(str(error).split())}", file=sys.stderr)
        return 1


def _function(name: str) -> Callable[..., int | None]:
    module, function = COMMANDS[name][0].split(":")
    found: Callable[..., int | None] = getattr(importlib.import_module(module), function)
    return found


def _call(function: Callable[..., int | None], name: str, words: Sequence[str]) -> int:
    # doctor must work where nothing else does; the flags of the others depend on the words
    if name in ("doctor", "train", "fit", "compare"):
        return function(words) or 0
    import tyro

    result: Any = tyro.cli(function, prog=f"render3d {name}", args=words)
    return result or 0


def _usage() -> str:
    width = max(len(name) for name in COMMANDS)
    lines = [f"  {name:<{width}}  {purpose}" for name, (_, purpose) in COMMANDS.items()]
    return "\n".join(["usage: render3d COMMAND [--help] ...", "", *lines, "", "RENDER3D_TRACEBACK=1 shows traces."])
