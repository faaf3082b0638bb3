"""What ``render3d views`` shows of a run, and of a dry run."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.table import Table

from render3d.datasets.view_sets.write.dry_run import Preview
from render3d.datasets.view_sets.write.result import ViewsResult

_MOST_KINDS = 8
_MOST_REFUSED = 20


def run_tables(run: ViewsResult, out: Path) -> list[Table | str]:
    """Tables and lines that sum up a run, whose folder is ``out``."""
    facts = run.facts()
    rows: dict[str, tuple[int, ...]] = {"stored": (run.kept + run.made, facts["with_problems"])}
    if run.kept:
        rows |= {"  made": (run.made,), "  kept from before": (run.kept,)}
    rows |= {f"failed: {kind}": (count,) for kind, count in facts["failed_by_kind"].items()}
    lines = [f"{run.views} views in {run.seconds:.1f} s, {facts['views_per_second']:.1f} a second."]
    for what, name, found in (
        ("What failed, and why", "failures", run.failures),
        ("Problems, by object", "problems", run.problems),
        ("What was not taken, and why", "skipped", run.skipped),
    ):
        if found:
            lines.append(f"{what}: {(out / f'{name}.csv').resolve()}")
    return [*_tables(rows, facts), *lines]


def preview_tables(seen: Preview) -> list[Table | str]:
    """Tables and lines that sum up what a run would make."""
    facts = seen.facts()
    rows = {"would be made": (len(seen.objects), facts["with_problems"]), "would be refused": (len(seen.failures),)}
    refused = [f"{failure.id}: {failure.reason}" for failure in seen.failures[:_MOST_REFUSED]]
    if len(seen.failures) > _MOST_REFUSED:
        refused.append(f"And {len(seen.failures) - _MOST_REFUSED} more are refused: --json lists all.")
    return [*_tables(rows, facts), *refused, "Nothing was rendered, and nothing written."]


def _tables(rows: Mapping[str, tuple[int, ...]], facts: Mapping[str, Any]) -> list[Table]:
    """How many objects came to what; then why some have problems, and why some files were not taken."""
    summary = Table("", "objects", "with problems")
    for name, counts in {**rows, "files not taken": (facts["skipped"],)}.items():
        if counts[0] or name == next(iter(rows)):
            summary.add_row(name, *map(str, counts))
    problems = _counts("problem", "objects", facts["problems_by_kind"])
    skipped = _counts("not taken, because it", "files", facts["skipped_by_reason"])
    return [summary, *(table for table in (problems, skipped) if table.rows)]


def _counts(head: str, of_what: str, counts: Mapping[str, int]) -> Table:
    """A table of the most frequent ones; further ones are counted."""
    table = Table(head, of_what)
    for name, count in list(counts.items())[:_MOST_KINDS]:
        table.add_row(name, str(count))
    if len(counts) > _MOST_KINDS:
        table.add_row(f"and {len(counts) - _MOST_KINDS} other kinds")
    return table
