"""What is wrong with views, or with what came of them, in words: what to know before the mesh is used."""

from collections.abc import Iterator, Mapping

import torch

from render3d.errors import FitError
from render3d.fitting.hulls import cut_off, volumes_of_parts
from render3d.fitting.measures import Measure
from render3d.fitting.spheres import Ball
from render3d.fitting.targets import named
from render3d.scenes import Mesh
from render3d.view_sets import ViewSet

_FEW = 8  # views
_ONE_SIDE = 0.5  # the cosine of the angle to the mean direction that no camera exceeds
_AS_LARGE = 0.1  # of the volume of the largest part
_WORSE = 0.002  # of the intersection over union: less is chance


def without_empty(views: ViewSet, held_out: ViewSet | None) -> tuple[ViewSet, ViewSet | None, list[str]]:
    """Both without the views that show nothing, and a remark on those.

    Raises:
        FitError: Fewer than two views are left, or no held-out one.
    """
    views, found = _shown(views, "The masks must show the object in two views at least", 2)
    if held_out is not None:
        held_out, of_held_out = _shown(held_out, "The masks must show the object in a held-out view at least", 1)
        found += of_held_out
    return views, held_out, found


def _shown(views: ViewSet, need: str, least: int) -> tuple[ViewSet, list[str]]:
    empty = ~(views.alpha > 0.5).flatten(1).any(1)
    kept = (~empty).nonzero()[:, 0].tolist()
    if len(kept) < least:
        raise FitError(
            f"{need}; {int(empty.sum())} of {len(views)} masks are empty. Mend them (1 is object, 0 is background), or "
            "add views."
        )
    if not bool(empty.any()):
        return views, []
    return views.select(kept), [f"Left out, as their masks are empty: {named(views, empty)}."]


def on_views(views: ViewSet, ball: Ball) -> Iterator[str]:
    """What the views leave open, or show wrongly.

    Args:
        views: Silhouettes and cameras.
        ball: About where the object is.
    """
    if len(views) < _FEW:
        yield (
            f"There are {len(views)} views. Few silhouettes allow many shapes, and no mask can be outvoted: add views "
            "from other directions if the mesh bulges."
        )
    if len(views) > 1 and _are_on_one_side(views, ball):
        yield (
            "All cameras look from one side. The far side of the mesh, and its extent along the line of sight, are "
            "guesses: add photographs from behind."
        )
    cut = cut_off(views.alpha)
    if bool(cut.any()):
        yield (
            f"The object leaves the image in {named(views, cut)}. What lies outside is taken from the other views "
            "alone."
        )


def _are_on_one_side(views: ViewSet, ball: Ball) -> bool:
    directions = views.cameras.position.cpu() - torch.tensor(ball.center)
    directions = torch.nn.functional.normalize(directions, dim=-1)
    mean = torch.nn.functional.normalize(directions.mean(0), dim=0)
    return float((directions @ mean).min()) > _ONE_SIDE


def on_parts(hull: Mesh) -> Iterator[str]:
    """Whether the views show several objects."""
    _, volume = volumes_of_parts(hull)
    large = int((volume > _AS_LARGE * volume.max()).sum())
    if large > 1:
        yield (
            f"The silhouettes are those of {large} separate parts, and the mesh holds all of them. If only one is "
            "wanted, take the others out of the masks."
        )


def on_outliers(outliers: tuple[str, ...]) -> Iterator[str]:
    """Views whose colours are not those of the others."""
    if outliers:
        yield (
            f"The colours of {', '.join(outliers)} do not agree with those of the other views (exposure, pose or "
            "content), and had no say."
        )


def on_measures(measures: Mapping[str, Measure]) -> Iterator[str]:
    """Whether the visual hull is better than the fit, and what to do then."""
    fit, hull = measures["fit"], measures.get("visual hull")
    if hull is None:
        return
    ours, theirs = fit.held_out_iou or fit.training_iou, hull.held_out_iou or hull.training_iou
    if theirs > ours + _WORSE:
        yield (
            f"The visual hull agrees better with the views ({theirs:.4f}) than the fit ({ours:.4f}). Its triangles are "
            "probably too large for the object's thin parts: take --quality high. If that does not help, look for "
            "views whose error maps show one-sided borders: their poses or masks are off; leave them out."
        )
