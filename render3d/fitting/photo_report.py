"""The page that shows what a fit to photographs found."""

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from render3d import report
from render3d.cameras import Cameras
from render3d.color import linear_to_srgb
from render3d.fitting.figures import FitFigures
from render3d.fitting.fit import FitResult
from render3d.fitting.fit_report import curves_part, readable, turntable_part
from render3d.fitting.measures import on_white
from render3d.fitting.targets import shrunk
from render3d.metrics import silhouette_iou
from render3d.renderers import OpenGL, Shading
from render3d.renderers.base import Renderer
from render3d.report import Row, Scale
from render3d.scenes import Mesh
from render3d.view_sets import ViewSet

_SOFT = Shading(samples_per_pixel=4)
_MOST_SHOWN = 6
_LARGEST_SHOWN = 400  # pixels
_ERRORS = Scale(low=0.0, high=0.3, unit="root mean square difference of sRGB")

_COLUMNS = {
    "IoU": ("held_out_iou", ".4f"),
    "PSNR, dB": ("held_out_psnr", ".2f"),
    "on white": ("held_out_psnr_on_white", ".2f"),
    "SSIM": ("held_out_ssim", ".3f"),
    "on white ": ("held_out_ssim_on_white", ".3f"),
    "IoU, training views": ("training_iou", ".4f"),
}
_TRUTH = {
    "chamfer, visible": ("visible.chamfer", ".4f"),
    "F1 at 1 %": ("visible.f1_1_percent", ".3f"),
    "at 3.5 %": ("visible.f1_3_5_percent", ".3f"),
    "chamfer, all": ("whole.chamfer", ".4f"),
    "F1 at 1 % ": ("whole.f1_1_percent", ".3f"),
    "at 3.5 % ": ("whole.f1_3_5_percent", ".3f"),
}


def photo_report(
    result: FitResult,
    views: ViewSet,
    held_out: ViewSet | None,
    figures: FitFigures,
    renderer: Renderer,
) -> str:
    """The page, self-contained.

    Args:
        result: What `fit` returned.
        views: The views that were fitted.
        held_out: Those that were not.
        figures: What was measured.
        renderer: The one that was fitted through.
    """
    rows = {name: vars(found) for name, found in figures.measures.items()}
    lead = (
        f"{len(result.mesh.faces):,} faces, fitted through {renderer.capabilities.name} to {len(views)} photographs in "
        f"{result.records[-1].seconds:.0f} s."
    )
    parts = [
        report.columns(_turntable(result.mesh, views.cameras, renderer), _words(figures)),
        report.section("How close it is", report.paragraph(_NOTE), report.figures(_COLUMNS, rows, chosen=0)),
    ]
    if figures.truth:
        parts.append(_truth_part(figures))
    if held_out is not None:
        parts.append(_views_part("Held-out views", result.mesh, held_out, renderer))
    parts.append(_views_part("Training views", result.mesh, views, renderer))
    parts.append(_stages_part(result, held_out or views))
    parts.append(curves_part(result, figures.measures))
    parts.append(report.how_made(readable(result.settings), renderer))
    return report.page("A mesh from photographs", lead, *parts)


_NOTE = (
    "Means over held-out views. PSNR and SSIM are those of sRGB colours: where photograph and rendering both show "
    "nothing but the object, and of whole images over white. Shapes without colours have the IoU alone."
)


def _upright(mesh: Mesh, cameras: Cameras) -> Mesh:
    """The mesh turned until +Y is where the cameras' images have their top, on the mean."""
    up = torch.nn.functional.normalize(-cameras.world_to_camera[:, 1, :3].mean(0), dim=0)
    side = torch.linalg.cross(up, torch.eye(3).to(up)[int(up.abs().argmin())])
    side = torch.nn.functional.normalize(side, dim=0)
    turn = torch.stack([side, up, torch.linalg.cross(side, up)])
    return mesh.with_vertices(mesh.vertices @ turn.T)


def _turntable(mesh: Mesh, cameras: Cameras, renderer: Renderer) -> report.Html:
    """The mesh from all round: its colours as they are, or grey under lights."""
    colored = mesh.texture is not None or mesh.colors is not None
    return turntable_part(_upright(mesh, cameras), renderer if colored else OpenGL())


