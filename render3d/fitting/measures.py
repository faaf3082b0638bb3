"""How good a fit is, beside what needs no fit."""

import contextlib
import dataclasses
from typing import final

import torch

from render3d.errors import FitError
from render3d.fitting.hulls import convex_hull, visual_hull
from render3d.fitting.spheres import best_sphere
from render3d.metrics import silhouette_disagreement, silhouette_iou
from render3d.renderers.base import Renderer
from render3d.scenes import Mesh, Volume
from render3d.view_sets import ViewSet


@final
@dataclasses.dataclass(frozen=True, kw_only=True)
class Measure:
    """How the silhouettes of one scene compare with the views; means over the views.

    Attributes:
        training_iou: Intersection over union, views that were fitted.
        held_out_iou: The same, views that were not; None where there are none.
        held_out_disagreement: The share of pixels on whose coverage they differ, held-out views.
    """

    training_iou: float
    held_out_iou: float | None
    held_out_disagreement: float | None


def measure(scene: Mesh | Volume, views: ViewSet, held_out: ViewSet | None, renderer: Renderer) -> Measure:
    """Compare sharp renderings of ``scene`` with views of it, at their full size."""
    iou, _ = _compare(scene, views, renderer)
    held_out_iou, disagreement = _compare(scene, held_out, renderer) if held_out else (None, None)
    return Measure(training_iou=iou, held_out_iou=held_out_iou, held_out_disagreement=disagreement)


def _compare(scene: Mesh | Volume, views: ViewSet, renderer: Renderer) -> tuple[float, float]:
    with torch.no_grad():
        alpha = renderer(scene, views.cameras, ("alpha",)).alpha
    iou, disagreement = silhouette_iou(alpha, views.alpha), silhouette_disagreement(alpha, views.alpha)
    return float(iou.mean()), float(disagreement.mean())


def baselines(views: ViewSet) -> dict[str, Mesh]:
    """What the views give without a fit, by name: the best sphere, the visual hull and its convex hull.

    The hulls are left out where they are empty, because the silhouettes contradict one another.
    """
    device = views.alpha.device
    views = views.to("cpu")
    meshes = {"best sphere": best_sphere(views).mesh(subdivisions=4)}
    with contextlib.suppress(FitError):
        hull = visual_hull(views)
        meshes |= {"convex hull of the visual hull": convex_hull(hull), "visual hull": hull}
    return {name: mesh.to(device) for name, mesh in meshes.items()}
