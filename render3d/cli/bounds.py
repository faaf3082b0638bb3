"""``render3d bounds``: the paper's table of bounds."""

import dataclasses
from pathlib import Path
from typing import Annotated

import tyro

from render3d.atomic import write_json, write_text
from render3d.cli.calls import Device, Json, Out, Quiet, Result, default
from render3d.cli.progress import Bar
from render3d.cli.train import Samples, course_on
from render3d.errors import TrainingError
from render3d.models.base import Precision, Recipe
from render3d.models.recipes import RECIPES
from render3d.models.study.table import PAPER, TableCase, fill
from render3d.models.study.table_report import table_metrics, table_report
from render3d.models.training.folder import EVALUATION_SAMPLES
from render3d.models.training.loop import Progress


def bounds(
    recipe: Annotated[str, tyro.conf.Positional],
    /,
    *,
    out: Out,
    steps: Annotated[tuple[int, ...], default("those of the paper")] = (),
    views: tuple[int, ...] = (0, 1, 2, 3),
    seeds: tuple[int, ...] = (0, 1, 2),
    updates: int = 10_000,
    precision: Precision = "float32",
    path: Annotated[Path | None, default("none")] = None,
    device: Device = None,
    evaluation_samples: Samples = EVALUATION_SAMPLES,
    quiet: Quiet = False,
    as_json: Json = False,
) -> Result:
    """Train a model of volumes by steps, views and seeds, and write the table of its bounds.

    Every run is a folder in --out as render3d train writes it. The same command again goes on where it was stopped, and
    with more steps, views or seeds it adds to the table.

    Args:
        recipe: primitives, mnist3d, collection; or module:function.
        steps: Steps T of the models.
        views: Numbers of silhouettes that models are conditioned on.
        seeds: Seeds, two at least.
        updates: Updates of the optimiser in every run.
        precision: Precision of products and convolutions in training.
        path: Folder of the dataset's files, for recipes that read files.
    """
    counts = steps or tuple(PAPER.get(recipe, {}))
    if not counts:
        raise TrainingError(f"The paper has no row of {recipe!r}: say which T by --steps.")
    cases = [TableCase(count, number) for count in counts for number in views]
    made = _recipe(recipe, path)
    training = dataclasses.replace(made.training, updates=updates, precision=precision)
    made = dataclasses.replace(made, training=training)
    with Bar("updates", quiet=quiet, go_on="Go on by the same command.") as bar:

        def announce(name: str, chosen: Recipe) -> Progress:
            bar.begin(name, chosen.training.updates)
            return course_on(bar)

        table = fill(made, out, cases, seeds, announce, device=device, evaluation_samples=evaluation_samples)
    found = table_metrics(table)
    write_json(out / "metrics.json", found)
    write_text(out / "report.html", table_report(recipe, made, table))
    return Result(found, report=out / "report.html")


def _recipe(name: str, path: Path | None) -> Recipe:
    function = RECIPES.load(name)
    try:
        return function() if path is None else function(path=path)
    except TypeError as error:
        how = "without" if path is None else "with"
        raise TrainingError(f"The recipe {name!r} cannot be made {how} --path: {error}.") from error