def _words(figures: FitFigures) -> report.Html:
    """Topology, and what to know."""
    said = list(figures.remarks)
    topology = figures.topology
    if topology is not None:
        parts = "one part" if topology.components == 1 else f"{topology.components} parts"
        said.append(
            f"The surface has {parts} and the Euler number {topology.euler_number} (2 for each part, less 2 for each "
            f"handle); {topology.crossing_faces:,} faces pass through others."
        )
    if figures.unseen is not None:
        said.append(f"Of the surface, {figures.unseen:.1%} is shown by no view; its colours are filled in smoothly.")
    return report.section("What to know", *map(report.paragraph, said or ["Nothing was found wrong."]))


def _truth_part(figures: FitFigures) -> report.Html:
    note = (
        "Distances are shares of the true mesh's radius, half the diagonal of its box. The chamfer distance is the "
        "mean of both ways; F1 the harmonic mean of the shares of points that are no farther than so much from the "
        "other surface. Of the true surface that the cameras see, and of all of it."
    )
    rows = {name: dict(_flat(vars(found))) for name, found in figures.truth.items()}
    return report.section("How far from the truth", report.paragraph(note), report.figures(_TRUTH, rows, chosen=0))


def _flat(values: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    for kind in ("visible", "whole"):
        for name, value in vars(values[kind]).items() if values[kind] is not None else ():
            yield f"{kind}.{name}", value


def _views_part(title: str, mesh: Mesh, views: ViewSet, renderer: Renderer) -> report.Html:
    """Photograph, rendering and their difference, from the worst view to the best."""
    with torch.no_grad():
        iou = silhouette_iou(renderer(mesh, views.cameras, ("alpha",)).alpha, views.alpha)
    order = iou.argsort()
    shown = order[torch.linspace(0, len(order) - 1, min(len(order), _MOST_SHOWN)).round().long()]
    small = shrunk(views.select(shown.tolist()), _LARGEST_SHOWN, *(["rgb"] if views.rgb is not None else []))
    with torch.no_grad():
        alpha = renderer(mesh, small.cameras, ("alpha",)).alpha
    columns: dict[str, Tensor] = {}
    colored = small.rgb is not None and "rgb" in renderer.capabilities.outputs
    if colored and small.rgb is not None:
        found, wanted = on_white(mesh, small, renderer)
        error = (linear_to_srgb(found) - linear_to_srgb(wanted)).square().mean(1, keepdim=True).sqrt()
        columns = {"photograph": small.rgb, "cut out": wanted, "rendering": found}
        columns["difference"] = _ERRORS.colors(error, (alpha > 0) | (small.alpha > 0))
    columns["silhouettes"] = report.silhouette_difference(small.alpha, alpha)
    names, values = small.names, iou[shown].tolist()
    rows = [
        Row(name, [images[number] for images in columns.values()], report.paragraph(f"IoU {value:.4f}"))
        for number, (name, value) in enumerate(zip(names, values, strict=True))
    ]
    keys = [report.difference_key("photograph", "rendering"), *([_ERRORS.bar()] if colored else [])]
    chosen = "" if len(shown) == len(order) else f" {len(shown)} of {len(order)} views are shown."
    return report.section(
        title, report.paragraph(f"From the worst silhouette to the best.{chosen}"), *keys, report.grid([*columns], rows)
    )


def _stages_part(result: FitResult, views: ViewSet) -> report.Html:
    """The mesh that each stage left, in grey: shapes are seen better without colours."""
    cameras = shrunk(views.select([0, len(views) // 2]), _LARGEST_SHOWN).cameras
    renderer = OpenGL(_SOFT)
    names = [name for name in result.stages if name != "texture"]
    with torch.no_grad():
        images = {name: renderer(result.stages[name].without_colors(), cameras, ("rgb",)).rgb for name in names}
    rows = [Row(views.names[k], [images[name][n] for name in names]) for n, k in enumerate((0, len(views) // 2))]
    note = "The mesh after each stage: the visual hull, the fit to silhouettes, and to colours as well."
    return report.section("Stage by stage", report.paragraph(note), report.grid(names, rows))
