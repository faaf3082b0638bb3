"""Fit a textured mesh to the same photographs through several renderers: only the renderer changes.

OpenGL and pyrender tell which face a pixel shows, and get the gradient of edges; Mitsuba has one of its own; and the
last one tells nothing but images, so that its gradient is estimated from noise.

    python examples/photographs.py --out out/photographs

writes a folder for each, as ``render3d fit`` does, and metrics.json with the table that it prints.
"""

import json
from collections.abc import Callable
from pathlib import Path

import tyro
from rich.console import Console
from rich.table import Table

from render3d.atomic import write_json
from render3d.cli.fit import course_on
from render3d.cli.progress import Bar
from render3d.data import teapot_photographs
from render3d.estimators.choice import default_gradient
from render3d.fitting import FitSettings, FitTask, fit_to_folder
from render3d.fitting.levels import Quality
from render3d.renderers import Mitsuba, OpenGL, Pyrender, Renderer, Shading
from render3d.testing.only_images import OnlyImages
from render3d.view_sets import read_views

UNLIT = Shading.unlit()  # the light of the photographs is part of the colours
RENDERERS: dict[str, Callable[[], Renderer]] = {
    "opengl": lambda: OpenGL(UNLIT),
    "pyrender": lambda: Pyrender(UNLIT),
    "mitsuba": lambda: Mitsuba(UNLIT),
    "images-alone": lambda: OnlyImages(OpenGL(UNLIT)),
}


def photographs(
    views: Path = teapot_photographs(),  # noqa: B008  # a constant
    *,
    out: Path = Path("out/photographs"),
    renderers: tuple[str, ...] = tuple(RENDERERS),
    quality: Quality = "draft",
) -> dict[str, dict[str, object]]:
    """Fit through each renderer in turn, and compare.

    Args:
        views: A folder of photographs, in any format of view sets.
        out: The folder for the results.
        renderers: Names of RENDERERS.
        quality: Of the fits.
    """
    made = {name: RENDERERS[name]() for name in renderers}  # what is missing is told before anything is fitted
    task = FitTask(*read_views(views).split(4), settings=FitSettings(quality=quality))
    rows = {}
    for name, renderer in made.items():
        with Bar("updates") as bar:
            figures = fit_to_folder(out / name, task, renderer, progress=course_on(bar, name, task.settings))
        fit, hull = figures.measures["fit"], figures.measures["visual hull"]
        rows[name] = {
            "gradient": default_gradient(renderer),
            "IoU": fit.held_out_iou,
            "of the hull": hull.held_out_iou,
            "PSNR": fit.held_out_psnr,
            "seconds": json.loads((out / name / "metrics.json").read_text())["seconds"],
        }
    write_json(out / "metrics.json", rows)
    Console().print(_table(rows))
    return rows


def _table(rows: dict[str, dict[str, object]]) -> Table:
    table = Table("", *next(iter(rows.values())))
    for name, row in rows.items():
        table.add_row(name, *(f"{cell:.4g}" if isinstance(cell, float) else str(cell) for cell in row.values()))
    return table


if __name__ == "__main__":
    tyro.cli(photographs)
