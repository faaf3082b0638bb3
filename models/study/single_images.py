"""Meshes from single pictures: whether shape and orientation are right, also where the picture does not show them."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor

from render3d import report
from render3d.cameras import Cameras
from render3d.datasets.base import ImageSettings, ImagesOfMeshes
from render3d.datasets.pictures.colored import SHADING
from render3d.metrics import silhouette_iou
from render3d.models.base import Findings, Run
from render3d.models.parts.sampled import SampledRendering
from render3d.models.parts.sequential import SequentialModel
from render3d.models.study.orientations import free_frames, orientation_errors
from render3d.models.training.evaluation import Estimate
from render3d.models.training.sources import BatchSource
from render3d.randomness import Key
from render3d.renderers import OpenGL
from render3d.scenes import Mesh

_EXAMPLES = 600  # of each split
_SHOWN = 11  # a row of the gallery
_FRAMES = 24  # of the animation
_OF_SAMPLES = 5
_SEEN, _UNSEEN = slice(0, 1), slice(1, 3)  # of the cameras of `_judging`


class JudgedMeshes(NamedTuple):
    """Examples, and what a model makes of them without noise.

    Attributes:
        solids: As they are turned; a list, for topologies differ.
        pictures: ``[N, 3, H, W]``, linear light: what the model sees.
        rotations: ``[N, 3, 3]``, of the solids.
        labels: ``[N]``.
        meshes: ``[N]``, inferred, as they are turned.
        turns: ``[N, 3, 3]``, inferred.
    """

    solids: list[Mesh]
    pictures: Tensor
    rotations: Tensor
    labels: Tensor
    meshes: Mesh
    turns: Tensor


def find(run: Run, data: ImageSettings) -> Findings:
    """Silhouettes from seen and unseen sides, colours and orientations, beside the best that are fixed."""
    train, test = (judge(run.model, BatchSource(run.recipe, split)) for split in ("train", "test"))
    figures = _shapes(train, test, data) | _orientations(train, test, run.classes)
    sections = (_table(figures, run.classes), _pictures(test, data, run.classes), _samples(run.model, data))
    return Findings(figures, sections)


@torch.no_grad()
def judge(model: SequentialModel, source: BatchSource) -> JudgedMeshes:
    """The first examples of a split, each explained by the mean of q(z given x)."""
    dataset, projection = cast(ImagesOfMeshes, source.examples), cast(SampledRendering, model.projection)
    numbers = range(min(_EXAMPLES, len(dataset)))
    batch = source.batch(numbers, model.start.device)
    states, _ = model.infer(batch, torch.zeros(len(numbers), model.steps, model.latents).to(model.start))
    seen = projection.orient(model.writer(states), states[:, -1], batch.x, None)
    examples = [dataset[number] for number in numbers]
    return JudgedMeshes(
        solids=[dataset.solid(number) for number in numbers],
        pictures=torch.stack([example.image for example in examples]),
        rotations=torch.stack([example.rotation for example in examples]),
        labels=torch.tensor([example.label for example in examples]),
        meshes=seen.mesh.to("cpu"),
        turns=seen.rotation.cpu(),
    )


def _shapes(train: JudgedMeshes, test: JudgedMeshes, data: ImageSettings) -> dict[str, Any]:
    cameras = _judging(data)
    seen, learnt_from = OpenGL(SHADING)(test.meshes, cameras), OpenGL(SHADING)(train.solids, cameras).alpha
    true = OpenGL(SHADING)(test.solids, cameras).alpha
    found = silhouette_iou(seen.alpha, true)
    fixed = silhouette_iou(_fixed_silhouettes(learnt_from), true)
    error = (seen.rgb[:, 0] - test.pictures).square().mean((-1, -2, -3))
    fixed_error = (train.pictures.mean(0) - test.pictures).square().mean((-1, -2, -3))
    return {
        "examples": len(found),
        "silhouette_iou": _beside(found[:, _SEEN].mean(1), fixed[:, _SEEN].mean(1)),
        "novel_view_iou": _beside(found[:, _UNSEEN].mean(1), fixed[:, _UNSEEN].mean(1)),
        "color_mean_square": _beside(error, fixed_error),
    }


def _fixed_silhouettes(alpha: Tensor) -> Tensor:
    """``[views, 1, H, W]``: the mean of silhouettes ``[N, views, 1, H, W]``, cut where it is most like them.

    No mesh in one pose is in the mean much more like all of them: it is not even bound to be a mesh.
    """
    mean = alpha.mean(0)
    levels = [(mean > level).float() for level in torch.linspace(0.05, 0.95, 19)]
    scores = torch.stack([silhouette_iou(level, alpha).mean(0) for level in levels])  # [levels, views]
    return torch.stack(levels)[scores.argmax(0), torch.arange(len(mean))]


def _orientations(train: JudgedMeshes, test: JudgedMeshes, classes: Sequence[str]) -> dict[str, Any]:
    frames = free_frames(train.turns, train.rotations, train.labels, len(classes))
    errors = orientation_errors(test.turns, test.rotations, test.labels, frames)
    constant = torch.eye(3).expand_as(test.turns)
    frames = free_frames(constant[:1].expand_as(train.turns), train.rotations, train.labels, len(classes))
    fixed = orientation_errors(constant, test.rotations, test.labels, frames)
    medians = {name: float(errors[test.labels == label].median()) for label, name in enumerate(classes)}
    return {"orientation_error_degrees": _beside(errors, fixed) | {"median_by_class": medians}}


def _beside(found: Tensor, fixed: Tensor) -> dict[str, float]:
    """Means over examples ``[N]``, and how well the first is known."""
    estimate = Estimate.of(found)
    return {"mean": estimate.mean, "standard_error": estimate.standard_error, "best_fixed": float(fixed.mean())}


def _judging(data: ImageSettings) -> Cameras:
    """``[3]``: the camera of the pictures, one from the right, and one from above."""
    directions = torch.tensor([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
    return data.cameras_at(directions, data.image_size)


def around(data: ImageSettings, views: int, size: int) -> Cameras:
    """``[views]``, round the upright axis from the camera of the pictures on."""
    angles = torch.arange(views) * (2 * math.pi / views)
    return data.cameras_at(torch.stack([angles.sin(), torch.zeros(views), angles.cos()], dim=-1), size)


_NAMES = {
    "silhouette_iou": "IoU of silhouettes, from the camera",
    "novel_view_iou": "IoU of silhouettes, from the right and from above",
    "color_mean_square": "mean square error of the picture, linear light",
    "orientation_error_degrees": "error of the orientation, degrees",
}


def _table(figures: dict[str, Any], classes: Sequence[str]) -> report.Html:
    rows = [
        [name, *(f"{figures[key][column]:.3g}" for column in ("mean", "standard_error", "best_fixed"))]
        for key, name in _NAMES.items()
    ]
    medians = figures["orientation_error_degrees"]["median_by_class"]
    note = (
        f"On {figures['examples']} held-out pictures, z at the mean of q(z given x). Beside them the best that is "
        "fixed: the mean training silhouette of each camera, cut where it is most like all of them; the mean picture; "
        "and one orientation for each kind. The frame of what is inferred is free: for each kind, one rotation was "
        "fitted to training pictures. Random rotations are 126.5 degrees apart in the mean."
    )
    return report.section(
        "Shape and orientation",
        report.paragraph(note),
        report.table(("", "mean", "standard error", "best fixed"), rows),
        report.table(
            ("median error of the orientation", *classes), [["degrees", *(f"{medians[k]:.0f}" for k in classes)]]
        ),
    )


def _pictures(test: JudgedMeshes, data: ImageSettings, classes: Sequence[str]) -> report.Html:
    solids, meshes, labels = test.solids[:_SHOWN], test.meshes[:_SHOWN], test.labels[:_SHOWN]
    cameras = around(data, 4, data.image_size)
    true, found = OpenGL(SHADING)(solids, cameras).rgb, OpenGL(SHADING)(meshes, cameras).rgb
    rows = {"held-out picture": true[:, 0], "inferred mesh, from there": found[:, 0]}
    for view, degrees in enumerate((90, 180, 270), start=1):
        rows |= {f"solid, {degrees} degrees round": true[:, view], f"mesh, {degrees} degrees round": found[:, view]}
    note = (
        "For each solid: the picture; the mesh inferred of it, from the same place; then solid and mesh with the "
        "camera 90, 180 and 270 degrees round. No picture shows what is there."
    )
    round_about = around(data, _FRAMES, 96)
    both = [OpenGL(SHADING)(each, round_about).rgb for each in (solids[:6], meshes[:6])]  # [6, frames, 3, H, W]
    film = torch.cat([torch.cat(list(each), dim=-1) for each in both], dim=-2)
    captions = [classes[label] for label in labels.tolist()]
    return report.section(
        "Reconstructions",
        report.paragraph(note),
        report.gallery(rows, captions),
        report.animation(film, "Above, six solids; below, their meshes, with the camera going round"),
    )


@torch.no_grad()
def _samples(model: SequentialModel, data: ImageSettings) -> report.Html:
    projection = cast(SampledRendering, model.projection)
    states = model.imagine(model.noise(_SHOWN, Key(0).fold_in(_OF_SAMPLES)).to(model.start))
    meshes = projection.orient(model.writer(states), states[:, -1], None, None).mesh.to("cpu")
    seen = OpenGL(SHADING)(meshes, around(data, 4, data.image_size)).rgb
    rows = {f"{degrees} degrees round": seen[:, view] for view, degrees in enumerate((0, 90, 180, 270))}
    return report.section(
        "Samples",
        report.paragraph(
            "Meshes for z from the prior, from the camera of the pictures, then 90, 180 and 270 degrees on."
        ),
        report.gallery(rows, [str(number + 1) for number in range(_SHOWN)]),
    )
