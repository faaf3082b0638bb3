"""Print results as Markdown: ``python -m benchmarks.gpu.table results.jsonl``."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.gpu.results import MARKS, Line, Results
from benchmarks.gpu.sections import SECONDS

_Run = tuple[str, bool, int]  # device, quick, attempt


def main(words: Sequence[str] | None = None) -> int:
    """Print the tables of a file, and return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu.table", description=__doc__)
    parser.add_argument("results", type=Path, help="file of JSON lines")
    options = parser.parse_args(words)
    if not options.results.is_file():
        parser.error(f"there is no file {options.results}")
    print(markdown(Results(options.results).lines()))
    return 0


def markdown(lines: Sequence[Line]) -> str:
    """Return the tables of all sections that the lines hold, each of its latest complete run."""
    parts = []
    for section in SECONDS:
        for run in _latest_runs([line for line in lines if line["section"] == section]):
            parts += _section(section, run)
    return "\n\n".join(parts)


def _latest_runs(lines: Sequence[Line]) -> list[list[Line]]:
    """Return the lines of one run for each device and extent: the latest complete one, or else the latest."""
    runs: dict[_Run, list[Line]] = {}
    for line in lines:
        runs.setdefault((line["device"], line["quick"], line["attempt"]), []).append(line)
    chosen: dict[tuple[str, bool], list[Line]] = {}
    for (device, quick, _), run in sorted(runs.items(), key=lambda item: (_is_complete(item[1]), item[0][2])):
        chosen[device, quick] = run
    return list(chosen.values())


def _is_complete(run: Sequence[Line]) -> bool:
    """Return whether a run has its closing line."""
    return any(line.get("complete") for line in run)


def _section(section: str, run: Sequence[Line]) -> list[str]:
    """Return a heading, a table for each kind of line, and what was not measured."""
    title = f"### {section} ({run[0]['device']}{', quick' if run[0]['quick'] else ''})"
    tables: dict[tuple[str, ...], list[Line]] = {}
    notes = []
    for line in run:
        values = {name: value for name, value in line.items() if name not in MARKS}
        if "error" in values or "not_measured" in values:
            notes.append(_note(values))
        elif "complete" not in values:
            tables.setdefault(tuple(values), []).append(values)
    closing = [] if _is_complete(run) else ["This run is not complete."]
    parts = [title, *closing, *(_table(names, rows) for names, rows in tables.items())]
    return [*parts, "\n".join(notes)] if notes else parts


def _note(values: Line) -> str:
    """Return a line without figures as an item of a list."""
    kind = "error" if "error" in values else "not_measured"
    case = ", ".join(f"{name} {cell(value)}" for name, value in values.items() if name != kind)
    label = "failed" if kind == "error" else "not measured"
    return f"- {label}{f' ({case})' if case else ''}: {cell(values[kind])}"


def _table(names: Sequence[str], rows: Sequence[Line]) -> str:
    """Return rows of the same names as a table."""
    heading = [name.replace("_", " ") for name in names]
    lines = [heading, ["---"] * len(names), *([cell(row[name]) for name in names] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def cell(value: object) -> str:
    """Return a value as text: figures to three digits, and nothing that would break a table."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
    if isinstance(value, dict):
        return ", ".join(f"{name}: {cell(each)}" for name, each in value.items()) or "-"
    if isinstance(value, list):
        return ", ".join(map(cell, value)) or "-"
    return "-" if value is None else str(value).replace("|", "\\|")


if __name__ == "__main__":
    sys.exit(main())
