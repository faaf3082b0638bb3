"""Draw docs/images/gradients.svg from the JSON of ``python -m benchmarks gradients``, and print it as Markdown.

python docs/figures/gradients.py bench.json

It needs matplotlib, which the package does not.
"""

import json
import sys
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from tables import markdown

TARGET = Path(__file__).resolve().parent.parent / "images" / "gradients.svg"
PANELS = {"vertices": "vertices", "K": "samples K", "sigma, px": "noise, pixels"}
INK = "#222222"


def panel(axes: Axes, varied: str, rows: list[dict[str, Any]], middle: dict[str, float]) -> None:
    """The errors of every estimator over one of the things that vary, the others as in the middle."""
    others = [name for name in PANELS if name != varied]
    shown = [row for row in rows if all(row[name] == middle[name] for name in others)]
    for name in dict.fromkeys(row["estimator"] for row in rows):
        points = sorted((row[varied], row["error"], row["error +-"]) for row in shown if row["estimator"] == name)
        x, error, spread = zip(*points, strict=True)
        axes.errorbar(x, error, spread, label=name, marker="o", markersize=3.5, linewidth=1.4, capsize=2)
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    ticks = sorted({row[varied] for row in shown})
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.minorticks_off()
    axes.set_xlabel(PANELS[varied])
    axes.grid(axis="y", color="#dddddd")
    axes.spines[["top", "right"]].set_visible(False)


def figure(found: dict[str, Any]) -> Figure:
    """Three panels side by side."""
    first, swept = (table["rows"] for table in found["tables"][:2])
    names = {row["estimator"] for row in swept}
    rows = swept + [row for row in first if row["estimator"] in names]
    drawn = Figure(figsize=(10.5, 4.3), layout="constrained")
    panels = drawn.subplots(1, 3, sharey=True)
    for axes, varied in zip(panels, PANELS, strict=True):
        panel(axes, varied, rows, first[0])
    panels[0].set_ylabel("relative squared error of one call")
    drawn.legend(*panels[0].get_legend_handles_labels(), loc="outside upper center", ncols=3, frameon=False)
    return drawn


def swept_table(swept: list[dict[str, Any]], first: list[dict[str, Any]], varied: str) -> str:
    """The errors of every estimator in a row, over one of the things that vary."""
    others = [name for name in PANELS if name != varied]
    middle, names = first[0], dict.fromkeys(row["estimator"] for row in swept)
    rows = [row for row in [*swept, *first] if all(row[name] == middle[name] for name in others)]
    errors = {(row["estimator"], row[varied]): row["error"] for row in rows}
    values = sorted({value for _, value in errors})
    cells = [{PANELS[varied]: name} | {f"{value:,g}": errors[name, value] for value in values} for name in names]
    return markdown(cells)


def print_tables(found: dict[str, Any]) -> None:
    """All of them."""
    first, swept, *others = (table["rows"] for table in found["tables"])
    print(markdown([{name: row[name] for name in row if name not in PANELS} for row in first]))
    for varied in PANELS:
        print(swept_table(swept, first, varied))
    for rows in others:
        print(markdown(rows))
    columns = ("case", "unit", "ours", "peer", "theirs", "ratio", "floor")
    print(markdown([{name: row[name] for name in columns} for row in found["comparisons"]]))


if __name__ == "__main__":
    matplotlib.rcParams.update(
        {"svg.hashsalt": "gradients", "svg.fonttype": "none", "text.color": INK, "font.size": 10}
    )
    report = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    figure(report).savefig(TARGET, metadata={"Date": None})
    print_tables(report)
