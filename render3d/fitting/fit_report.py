"""The page that shows what a fit found."""

import dataclasses
from collections.abc import Mapping

import torch
from torch import Tensor

from render3d import report
from render3d.cameras import Cameras
from render3d.fitting.fit import FitResult
from render3d.fitting.measures import Measure
from render3d.fitting.settings import FitSettings
from render3d.fitting.targets import shrunk
from render3d.metrics import silhouette_iou
from render3d.renderers.base import Renderer
from render3d.report.pictures import difference_key
from render3d.scenes import Mesh
from render3d.views import Views

_MOST_SHOWN = 22
_LARGEST_SHOWN = 128  # pixels


def fit_report(
    result: FitResult,
    views: Views,
    held_out: Views | None,
    measures: Mapping[str, Measure],
    renderer: Renderer,
    settings: FitSettings,
) -> str:
    """The page, self-contained.

    Args:
        result: What `fit` returned.
        views: The views that were fitted.
        held_out: Those that were not.
        measures: The fit first, then what it is compared with, by name.
        renderer: The one that was fitted through.
        settings: Those of the fit.
    """
    _, fitted = next(iter(measures.items()))
    best = fitted.training_iou if fitted.held_out_iou is None else fitted.held_out_iou
    kind = "training" if fitted.held_out_iou is None else "held-out"
    name = renderer.capabilities.name
    lead = (
        f"{len(result.mesh.faces)} faces, fitted through {name} to {views.cameras.views} silhouettes in "
        f"{result.records[-1].seconds:.0f} s: mean IoU {best:.4f} on {kind} views."
    )
    rows = [[label, m.held_out_iou, m.training_iou, m.held_out_disagreement] for label, m in measures.items()]
    heads = ["", "IoU, held-out views", "IoU, training views", "pixels that differ, held-out"]
    return report.page(
        "A mesh fitted to silhouettes",
        lead,
        report.columns(_turntable(result.mesh, renderer), report.table(heads, rows, chosen=0)),
        *([_comparison("Held-out views", result.mesh, held_out, renderer)] if held_out else []),
        _comparison("Training views", result.mesh, views, renderer),
        _curves(result, measures),
        report.section(
            "How it was made",
            report.columns(report.facts(_readable(settings)), report.facts(report.provenance(renderer))),
        ),
    )


def turntable(mesh: Mesh, renderer: Renderer, *, views: int, size: int) -> Tensor:
    """The mesh from all round, ``[views, 3, size, size]``, linear light, four samples a pixel."""
    cameras = Cameras.orbit(views, 3.2, elevation_degrees=15, vertical_fov_degrees=38, image_size=(2 * size, 2 * size))
    output = "rgb" if "rgb" in renderer.capabilities.outputs else "alpha"
    cameras = cameras.to(mesh.vertices.device)
    with torch.no_grad():
        frames: Tensor = renderer(mesh.detach().normalized(), cameras, (output,)).as_dict()[output]
    return torch.nn.functional.avg_pool2d(frames, 2).expand(-1, 3, -1, -1)


def _turntable(mesh: Mesh, renderer: Renderer) -> report.Html:
    return report.animation(turntable(mesh, renderer, views=48, size=320), "The fitted mesh on a turntable")


def _comparison(title: str, mesh: Mesh, views: Views, renderer: Renderer) -> report.Html:
    """Target, fit and difference of each view, from the worst to the best."""
    with torch.no_grad():
        iou = silhouette_iou(renderer(mesh, views.cameras, ("alpha",)).alpha, views.alpha)
    order = iou.argsort()
    shown = order[torch.linspace(0, len(order) - 1, min(len(order), _MOST_SHOWN)).round().long()]
    picked = Views(
        views.cameras[shown], views.alpha[shown], None, tuple(views.names[index] for index in shown.tolist())
    )
    small = shrunk(picked, _LARGEST_SHOWN)
    with torch.no_grad():
        found = renderer(mesh, small.cameras, ("alpha",)).alpha
    pictures = {
        "target": 1 - small.alpha,
        "fit": 1 - found,
        "difference": report.silhouette_difference(small.alpha, found),
    }
    captions = [f"{name} {value:.3f}" for name, value in zip(picked.names, iou[shown].tolist(), strict=True)]
    chosen = "" if len(shown) == len(order) else f" {len(shown)} of {len(order)} views are shown."
    note = f"Target, fit and their difference, with the IoU, from the worst view to the best.{chosen}"
    return report.section(title, report.paragraph(note), difference_key(), report.gallery(pictures, captions))


def _curves(result: FitResult, measures: Mapping[str, Measure]) -> report.Html:
    records = result.records
    measured = [record for record in records if record.training_iou is not None]
    levels = {
        label: value.held_out_iou
        for label, value in measures.items()
        if label == "visual hull" and value.held_out_iou is not None
    }
    plots = []
    for unit, attribute in (("steps", "step"), ("seconds", "seconds")):
        along = [float(getattr(record, attribute)) for record in measured]
        series = {"training": (along, [record.training_iou or 0.0 for record in measured])}
        if result.held_out_iou is not None:
            series["held out"] = (along, [record.held_out_iou or 0.0 for record in measured])
        everywhere = [float(getattr(record, attribute)) for record in records]
        loss = {"loss": (everywhere, [record.loss for record in records])}
        plots += [
            report.curves(
                f"Silhouette IoU over {unit}", x_label=unit, y_label="mean IoU", series=series, levels=levels
            ),
            report.curves(f"Loss over {unit}", x_label=unit, y_label="mean squared difference", series=loss),
        ]
    return report.section("Progress", report.columns(*plots[:2]), report.columns(*plots[2:]))


def _readable(settings: FitSettings) -> dict[str, object]:
    values = dataclasses.asdict(settings)
    return {
        name.replace("_", " "): " to ".join(map(str, v)) if isinstance(v, tuple) else v for name, v in values.items()
    }
