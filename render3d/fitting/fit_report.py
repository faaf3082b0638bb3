"""The page that shows what a fit found."""

import dataclasses
from collections.abc import Mapping

import torch

from render3d import renderers, report
from render3d.fitting.loop import Measured
from render3d.fitting.measures import Measure
from render3d.fitting.settings import Settings, TemplateFitSettings
from render3d.fitting.targets import shrunk
from render3d.fitting.template_fit import TemplateFitResult
from render3d.fitting.volume_fit import VolumeFitResult
from render3d.metrics import silhouette_iou
from render3d.renderers.base import Renderer
from render3d.report import turntable
from render3d.scenes import Mesh, Volume
from render3d.view_sets import ViewSet

_MOST_SHOWN = 22
_LARGEST_SHOWN = 128  # pixels
_SLICES = 11  # a row of the page


def fit_report(
    result: TemplateFitResult | VolumeFitResult,
    views: ViewSet,
    held_out: ViewSet | None,
    measures: Mapping[str, Measure],
    renderer: Renderer,
    settings: Settings,
) -> str:
    """The page, self-contained.

    Args:
        result: What `fit_template` or `fit_volume` returned.
        views: The views that were fitted, as they stand to the scene of the result.
        held_out: Those that were not, likewise.
        measures: The fit first, then what it is compared with, by name.
        renderer: The one that was fitted through.
        settings: Those of the fit.
    """
    _, fitted = next(iter(measures.items()))
    best = fitted.training_iou if fitted.held_out_iou is None else fitted.held_out_iou
    kind = "training" if fitted.held_out_iou is None else "held-out"
    name, scene = renderer.capabilities.name, result.scene
    lead = (
        f"{_size(scene)}, fitted through {name} to {views.cameras.views} silhouettes in "
        f"{result.records[-1].seconds:.0f} s: mean IoU {best:.4f} on {kind} views."
    )
    chosen = settings.chosen_for(renderer) if isinstance(settings, TemplateFitSettings) else settings
    rows = [[label, m.held_out_iou, m.training_iou, m.held_out_disagreement] for label, m in measures.items()]
    heads = ["", "IoU, held-out views", "IoU, training views", "pixels that differ, held-out"]
    return report.page(
        f"A {_kind(scene)} fitted to silhouettes",
        lead,
        report.columns(turntable_part(scene, renderer), report.table(heads, rows, chosen=0)),
        *([_slices(scene)] if isinstance(scene, Volume) else []),
        *([_comparison("Held-out views", scene, held_out, renderer)] if held_out else []),
        _comparison("Training views", scene, views, renderer),
        curves_part(result, measures),
        report.how_made(readable(chosen), renderer),
    )


def _kind(scene: Mesh | Volume) -> str:
    return type(scene).__name__.lower()


def _size(scene: Mesh | Volume) -> str:
    return (
        f"{len(scene.faces)} faces" if isinstance(scene, Mesh) else " x ".join(map(str, scene.resolution)) + " voxels"
    )


def turntable_part(scene: Mesh | Volume, renderer: Renderer) -> report.Html:
    """A fitted scene from all round: a mesh as the renderer sees it; of a volume the density itself, in any case."""
    alt = f"The fitted {_kind(scene)} on a turntable"
    if isinstance(scene, Mesh):
        return report.animation(turntable(scene, renderer, views=48, size=320), alt)
    frames = turntable(report.lit(scene), renderers.EmissionAbsorption(), views=24, size=160)
    return report.animation(frames, alt, frames_per_second=8)


def _slices(volume: Volume) -> report.Html:
    images = report.slices(volume, _SLICES)
    share = (torch.arange(_SLICES) + 0.5) / _SLICES
    captions = [f"z = {z:.2f}" for z in ((2 * share - 1) * volume.extent).tolist()]
    note = "Occupancy across z, black where a voxel takes all light; z is measured from the middle of the cube."
    return report.section("Slices", report.paragraph(note), report.gallery({"slice": images}, captions))


def _comparison(title: str, scene: Mesh | Volume, views: ViewSet, renderer: Renderer) -> report.Html:
    """Target, fit and difference of each view, from the worst to the best."""
    with torch.no_grad():
        iou = silhouette_iou(renderer(scene, views.cameras, ("alpha",)).alpha, views.alpha)
    order = iou.argsort()
    shown = order[torch.linspace(0, len(order) - 1, min(len(order), _MOST_SHOWN)).round().long()]
    picked = views.select(shown.tolist())
    small = shrunk(picked, _LARGEST_SHOWN)
    with torch.no_grad():
        found = renderer(scene, small.cameras, ("alpha",)).alpha
    images = {
        "target": 1 - small.alpha,
        "fit": 1 - found,
        "difference": report.silhouette_difference(small.alpha, found),
    }
    captions = [f"{name} {value:.3f}" for name, value in zip(picked.names, iou[shown].tolist(), strict=True)]
    chosen = "" if len(shown) == len(order) else f" {len(shown)} of {len(order)} views are shown."
    note = f"Target, fit and their difference, with the IoU, from the worst view to the best.{chosen}"
    return report.section(title, report.paragraph(note), report.difference_key(), report.gallery(images, captions))


def curves_part(result: Measured, measures: Mapping[str, Measure]) -> report.Html:
    """The course of a fit: intersections over union and losses, over updates and over seconds."""
    records = result.records
    measured = [record for record in records if record.training_iou is not None]
    levels = {
        label: value.held_out_iou
        for label, value in measures.items()
        if label == "visual hull" and value.held_out_iou is not None
    }
    plots = []
    for unit, attribute in (("updates", "update"), ("seconds", "seconds")):
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


def readable(settings: Settings) -> dict[str, object]:
    """Settings as facts of a page."""
    values = dataclasses.asdict(settings)
    return {
        name.replace("_", " "): " to ".join(map(str, v)) if isinstance(v, tuple) else v for name, v in values.items()
    }
