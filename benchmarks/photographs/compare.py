"""Fits to photographs of objects with a known shape, beside their visual hulls."""

import dataclasses
import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import final

from benchmarks.findings import Cell, Measurements, Results
from benchmarks.photographs.storing import PHOTOGRAPHS, TRUTH
from benchmarks.timing import Comparison
from render3d.fitting import FitFigures, FitSettings, FitTask, fit_to_folder
from render3d.fitting.task import unlit_renderer
from render3d.metrics import mesh_topology, silhouette_iou
from render3d.renderers import OpenGL, Shading
from render3d.scenes import Mesh
from render3d.view_sets import ViewSet, read_views

_STAGES = {"visual hull": "stages/hull.glb", "shape": "stages/shape.glb", "fit": "mesh.glb"}
_NOTE = (
    "Chamfer and F1 are of the visible surface, in shares of the radius, half the diagonal of the true bounding box. "
    "IoU is against the masks, IoU* against the true coverage, PSNR on white: of held-out views, means. Euler: the "
    "Euler number. Seconds hold the measurements along the way, but not those of this table."
)
_BEST = 1 - 1e-6  # of an intersection over union; what is missing is divided by


@final
@dataclasses.dataclass(frozen=True, kw_only=True)
class Fitting:
    """How photographs are fitted.

    Attributes:
        renderer: A name of `render3d.renderers.make_renderer`.
        settings: Those of `render3d.fitting.fit`.
        held_out: How many views are kept for measuring.
    """

    renderer: str = "opengl"
    settings: FitSettings = dataclasses.field(default_factory=FitSettings)
    held_out: int = 8

    def run(self, views: ViewSet, truth: Mesh, out: Path) -> FitFigures:
        """Fit, and write everything to a folder, in place of what was there."""
        shutil.rmtree(out, ignore_errors=True)
        task = FitTask(*views.split(self.held_out), settings=self.settings, truth=truth)
        return fit_to_folder(out, task, unlit_renderer(self.renderer))


def compare(folders: Mapping[str, Path], fitting: Fitting) -> Results:
    """The fit of each object beside its hull; a comparison is passed where the fit is nearer to the truth.

    Args:
        folders: Of the objects, by their names, each with `PHOTOGRAPHS` and `TRUTH`.
        fitting: How they are fitted.
    """
    rows: list[Mapping[str, Cell]] = []
    comparisons: list[Comparison] = []
    for name, folder in folders.items():
        found = _rows(name, folder, fitting)
        rows += found.values()
        comparisons += _comparisons(name, found["fit"], found["visual hull"])
    title = f"Fits by {fitting.renderer}, quality {fitting.settings.quality}"
    return Results(comparisons=comparisons, tables=[Measurements(title=title, rows=rows, note=_NOTE)])


def _rows(name: str, folder: Path, fitting: Fitting) -> dict[str, dict[str, Cell]]:
    """A row for each surface: the hull, what silhouettes make of it, and the fit."""
    views, truth = read_views(folder / PHOTOGRAPHS), Mesh.load(folder / TRUTH)
    out = folder / f"fit-{fitting.renderer}-{fitting.settings.quality}"
    figures = fitting.run(views, truth, out)
    seconds = json.loads((out / "metrics.json").read_text())["seconds"]
    _, held_out = views.split(fitting.held_out)
    coverage = OpenGL(Shading(samples_per_pixel=16))(truth, held_out.cameras, ("alpha",)).alpha
    rows: dict[str, dict[str, Cell]] = {}
    for surface in (each for each in _STAGES if each in figures.truth):
        mesh = Mesh.load(out / _STAGES[surface])
        alpha = OpenGL()(mesh, held_out.cameras, ("alpha",)).alpha
        accuracy, measure = figures.truth[surface].visible, figures.measures[surface]
        topology = mesh_topology(mesh)
        rows[surface] = {
            "object": name,
            "surface": surface,
            "chamfer": accuracy and accuracy.chamfer,
            "F1 at 1 %": accuracy and accuracy.f1_1_percent,
            "at 3.5 %": accuracy and accuracy.f1_3_5_percent,
            "IoU": f"{measure.held_out_iou:.4f}",
            "IoU*": f"{float(silhouette_iou(alpha, coverage).mean()):.4f}",
            "PSNR": measure.held_out_psnr_on_white,
            "Euler": str(topology.euler_number),
            "parts": str(topology.components),
            "seconds": seconds if surface == "fit" else None,
        }
    return rows


def _comparisons(name: str, fit: Mapping[str, Cell], hull: Mapping[str, Cell]) -> Sequence[Comparison]:
    """How much less the fit is wrong than the hull; the floor is that it is not more."""

    def right(row: Mapping[str, Cell]) -> tuple[float, float]:
        return 1 / float(row["chamfer"] or 1), 1 / (1 - min(_BEST, float(row["IoU*"] or 0)))

    units = ("1 / chamfer", "1 / (1 - IoU*)")
    return [
        Comparison(ours, theirs, case=name, unit=unit, peer="visual hull", floor=1.0)
        for unit, ours, theirs in zip(units, right(fit), right(hull), strict=True)
    ]
