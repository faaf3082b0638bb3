"""More steps, better bounds? The same model with T = 2, 6 and 12, several seeds each, beside the paper's table.

Every run is a folder as ``render3d train`` writes it, with a report of its own. A run that is finished is not repeated,
and one that was stopped goes on, so that this script can be stopped at any time.
"""

import dataclasses
import json
from pathlib import Path
from typing import Annotated

import torch
import tyro
from rich.console import Console
from scipy import stats
from torch import Tensor

from render3d import report
from render3d.atomic import atomic_write
from render3d.models.checkpoints import Record
from render3d.models.evaluation import bound
from render3d.models.folder import train_to_folder
from render3d.models.recipe import Recipe
from render3d.models.recipes import recipe_by_name
from render3d.models.run import load_run
from render3d.models.sources import Source
from render3d.models.training import CHECKPOINT

# Negative bounds in nats without a context, read off a figure of Rezende et al. (2016): about +-3 nats.
PAPER = {"mnist3d": {2: 594, 6: 465, 12: 411}, "primitives": {12: 501, 24: 456}}
CONFIDENCE = 0.95
EXAMPLES = 1000


@dataclasses.dataclass(frozen=True)
class Result:
    """A finished run: the negative bound and its KL part for every test volume, nats ``[N]``; and how it got there."""

    total: Tensor
    kl: Tensor
    records: list[Record]


def run(recipe: Recipe, out: Path, console: Console) -> Result:
    """Train, or go on, or only read what is there."""
    if not (out / "metrics.json").exists():
        console.print(f"Training {out.name}.", highlight=False)
        train_to_folder(recipe, out, resume=(out / CHECKPOINT).exists())
    trained = load_run(out)
    found = bound(trained.model, Source(trained.recipe, "test"), EXAMPLES)
    return Result(found.total, found.kl, trained.records)


def interval(values: Tensor) -> tuple[float, float]:
    """The mean of independent values, and half of its confidence interval by Student's t."""
    half = stats.t.ppf((1 + CONFIDENCE) / 2, len(values) - 1) * float(values.std()) / len(values) ** 0.5
    return float(values.mean()), float(half)


def pairs(results: dict[int, list[Result]]) -> dict[str, dict[str, float]]:
    """What each further T changes. Runs of one seed see the same test volumes with the same noise.

    ``nats`` is the mean over seeds of the differences, ``half`` half of its interval: it speaks of other seeds.
    """
    found = {}
    for few, many in zip(sorted(results), sorted(results)[1:], strict=False):
        differences = [b.total.mean() - a.total.mean() for a, b in zip(results[few], results[many], strict=True)]
        mean, half = interval(torch.stack(differences))
        found[f"T = {many} less T = {few}"] = {"nats": mean, "half": half}
    return found


def page(name: str, results: dict[int, list[Result]], lead: str) -> str:
    """The table, the differences and the curves."""
    paper = PAPER.get(name, {})
    rows = []
    for steps, runs in sorted(results.items()):
        mean, half = interval(torch.stack([run.total.mean() for run in runs]))
        kl = sum(float(run.kl.mean()) for run in runs) / len(runs)
        minutes = sum(run.records[-1].seconds for run in runs) / len(runs) / 60
        each = ", ".join(f"{float(run.total.mean()):.1f}" for run in runs)
        rows.append(
            [str(steps), f"{mean:.1f} +- {half:.1f}", each, f"{kl:.1f}", f"{minutes:.0f}", str(paper.get(steps, "-"))]
        )
    heads = ("T", "negative bound, nats", "each seed", "KL", "minutes a run", "the paper")
    changes = [[pair, f"{c['nats']:+.1f} +- {c['half']:.1f}"] for pair, c in pairs(results).items()]
    held_out = {
        f"T = {steps}": (
            [float(record.step) for record in runs[0].records if record.validation is not None],
            [record.validation for record in runs[0].records if record.validation is not None],
        )
        for steps, runs in sorted(results.items())
    }
    note = (
        "The paper states neither the sizes, depth and axes of its data nor how long it trained: only trends can be "
        "compared with its figures."
    )
    return report.page(
        f"Bounds of {name} by the number of steps",
        lead,
        report.section("Bounds", report.paragraph(note), report.table(heads, rows)),
        report.section("Paired differences", report.table(("", "nats, less is better"), changes)),
        report.section(
            "Progress, first seed",
            report.columns(
                report.curves("Held-out bound", x_label="updates", y_label="nats", series=held_out),
                report.facts(report.provenance()),
            ),
        ),
    )


def main(
    recipe: Annotated[str, tyro.conf.Positional] = "mnist3d",
    /,
    *,
    out: Path = Path("out/bounds"),
    steps: tuple[int, ...] = (2, 6, 12),
    seeds: tuple[int, ...] = (0, 1, 2),
    updates: int = 2000,
) -> None:
    """Train all runs and write the table.

    Args:
        recipe: As for ``render3d train``.
        out: Where the runs and the page go.
        steps: T of each model.
        seeds: At least two: of data, parameters and noise alike.
        updates: Steps of the optimiser, the same for all.
    """
    console = Console()
    make = recipe_by_name(recipe)
    results: dict[int, list[Result]] = {count: [] for count in steps}
    for seed in seeds:  # seed by seed, so that what is finished early can be compared
        for count in steps:
            chosen = make(steps=count, updates=updates, seed=seed)
            results[count].append(run(chosen, out / f"{recipe}-T{count}-seed{seed}", console))
    examples = len(next(iter(results.values()))[0].total)
    lead = (
        f"{len(seeds)} seeds, {updates} updates each, {examples} test volumes; {CONFIDENCE:.0%} intervals over seeds."
    )
    changes = pairs(results)
    with atomic_write(out / "report.html") as stream:
        stream.write(page(recipe, results, lead).encode())
    with atomic_write(out / "metrics.json") as stream:
        bounds = {count: [float(run.total.mean()) for run in runs] for count, runs in results.items()}
        stream.write(json.dumps({"bounds": bounds, "differences": changes}, indent=2).encode())
    for pair, change in changes.items():
        console.print(f"{pair}: {change['nats']:+.1f} +- {change['half']:.1f} nats", highlight=False)
    console.print(f"Report: {(out / 'report.html').resolve()}", soft_wrap=True, highlight=False)


if __name__ == "__main__":
    tyro.cli(main)
