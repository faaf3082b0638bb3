"""The tree of commands, each imported when it is run."""

import importlib
from typing import Any, NamedTuple


class Command(NamedTuple):
    """A branch of the tree.

    Attributes:
        place: ``"module:function"``: a function whose parameters are the flags.
        words: What must be given.
        purpose: What it does.
        by_words: Whether the flags depend on the words: the function in ``place`` is given them, and returns the one
            whose parameters are the flags.
    """

    place: str
    words: str
    purpose: str
    by_words: bool = False


COMMANDS = {
    "doctor": Command("render3d.cli.doctor:doctor", "[--json]", "what is installed, and what to do about what is not"),
    "views": Command("render3d.cli.views:views", "MODELS --out DIR", "training views from a collection of meshes"),
    "fit": Command("render3d.cli.fit:fit_of", "VIEWS --out DIR", "a textured mesh from posed photographs", True),
    "pose": Command("render3d.cli.pose:pose", "MESH VIEWS --out DIR", "where a known mesh stands in photographs"),
    "compare": Command(
        "render3d.cli.compare:compare_of",
        "MODEL|VIEWS --out DIR",
        "the same scene, or the same fit, by several renderers",
        True,
    ),
    "train": Command("render3d.cli.train:train_of", "RECIPE --out DIR", "a generative model, from a recipe", True),
    "bounds": Command(
        "render3d.cli.bounds:bounds", "RECIPE --out DIR", "the paper's table: bounds by steps, views and seeds"
    ),
    "sample": Command("render3d.cli.sample:sample", "RUN --out DIR", "volumes that a trained model generates"),
    "complete": Command("render3d.cli.complete:complete", "RUN --out DIR", "volumes completed by a trained model"),
}
"""The tree, by the names of the commands."""


def load(command: Command) -> Any:
    """The function of a command."""
    module, function = command.place.split(":")
    return getattr(importlib.import_module(module), function)
