"""The command: speed, as ratios measured in one run."""

import dataclasses
import importlib
import json
import math
from collections.abc import Sequence
from typing import Annotated, Literal

import tyro
from rich.console import Console
from rich.table import Table

from benchmarks.findings import Cell, Measurements, Results
from benchmarks.timing import Comparison
from render3d.renderers import Renderer, make_renderer
from render3d.runs.provenance import provenance

Subject = Literal["render", "volume", "gradients", "edges", "duel", "views", "train"]
_MODULES = {
    "gradients": "benchmarks.gradients.estimators",
    "edges": "benchmarks.edges.compare",
    "duel": "benchmarks.duel.compare",
}


def bench(
    subject: Annotated[Subject, tyro.conf.Positional] = "render",
    /,
    *,
    check: bool = False,
    as_json: Annotated[bool, tyro.conf.arg(name="json")] = False,
    rounds: int = 8,
    renderers: tuple[str, ...] = (),
) -> int:
    """Time the package beside its peers, both in turns in one run.

    render: OpenGL beside pyrender. volume: EmissionAbsorption and the spatial transformer beside grid_sample, and a
    step of the generative model beside one that writes step by step. gradients: estimators beside leave_one_out, in
    squared error and in fits. edges: the gradient of edges beside Mitsuba's and local credit. duel: beside
    published ones, rebuilt. views: what render3d
    views does beside a plain script on pyrender. train: steps a second, what they are spent on, and memory.

    Args:
        subject: What is measured.
        check: Exit with 1 if a ratio is below its floor.
        as_json: Print JSON instead of a table.
        rounds: Rounds in which both take turns; the best of each counts. Gradients: how many calls are averaged.
        renderers: Of render: names of renderers that are timed instead.
    """
    found = _find(subject, renderers, rounds)
    return tell(subject, found, None if subject == "volume" else make_renderer("opengl"), check=check, as_json=as_json)


def tell(subject: str, found: Results, renderer: Renderer | None, *, check: bool, as_json: bool) -> int:
    """Print what was found, and return the exit status.

    Args:
        subject: What was measured.
        found: The result.
        renderer: What it was measured with, for the record.
        check: Return 1 if a ratio is below its floor.
        as_json: Print JSON instead of tables.
    """
    made_with = provenance(renderer)
    if as_json:
        rows = [dataclasses.asdict(each) | {"ratio": each.ratio} for each in found.comparisons]
        tables = [dataclasses.asdict(each) for each in found.tables]
        print(json.dumps({"subject": subject, "comparisons": rows, "tables": tables, "made_with": made_with}, indent=2))
    else:
        _print(found, made_with)
    slow = [each.case for each in found.comparisons if each.is_slow]
    if check and slow:
        Console(stderr=True).print(f"Below the floor: {'; '.join(slow)}.")
    return 1 if check and slow else 0


def _find(subject: Subject, renderers: tuple[str, ...], rounds: int) -> Results:
    if not renderers:
        found: Results = importlib.import_module(_MODULES.get(subject, f"benchmarks.{subject}")).compare(rounds)
        return found
    if subject != "render":
        raise ValueError(f"--renderers is for 'python -m benchmarks render'; got it with {subject}. Leave it out.")
    from benchmarks.renderers import compare_renderers

    return compare_renderers(renderers, rounds)


def _print(found: Results, made_with: dict[str, str]) -> None:
    console = Console()
    for measurements in found.tables:
        _print_measurements(measurements, console)
    if found.comparisons:
        _print_comparisons(found.comparisons, console)
    console.print(", ".join(f"{name} {value}" for name, value in made_with.items()), highlight=False)


def _print_comparisons(comparisons: Sequence[Comparison], console: Console) -> None:
    table = Table("", "unit", "render3d", "peer", "peer's rate", "ratio", "floor")
    for each in comparisons:
        floor = "-" if each.floor is None else f"{each.floor:g}"
        rates = (_figure(each.ours), each.peer, _figure(each.theirs), f"{each.ratio:.1f}")
        table.add_row(each.case, each.unit, *rates, floor)
    console.print(table)
    for each in comparisons:
        if each.note:
            console.print(f"{each.case}: {each.note}", highlight=False)


def _print_measurements(measurements: Measurements, console: Console) -> None:
    table = Table(*measurements.rows[0], title=measurements.title, title_justify="left")
    for row in measurements.rows:
        table.add_row(*(_figure(value) for value in row.values()))
    console.print(table)
    if measurements.note:
        console.print(measurements.note, highlight=False)


def _figure(value: Cell) -> str:
    """To three digits, and whole from a hundred on."""
    if value is None or isinstance(value, str):
        return value or "-"
    return f"{value:,.0f}" if not math.isfinite(value) or abs(value) >= 100 else f"{value:.3g}"
