"""``render3d bench``: speed, as ratios measured in one run."""

import dataclasses
import importlib
import json
from typing import Annotated, Literal

import tyro
from rich.console import Console
from rich.table import Table

from render3d.cli.timing import Comparison
from render3d.renderers import Renderer
from render3d.report.provenance import provenance

Subject = Literal["render", "volume"]


def bench(
    subject: Annotated[Subject, tyro.conf.Positional] = "render",
    /,
    *,
    check: bool = False,
    as_json: Annotated[bool, tyro.conf.arg(name="json")] = False,
    rounds: int = 8,
) -> int:
    """Time the package beside its peers, both in turns in one run.

    render: OpenGL beside pyrender. volume: EmissionAbsorption and the spatial transformer beside grid_sample, and a
    step of the generative model beside one that writes step by step.

    Args:
        subject: What is measured.
        check: Exit with 1 if a ratio is below its floor.
        as_json: Print JSON instead of a table.
        rounds: Rounds in which both take turns; the best of each counts.
    """
    found: list[Comparison] = importlib.import_module(f"render3d.cli.bench_{subject}").compare(rounds)
    made_with = provenance(_renderer(subject))
    if as_json:
        rows = [dataclasses.asdict(each) | {"ratio": each.ratio} for each in found]
        print(json.dumps({"subject": subject, "comparisons": rows, "made_with": made_with}, indent=2))
    else:
        _print(found, made_with)
    slow = [each.case for each in found if each.is_slow]
    if check and slow:
        Console(stderr=True).print(f"Below the floor: {'; '.join(slow)}.")
    return 1 if check and slow else 0


def _renderer(subject: Subject) -> Renderer | None:
    if subject != "render":
        return None
    from render3d.renderers import OpenGL

    return OpenGL()


def _print(found: list[Comparison], made_with: dict[str, str]) -> None:
    table = Table("", "unit", "render3d", "peer", "peer's rate", "ratio", "floor")
    for each in found:
        floor = "-" if each.floor is None else f"{each.floor:g}"
        rates = (f"{each.ours:,.0f}", each.peer, f"{each.theirs:,.0f}", f"{each.ratio:.1f}")
        table.add_row(each.case, each.unit, *rates, floor)
    console = Console()
    console.print(table)
    for each in found:
        if each.note:
            console.print(f"{each.case}: {each.note}", highlight=False)
    console.print(", ".join(f"{name} {value}" for name, value in made_with.items()), highlight=False)
