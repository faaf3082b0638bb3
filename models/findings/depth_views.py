"""Many views from pictures of depth: how good novel views of held-out objects are, and how well cameras are found."""

import dataclasses
from typing import Any, NamedTuple

import torch
from torch import Tensor

from render3d import report
from render3d.cameras import Cameras
from render3d.datasets import Split, VolumeDataset
from render3d.datasets.from_settings import dataset_from
from render3d.models.evaluation import Estimate
from render3d.models.experiments.depth_views import DepthExample, DepthPicturesOf, DepthViews
from render3d.models.findings.base import Findings
from render3d.models.findings.depth_scores import (
    Scores,
    analytic,
    best_density,
    best_turn,
    degrees_between,
    nearest_given,
    score,
    turned,
)
from render3d.models.posed_views import PosedViews
from render3d.models.run import Run
from render3d.models.sources import Source
from render3d.randomness import Key

_OBJECTS = 100
_TO_FIT = 24  # training objects for the turn of the frame and the density of the analytic projection
_NOVEL = 8
_SHOWN = 3
_OF_SAMPLES = 6
_SEED_OF_NOVEL_CAMERAS = 1  # that of the others is 0
_NAMES = {"model": "the model", "nearest": "nearest given view", "analytic": "its canvas, analytic projection"}


class _Objects(NamedTuple):
    """Objects of a split, and what the model makes of their given views alone: z from the prior."""

    given: Tensor  # [N, given, 1, H, W]
    views: Tensor  # [N, views, 1, H, W]
    cameras: Cameras  # [N, views], the true ones
    labels: Tensor  # [N]
    canvas: Tensor  # [N, C, D, H, W]


class _Novel(NamedTuple):
    """Novel views, and what stands beside them, by the names of `_NAMES`."""

    truth: Tensor  # [N, 8, 1, H, W]
    cameras: Cameras  # [N, 8]
    pictures: dict[str, Tensor]


@torch.no_grad()
def find(run: Run) -> Findings:
    """Figures and pictures."""
    experiment, projection = run.recipe.experiment, run.model.projection
    assert isinstance(experiment, DepthViews) and isinstance(projection, PosedViews)
    rig = experiment.viewpoints.rig
    learnt_from, held_out = _objects(run, "train", _TO_FIT), _objects(run, "test", _OBJECTS)
    turn = best_turn(lambda cameras: projection.draw(learnt_from.canvas, cameras), rig, learnt_from.given)
    factor = best_density(learnt_from.canvas, turned(rig, turn), learnt_from.given)
    novel = _novel(run, held_out, turn, factor)
    found = projection.find(held_out.canvas, held_out.views, None).cameras
    errors = degrees_between(turned(found, -turn).position, held_out.cameras.position)
    figures = {
        "split": "test",
        "objects": len(held_out.given),
        "novel_views": _NOVEL,
        "turn_degrees": turn,
        "density_factor": factor,
        **_compared(novel),
        "camera_error_degrees": _of_cameras(errors, held_out.labels, run.classes),
    }
    return Findings(figures, (_table(figures), *_pictures(run, held_out, novel, found, errors)))


def _objects(run: Run, split: Split, count: int) -> _Objects:
    experiment, model = run.recipe.experiment, run.model
    assert isinstance(experiment, DepthViews)
    source = Source(run.recipe, split)
    examples = [source.examples[index] for index in range(min(count, len(source)))]
    views = torch.stack([example.views for example in examples]).to(model.start.device)
    cameras = Cameras.stack([example.cameras for example in examples]).to(model.start.device)
    context = experiment.batch(examples).context
    assert context is not None
    latents = model.noise(len(examples), Key(run.recipe.training.seed).fold_in(_OF_SAMPLES)).to(views)
    canvas = model.writer(model.imagine(latents, context.to(views)))
    assert isinstance(canvas, Tensor)
    labels = torch.tensor([example.label for example in examples])
    given = experiment.given
    return _Objects(views[:, :given], views[:, given:], cameras[:, given:], labels, canvas)


