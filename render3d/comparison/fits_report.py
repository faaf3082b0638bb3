"""The page that shows one fit through several renderers."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from render3d import report
from render3d.comparison.report_parts import named, renderers_part
from render3d.comparison.turns import Figures, Turn
from render3d.fitting.fit_report import readable, turntable_part
from render3d.fitting.folder import seen
from render3d.fitting.targets import shrunk
from render3d.fitting.task import FitTask
from render3d.metrics import silhouette_iou
from render3d.renderers.base import Renderer
from render3d.scenes import Mesh, Volume
from render3d.view_sets import ViewSet

LEVELS = (0.8, 0.9, 0.95)
"""Intersections over union that the seconds of a fit are given to."""

_MOST_SHOWN = 6  # views
_LARGEST_SHOWN = 256  # pixels


class Fitted(NamedTuple):
    """What one fit has written.

    Attributes:
        scene: What was fitted.
        surface: The same as a mesh in the world of the views; None for a volume that has no surface.
        metrics: Its ``metrics.json``.
    """

    scene: Mesh | Volume
    surface: Mesh | None
    metrics: Mapping[str, Any]


def fits_report(
    task: FitTask,
    turns: Sequence[Turn],
    fitted: Mapping[str, Fitted],
    figures: Mapping[str, Figures],
    judge: Renderer | None,
) -> str:
    """The page, self-contained but for the links to the pages of the fits.

    Args:
        task: What was fitted.
        turns: What came of each renderer.
        fitted: The fits that worked, by label.
        figures: What was measured of them, by label.
        judge: The renderer that measures all of them, and shows them; None if none worked.
    """
    pictures = [_turntables_part(fitted, judge), _views_part(task, fitted, judge)] if judge else []
    return report.page(
        f"One fit of a {task.kind} through {named(len(fitted), 'renderer')}",
        _lead(task, figures),
        _figures_part(task, turns, figures, fitted),
        *([_curves_part(task, fitted)] if fitted else []),
        *pictures,
        renderers_part(turns),
        *([_links_part(turns)] if fitted else []),
        report.how_made(readable(task.settings)),
    )


def _measured(task: FitTask) -> tuple[str, str]:
    """By what the fits are judged: its name in JSON, and in words."""
    return ("training_iou", "training views") if task.held_out is None else ("held_out_iou", "held-out views")


def _lead(task: FitTask, figures: Mapping[str, Figures]) -> str:
    if not figures:
        return "No renderer worked."
    kind, views = _measured(task)
    found = ", ".join(
        f"{name} {each[f'judged_{kind}']:.4f} in {each['seconds']:.0f} s" for name, each in figures.items()
    )
    judge = next(iter(figures))
    return f"{named(len(task.views), 'silhouette')}, the same settings. Mean IoU on {views} by {judge}: {found}."


def fit_columns(task: FitTask, judge: str) -> dict[str, tuple[str, str]]:
    """Return the figures of the table by the titles of their columns, with how each is written."""
    kind, views = _measured(task)
    return {
        f"IoU, {views}, by {judge}": (f"judged_{kind}", ".4f"),
        "by its own renderer": (kind, ".4f"),
        "IoU, training views": ("training_iou", ".4f"),
        **({"distance to the truth": ("chamfer", ".4f")} if task.truth else {}),
        "seconds": ("seconds", ".1f"),
        **{f"to {level:g}": (f"seconds_to_{level:g}", ".1f") for level in LEVELS},
        "images": ("images", ",.0f"),
        "peak memory, MiB": ("peak_mib", ",.0f"),
    }


def _figures_part(
    task: FitTask, turns: Sequence[Turn], figures: Mapping[str, Figures], fitted: Mapping[str, Fitted]
) -> report.Html:
    if not figures:
        return report.section("Figures")
    judge, views = next(iter(figures)), _measured(task)[1]
    columns = fit_columns(task, judge)
    rows = {turn.label: {**turn.figures, **figures[turn.label]} for turn in turns if turn.label in figures}
    note = (
        f"A renderer that is wrong may agree with itself: the first column judges all fits by {judge}. Seconds are "
        f"those of the updates, in all and to levels of the IoU on {views} by its own renderer. Images are what the "
        "optimiser asks for. Memory is what an update needs on the host in a process of its own, beyond torch and the "
        "views, with what it imports."
    )
    if task.truth:
        note += " The distance to the truth is the chamfer distance, the mean of both ways, in scene units."
    return report.section(
        "Figures", report.paragraph(note), report.figures(columns, rows), *_baselines_part(task, fitted)
    )


def _baselines_part(task: FitTask, fitted: Mapping[str, Fitted]) -> list[report.Html]:
    """What needs no fit, as the first renderer that worked measured it."""
    judge, first = next(iter(fitted.items()))
    kind, views = _measured(task)
    rows = {
        name: value
        for name, value in first.metrics.items()
        if isinstance(value, dict) and "training_iou" in value and not name.startswith("fit")
    }
    column = {f"IoU, {views}, by {judge}": (kind, ".4f")}
    return [report.figures(column, rows, corner="Without a fit")] if rows else []


def _curves_part(task: FitTask, fitted: Mapping[str, Fitted]) -> report.Html:
    kind, views = _measured(task)
    plots = []
    for unit, key in (("seconds", "seconds"), ("updates", "update")):
        series = {
            name: (
                [float(each[key]) for each in one.metrics["history"]],
                [each[kind] for each in one.metrics["history"]],
            )
            for name, one in fitted.items()
        }
        plots.append(report.curves(f"IoU over {unit}", x_label=unit, y_label=f"mean IoU, {views}", series=series))
    return report.section("Progress, each by its own renderer", report.columns(*plots))


def _turntables_part(fitted: Mapping[str, Fitted], judge: Renderer) -> report.Html:
    parts = [report.captioned(turntable_part(one.scene, judge), name) for name, one in fitted.items()]
    return report.section("What was found", report.columns(*parts))


def _views_part(task: FitTask, fitted: Mapping[str, Fitted], judge: Renderer) -> report.Html:
    """The views on which the fits are worst."""
    views = task.views if task.held_out is None else task.held_out
    small = shrunk(views, _LARGEST_SHOWN)
    alphas = {name: _alpha(one.scene, small, judge) for name, one in fitted.items()}
    iou = {name: silhouette_iou(alpha, small.alpha) for name, alpha in alphas.items()}
    worst = torch.stack(list(iou.values())).amin(0).argsort()[:_MOST_SHOWN].tolist()
    rows = [
        report.Row(
            views.names[index],
            [
                1 - small.alpha[index],
                *(report.silhouette_difference(small.alpha[index], a[index]) for a in alphas.values()),
            ],
            report.paragraph(", ".join(f"{name} {float(value[index]):.3f}" for name, value in iou.items())),
        )
        for index in worst
    ]
    _, kind = _measured(task)
    first = next(iter(fitted))
    height, width = small.cameras.image_size
    note = f"The {kind} that differ most, with the IoU, all as {first} sees them at {height} x {width} pixels."
    grid = report.grid(["target", *fitted], rows)
    return report.section(kind.capitalize(), report.paragraph(note), report.difference_key(), grid)


def _alpha(scene: Mesh | Volume, views: ViewSet, judge: Renderer) -> Tensor:
    with torch.no_grad():
        return judge(scene, seen(views, scene).cameras, ("alpha",)).alpha


def _links_part(turns: Sequence[Turn]) -> report.Html:
    pages = {turn.label: f"{turn.folder.name}/report.html" for turn in turns if turn.worked}
    return report.section("Each fit's own page", report.links(pages))
