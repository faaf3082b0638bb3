"""``render3d bounds``: the paper's table of bounds."""

import dataclasses
import json
from pathlib import Path
from typing import Annotated

import tyro
from rich.console import Console

from render3d.atomic import write_json, write_text
from render3d.cli.progress import TrainingBar
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
    out: Path,
    steps: tuple[int, ...] = (),
    views: tuple[int, ...] = (0, 1, 2, 3),
    seeds: tuple[int, ...] = (0, 1, 2),
    updates: int = 10_000,
    precision: Precision = "float32",
    path: Path | None = None,
    device: str | None = None,
    evaluation_samples: int = EVALUATION_SAMPLES,
    as_json: Annotated[bool, tyro.conf.arg(name="json")] = False,
) -> int:
    """Train a model of volumes by steps, views and seeds, and write the table of its bounds.

    Every run is a folder in OUT as render3d train writes it. What is finished is not repeated and what was stopped goes
    on: repeat the command to resume, or with more of anything to add to the table.

    Args:
        recipe: primitives, mnist3d, collection; or module:function.
        out: The folder for the runs, metrics.json and report.html.
        steps: T of the models; by default those of the paper for this recipe.
        views: Numbers of silhouettes that models are conditioned on.
        seeds: At least two.
        updates: Steps of the optimiser, the same for all.
        precision: As in render3d train.
        path: The folder of the dataset's files, where it has any.
        device: As in render3d train.
        evaluation_samples: As in render3d train.
        as_json: Print the measures as JSON.
    """
    counts = steps or tuple(PAPER.get(recipe, {}))
    if not counts:
        raise TrainingError(f"The paper has no row of {recipe!r}: say which T by --steps.")
    cases = [TableCase(count, number) for count in counts for number in views]
    made = _recipe(recipe, path)
    training = dataclasses.replace(made.training, updates=updates, precision=precision)
    made = dataclasses.replace(made, training=training)
    console = Console(stderr=as_json)
    with TrainingBar(console) as bar:

        def announce(name: str, chosen: Recipe) -> Progress:
            bar.begin(name, chosen.training)
            return bar.advance

        table = fill(made, out, cases, seeds, announce, device=device, evaluation_samples=evaluation_samples)
    found = table_metrics(table)
    write_json(out / "metrics.json", found)
    write_text(out / "report.html", table_report(recipe, made, table))
    if as_json:
        print(json.dumps(found))
    else:
        console.print(f"Report: {(out / 'report.html').resolve()}", soft_wrap=True, highlight=False)
    return 0


def _recipe(name: str, path: Path | None) -> Recipe:
    function = RECIPES.load(name)
    try:
        return function() if path is None else function(path=path)
    except TypeError as error:
        how = "without" if path is None else "with"
        raise TrainingError(f"The recipe {name!r} cannot be made {how} --path: {error}.") from error