def _novel(run: Run, objects: _Objects, turn: float, factor: float) -> _Novel:
    recipe, projection = run.recipe, run.model.projection
    assert isinstance(recipe.experiment, DepthViews) and isinstance(projection, PosedViews)
    dataset = dataset_from(recipe.data, "test", recipe.path, seed=recipe.training.seed)
    assert isinstance(dataset, VolumeDataset)
    viewpoints = recipe.experiment.viewpoints
    anywhere = dataclasses.replace(viewpoints.random, views=_NOVEL)
    drawn = DepthPicturesOf(dataset, anywhere, seed=_SEED_OF_NOVEL_CAMERAS)
    examples: list[DepthExample] = [drawn[index] for index in range(len(objects.given))]
    truth = torch.stack([example.views for example in examples]).to(objects.given)
    cameras = Cameras.stack([example.cameras for example in examples]).to(truth.device)
    own = turned(cameras, turn)  # the same, in the model's frame
    pictures = {
        "model": projection.draw(objects.canvas, own),
        "nearest": nearest_given(objects.given, viewpoints.rig.to(truth.device), cameras),
        "analytic": analytic(objects.canvas, factor, own),
    }
    return _Novel(truth, cameras, pictures)


def _compared(novel: _Novel) -> dict[str, Any]:
    """Of each kind of picture: means over objects, with intervals; and what the model gains, paired by object."""
    scores = {name: score(pictures, novel.truth, novel.cameras) for name, pictures in novel.pictures.items()}
    found: dict[str, Any] = {
        name: {measure: _estimate(values) for measure, values in each._asdict().items()}
        for name, each in scores.items()
    }
    gains = {name: scores[name].rmse - scores["model"].rmse for name in scores if name != "model"}
    return found | {"rmse_gain_of_model_over": {name: _estimate(gain) for name, gain in gains.items()}}


def _estimate(values: Tensor) -> dict[str, Any]:
    return Estimate.of(values[~values.isnan()]).named("mean")


def _of_cameras(errors: Tensor, labels: Tensor, classes: tuple[str, ...]) -> dict[str, Any]:
    """Of errors ``[N, views]`` in degrees; without any knowledge the mean would be 90."""
    by_class = {
        name: float(errors[labels == number].median())
        for number, name in enumerate(classes)
        if (labels == number).any()
    }
    return {
        **_estimate(errors.mean(1)),
        "median": float(errors.median()),
        "share_within_15": float((errors < 15).float().mean()),
        "median_by_class": by_class,
    }


def _table(figures: dict[str, Any]) -> report.Html:
    rows = [[name, *(_cell(figures[key][measure]) for measure in Scores._fields)] for key, name in _NAMES.items()]
    gains = ", ".join(f"{_cell(gain)} over {_NAMES[name]}" for name, gain in figures["rmse_gain_of_model_over"].items())
    cameras = figures["camera_error_degrees"]
    note = (
        f"{figures['novel_views']} novel views of each of {figures['objects']} held-out objects, from the given views "
        "alone; means over objects with 95% intervals. The RMSE is of brightness, over all pixels; that of depth is "
        f"where both cover, in scene units. Paired by object, the model gains {gains} in RMSE. Its frame is turned by "
        f"{figures['turn_degrees']:.0f} degrees, found on the given views of training objects. Cameras found for the "
        f"random views are off by {cameras['median']:.1f} degrees in the median, {cameras['mean']:.1f} in the mean; "
        f"{cameras['share_within_15']:.0%} are within 15."
    )
    heads = ("novel views", "RMSE", "RMSE of depth", "IoU of silhouettes")
    return report.section("Novel views of held-out objects", report.paragraph(note), report.table(heads, rows))


def _cell(estimate: dict[str, Any]) -> str:
    low, high = estimate["interval_95"]
    return f"{estimate['mean']:.3f} ({low:.3f} to {high:.3f})"


def _pictures(run: Run, objects: _Objects, novel: _Novel, found: Cameras, errors: Tensor) -> list[report.Html]:
    projection = run.model.projection
    assert isinstance(projection, PosedViews)
    again = projection.draw(objects.canvas[:_SHOWN], found[:_SHOWN])
    return [
        report.section(
            f"Held-out object {number + 1}: {run.classes[int(objects.labels[number])]}",
            report.columns(
                report.gallery({"given view": objects.given[number]}, _numbers("given", objects.given.shape[1])),
                report.gallery(
                    {"random view": objects.views[number], "drawn from the camera that was found": again[number]},
                    [f"{error:.0f} degrees off" for error in errors[number].tolist()],
                ),
            ),
            report.paragraph("Novel views. From above: the truth, " + ", ".join(_NAMES.values()) + "."),
            report.gallery(
                {"truth": novel.truth[number]} | {_NAMES[name]: each[number] for name, each in novel.pictures.items()},
                _numbers("novel", _NOVEL),
            ),
        )
        for number in range(min(_SHOWN, len(objects.given)))
    ]


def _numbers(name: str, count: int) -> list[str]:
    return [f"{name} {number + 1}" for number in range(count)]
