"""How good a fit is, beside what needs no fit."""

import contextlib
import dataclasses
from typing import final

import torch
from torch import Tensor

from render3d.color import linear_to_srgb
from render3d.errors import FitError
from render3d.fitting.hulls import convex_hull, visual_hull
from render3d.fitting.spheres import best_sphere
from render3d.metrics import psnr, silhouette_disagreement, silhouette_iou, ssim
from render3d.metrics.images import SSIM_WINDOW
from render3d.renderers.base import Renderer
from render3d.renderers.deferred_shading import Shaded
from render3d.renderers.shading import Shading
from render3d.scenes import Mesh, Volume
from render3d.view_sets import ViewSet

_WHOLE = 0.999  # coverage of a pixel that shows nothing but the object
_MOST = 100.0  # decibels; equal images have infinitely many, which JSON cannot say


@final
@dataclasses.dataclass(frozen=True, kw_only=True)
class Measure:
    """How one scene compares with the views; means over the views.

    Attributes:
        training_iou: Intersection over union of the silhouettes, views that were fitted.
        held_out_iou: The same, views that were not; None where there are none.
        held_out_disagreement: The share of pixels on whose coverage they differ, held-out views.
        held_out_psnr: Peak signal-to-noise ratio of sRGB colours where both show nothing but the object, decibels,
            held-out views, at most 100; None where there are none, or no colours, or no such pixel.
        held_out_psnr_on_white: The same of whole images, both over white.
        held_out_ssim: Structural similarity, where both show nothing but the object, likewise; None where images
            are smaller than its window.
        held_out_ssim_on_white: The same of whole images, both over white.
    """

    training_iou: float
    held_out_iou: float | None
    held_out_disagreement: float | None
    held_out_psnr: float | None = None
    held_out_psnr_on_white: float | None = None
    held_out_ssim: float | None = None
    held_out_ssim_on_white: float | None = None


def measure(scene: Mesh | Volume, views: ViewSet, held_out: ViewSet | None, renderer: Renderer) -> Measure:
    """Compare sharp renderings of ``scene`` with views of it, at their full size.

    Colours are compared if the views have them, the renderer renders them, and ``scene`` is a mesh that has some.
    """
    iou, _ = _compare(scene, views, renderer)
    held_out_iou, disagreement = _compare(scene, held_out, renderer) if held_out else (None, None)
    colors = _compare_colors(scene, held_out, renderer) if held_out and _has_colors(scene, held_out, renderer) else {}
    return Measure(training_iou=iou, held_out_iou=held_out_iou, held_out_disagreement=disagreement, **colors)


def _compare(scene: Mesh | Volume, views: ViewSet, renderer: Renderer) -> tuple[float, float]:
    with torch.no_grad():
        alpha = renderer(scene, views.cameras, ("alpha",)).alpha
    iou, disagreement = silhouette_iou(alpha, views.alpha), silhouette_disagreement(alpha, views.alpha)
    return float(iou.mean()), float(disagreement.mean())


def _has_colors(scene: Mesh | Volume, views: ViewSet, renderer: Renderer) -> bool:
    colored = isinstance(scene, Mesh) and any(role == "colors" for _, role in scene.inputs().values())
    return colored and views.rgb is not None and "rgb" in renderer.capabilities.outputs


def _compare_colors(scene: Mesh | Volume, views: ViewSet, renderer: Renderer) -> dict[str, float | None]:
    found, wanted = (linear_to_srgb(image) for image in on_white(scene, views, renderer))
    with torch.no_grad():
        alpha = renderer(scene, views.cameras, ("alpha",)).alpha
    both = (alpha > _WHOLE) & (views.alpha > _WHOLE)
    noise = {
        "held_out_psnr": _mean(psnr(found, wanted, where=both).clamp(max=_MOST)),
        "held_out_psnr_on_white": _mean(psnr(found, wanted).clamp(max=_MOST)),
    }
    if min(views.cameras.image_size) < SSIM_WINDOW:
        return noise
    similarity = {
        "held_out_ssim": _mean(ssim(found, wanted, where=both)),
        "held_out_ssim_on_white": _mean(ssim(found, wanted)),
    }
    return noise | similarity


def _mean(values: Tensor) -> float | None:
    """The mean over the views that have a value; None where none has."""
    found = values[~values.isnan()]
    return float(found.mean()) if len(found) else None


def on_white(scene: Mesh | Volume, views: ViewSet, renderer: Renderer) -> tuple[Tensor, Tensor]:
    """``[views, 3, H, W]`` twice, linear light, 0-1: the renderer's images of ``scene`` and the views, over white."""
    assert views.rgb is not None
    with torch.no_grad():
        rendering = renderer(scene, views.cameras, ("rgb", "alpha"))
    shading = renderer.shading if isinstance(renderer, Shaded) else Shading()
    background = torch.as_tensor(shading.background, dtype=torch.float32, device=rendering.alpha.device)
    behind = (1 - background)[:, None, None] * (1 - rendering.alpha)
    return (rendering.rgb + behind).clamp(0, 1), (views.rgb * views.alpha + 1 - views.alpha).clamp(0, 1)


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
