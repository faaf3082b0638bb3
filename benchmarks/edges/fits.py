"""Fits by the gradient of edges and by local credit, each as ``render3d fit`` makes them."""

import statistics
from collections.abc import Iterator, Mapping, Sequence

import torch

from benchmarks.findings import Cell
from render3d.cameras import Cameras
from render3d.data import bunny, chicken, teapot
from render3d.fitting import TemplateFitSettings, fit_template
from render3d.fitting.checkpoint import FitRecord
from render3d.renderers import OpenGL
from render3d.scenes import Mesh
from render3d.view_sets import ViewSet

MESHES = {"bunny": bunny, "teapot": teapot, "chicken": chicken}
_LEVEL = 0.965  # of the held-out IoU


def fit_rows(
    meshes: Mapping[str, Mesh], settings: TemplateFitSettings, seeds: Sequence[int], size: int = 64, views: int = 52
) -> Iterator[dict[str, Cell]]:
    """Each mesh by each gradient: medians over seeds; the gradient of edges has no noise, and one seed is enough."""
    for name, mesh in meshes.items():
        fitted, held_out = _views(mesh, size, views).split(views * 8 // 13)
        for gradient in ("edges", "local_credit"):
            records = [
                _fit(fitted, held_out, settings, gradient, seed)
                for seed in (seeds if gradient == "local_credit" else seeds[:1])
            ]
            early = [_iou(each, settings.updates * 2 // 5) for each in records]
            ends = [_iou(each, settings.updates) for each in records]
            yield {
                "mesh": name,
                "gradient": gradient,
                "fits": float(len(records)),
                f"IoU after {settings.updates * 2 // 5} updates": statistics.median(early),
                f"after {settings.updates}": statistics.median(ends),
                "the least": min(ends),
                "the most": max(ends),
                f"seconds to {_LEVEL}": _median([_seconds_to(each) for each in records]),
            }


def _views(mesh: Mesh, size: int, views: int) -> ViewSet:
    cameras = Cameras.sphere(views, 3.0, vertical_fov_degrees=46.0, image_size=(size, size))
    with torch.no_grad():
        alpha = OpenGL()(mesh, cameras, ("alpha",)).alpha
    return ViewSet(cameras, alpha.float(), None, tuple(f"view {number}" for number in range(views)))


def _fit(
    fitted: ViewSet, held_out: ViewSet, settings: TemplateFitSettings, gradient: str, seed: int
) -> Sequence[FitRecord]:
    chosen = TemplateFitSettings(**{**vars(settings), "gradient": gradient, "seed": seed})
    return fit_template(fitted, None, OpenGL(), chosen, held_out=held_out).records


def _iou(records: Sequence[FitRecord], updates: int) -> float:
    """The last that was measured by then."""
    found = [record.held_out_iou for record in records if record.update <= updates and record.held_out_iou is not None]
    return found[-1]


def _seconds_to(records: Sequence[FitRecord]) -> float | None:
    return next(
        (each.seconds for each in records if each.held_out_iou is not None and each.held_out_iou >= _LEVEL), None
    )


def _median(seconds: Sequence[float | None]) -> float | None:
    """Of fits that all got there."""
    known = [each for each in seconds if each is not None]
    return statistics.median(known) if len(known) == len(seconds) else None
