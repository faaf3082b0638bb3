"""Many views from pictures of depth: how good novel views of held-out objects are, and how well cameras are found."""

import dataclasses
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor

from render3d import report
from render3d.cameras import Cameras
from render3d.datasets import FixedThenRandom, Split
from render3d.datasets.base import volumes_of
from render3d.models.base import Findings, Run
from render3d.models.parts.camera_search import CameraSearch
from render3d.models.parts.depth_pictures import DepthExample, DepthPictures, DepthPicturesOf
from render3d.models.parts.posed_views import PosedViews
from render3d.models.study import depth_scores
from render3d.models.study.depth_scores import DepthScores, degrees_between, turned
from render3d.models.training.evaluation import Estimate
from render3d.models.training.sources import BatchSource, dataset_of
from render3d.randomness import Key
from render3d.renderers import EmissionAbsorption
from render3d.scenes import Volume

_OBJECTS = 100
_TO_FIT = 60  # training objects for the turn of the frame and the density of the analytic projection
_NOVEL = 8
_SHOWN = 3
_OF_SAMPLES = 6
_SEED_OF_NOVEL_CAMERAS = 1  # that of the others is 0
_NAMES = {"model": "the model", "nearest": "nearest given view", "analytic": "its canvas, analytic projection"}


class DepthObjects(NamedTuple):
    """Objects of a split, and what the model makes of their given views alone: z from the prior."""

    given: Tensor  # [N, given, 1, H, W]
    views: Tensor  # [N, views, 1, H, W]
    cameras: Cameras  # [N, views], the true ones
    labels: Tensor  # [N]
    volumes: Volume  # [N], the true ones
    canvas: Tensor  # [N, C, D, H, W]


class Novel(NamedTuple):
    """Novel views, and what stands beside them, by the names of `_NAMES`."""

    truth: Tensor  # [N, 8, 1, H, W]
    cameras: Cameras  # [N, 8]
    pictures: dict[str, Tensor]


class DepthStudy(NamedTuple):
    """What was found of a run, with the pictures it was found on."""

    held_out: DepthObjects
    novel: Novel
    found: Cameras  # [N, views]: those of the random views, in the model's frame
    errors: Tensor  # [N, views], degrees
    figures: dict[str, Any]


def find(run: Run, viewpoints: FixedThenRandom) -> Findings:
    """Figures and pictures of a run that learnt from these cameras."""
    found = study(run, viewpoints)
    return Findings(found.figures, (_table(found.figures), *_pictures(run, found)))


@torch.no_grad()
def study(run: Run, viewpoints: FixedThenRandom) -> DepthStudy:
    """Draw held-out objects from novel cameras, and find the cameras of their random views."""
    projection, rig, given = cast(PosedViews, run.model.projection), viewpoints.rig, viewpoints.fixed
    learnt_from, held_out = _objects(run, given, "train", _TO_FIT), _objects(run, given, "test", _OBJECTS)
    turn = 0.0  # where cameras are known, so is the frame
    if projection.search is not None:
        turn = depth_scores.best_turn(
            lambda cameras: projection.draw(learnt_from.canvas, cameras), rig, learnt_from.given
        )
    factor = depth_scores.best_density(learnt_from.canvas, turned(rig, turn), learnt_from.given)
    novel = _novel(run, viewpoints, held_out, turn, factor)
    pixels = viewpoints.random.image_size[0]
    search = CameraSearch(places=viewpoints.random, pixels=pixels, halvings=3)  # finer than in training
    found = search.find(lambda cameras: projection.draw(held_out.canvas, cameras), held_out.views, None).cameras
    aligned = turned(found, -turn)
    figures = {
        "split": "test",
        "objects": len(held_out.given),
        "novel_views": _NOVEL,
        "turn_degrees": turn,
        "density_factor": factor,
        **_compared(novel),
        "cameras": _of_cameras(aligned, held_out, run.classes),
        "cameras_in_true_volumes": _of_cameras(_found_in_truth(search, held_out), held_out, run.classes),
        "rmse_of_random_views": {
            "from_cameras_found": _rmse(projection, held_out, found),
            "from_true_cameras": _rmse(projection, held_out, turned(held_out.cameras, turn)),
        },
    }
    errors = degrees_between(aligned.position, held_out.cameras.position)
    return DepthStudy(held_out, novel, found, errors, figures)


def _objects(run: Run, given: int, split: Split, count: int) -> DepthObjects:
    model, source = run.model, BatchSource(run.recipe, split)
    examples = [source.examples[index] for index in range(min(count, len(source)))]
    views = torch.stack([example.views for example in examples]).to(model.start.device)
    cameras = Cameras.stack([example.cameras for example in examples]).to(model.start.device)
    context = run.recipe.experiment.batch(examples).context
    assert context is not None
    latents = model.noise(len(examples), Key(run.recipe.training.seed).fold_in(_OF_SAMPLES)).to(views)
    canvas = model.writer(model.imagine(latents, context.to(views)))
    assert isinstance(canvas, Tensor)
    labels = torch.tensor([example.label for example in examples])
    dataset = dataset_of(run.recipe, split)
    occupancy = torch.cat([dataset[index].volume for index in range(len(examples))]).to(views)
    return DepthObjects(
        views[:, :given], views[:, given:], cameras[:, given:], labels, Volume.from_occupancy(occupancy), canvas
    )


def _novel(run: Run, viewpoints: FixedThenRandom, objects: DepthObjects, turn: float, factor: float) -> Novel:
    projection, dataset = cast(PosedViews, run.model.projection), volumes_of(dataset_of(run.recipe, "test"))
    anywhere = dataclasses.replace(viewpoints.random, views=_NOVEL)
    drawn = DepthPicturesOf(dataset, anywhere, seed=_SEED_OF_NOVEL_CAMERAS)
    examples: list[DepthExample] = [drawn[index] for index in range(len(objects.given))]
    truth = torch.stack([example.views for example in examples]).to(objects.given)
    cameras = Cameras.stack([example.cameras for example in examples]).to(truth.device)
    own = turned(cameras, turn)  # the same, in the model's frame
    pictures = {
        "model": projection.draw(objects.canvas, own),
        "nearest": depth_scores.nearest_given(objects.given, viewpoints.rig.to(truth.device), cameras),
        "analytic": depth_scores.analytic(objects.canvas, factor, own),
    }
    return Novel(truth, cameras, pictures)


def _compared(novel: Novel) -> dict[str, Any]:
    """Of each kind of picture: means over objects, with intervals; and what the model gains, paired by object."""
    scores = {
        name: depth_scores.score(pictures, novel.truth, novel.cameras) for name, pictures in novel.pictures.items()
    }
    found: dict[str, Any] = {
        name: {measure: _estimate(values) for measure, values in each._asdict().items()}
        for name, each in scores.items()
    }
    gains = {name: scores[name].rmse - scores["model"].rmse for name in scores if name != "model"}
    return found | {"rmse_gain_of_model_over": {name: _estimate(gain) for name, gain in gains.items()}}


def _estimate(values: Tensor) -> dict[str, Any]:
    return Estimate.of(values[~values.isnan()]).named("mean")


def _found_in_truth(search: CameraSearch, objects: DepthObjects) -> Cameras:
    """Where the same search finds cameras that looks at the truth: what symmetry hides, no model can find."""
    pictures = DepthPictures(EmissionAbsorption())
    return search.find(lambda cameras: pictures(objects.volumes, cameras), objects.views, None).cameras


def _rmse(projection: PosedViews, objects: DepthObjects, cameras: Cameras) -> float:
    """Of the random views, drawn from these cameras, over all pixels."""
    return float((projection.draw(objects.canvas, cameras) - objects.views).square().mean().sqrt())


def _of_cameras(found: Cameras, objects: DepthObjects, classes: tuple[str, ...]) -> dict[str, Any]:
    """Errors in degrees: of the place on the sphere, whose mean is 90 for guesses, and of its elevation alone."""
    truth = objects.cameras
    errors = {
        "degrees": degrees_between(found.position, truth.position),
        "degrees_of_elevation": (_elevation(found) - _elevation(truth)).abs(),
    }
    return {
        name: {
            **_estimate(values.mean(1)),
            "median": float(values.median()),
            "median_by_class": {
                label: float(values[objects.labels == number].median())
                for number, label in enumerate(classes)
                if (objects.labels == number).any()
            },
        }
        for name, values in errors.items()
    }


def _elevation(cameras: Cameras) -> Tensor:
    """``[N, views]``, degrees."""
    return torch.rad2deg(torch.asin(torch.nn.functional.normalize(cameras.position, dim=-1)[..., 1]))


def _table(figures: dict[str, Any]) -> report.Html:
    rows = [[name, *(_cell(figures[key][measure]) for measure in DepthScores._fields)] for key, name in _NAMES.items()]
    gains = ", ".join(f"{_cell(gain)} over {_NAMES[name]}" for name, gain in figures["rmse_gain_of_model_over"].items())
    note = (
        f"{figures['novel_views']} novel views of each of {figures['objects']} held-out objects, from the given views "
        "alone; means over objects with 95% intervals. The RMSE is of brightness, over all pixels; that of depth is "
        f"where both cover, in scene units. Paired by object, the model gains {gains} in RMSE. Its frame is turned by "
        f"{figures['turn_degrees']:.0f} degrees, found on the given views of training objects."
    )
    heads = ("novel views", "RMSE", "RMSE of depth", "IoU of silhouettes")
    return report.section(
        "Novel views of held-out objects",
        report.paragraph(note),
        report.table(heads, rows),
        report.paragraph(_about_cameras(figures)),
    )


def _about_cameras(figures: dict[str, Any]) -> str:
    found, in_truth = figures["cameras"], figures["cameras_in_true_volumes"]
    fits = figures["rmse_of_random_views"]
    return (
        f"Cameras found for the random views are off by {found['degrees']['median']:.1f} degrees in the median, and in "
        f"elevation by {found['degrees_of_elevation']['median']:.1f}. The same search in the true volumes is off by "
        f"{in_truth['degrees']['median']:.1f} and {in_truth['degrees_of_elevation']['median']:.1f}: what is symmetric "
        "looks the same from several sides. The RMSE of the random views is "
        f"{fits['from_cameras_found']:.3f} from the cameras found, {fits['from_true_cameras']:.3f} from the true ones."
    )


def _cell(estimate: dict[str, Any]) -> str:
    low, high = estimate["interval_95"]
    return f"{estimate['mean']:.3f} ({low:.3f} to {high:.3f})"


def _pictures(run: Run, found: DepthStudy) -> list[report.Html]:
    """A section for each of a few objects: what is given, the random views, and the novel ones."""
    projection, objects, novel = cast(PosedViews, run.model.projection), found.held_out, found.novel
    again = projection.draw(objects.canvas[:_SHOWN], found.found[:_SHOWN]).detach()
    return [
        report.section(
            f"Held-out object {number + 1}: {run.classes[int(objects.labels[number])]}",
            report.gallery({"given view": objects.given[number]}, _numbers("given", objects.given.shape[1])),
            report.gallery(
                {"random view": objects.views[number], "drawn from the camera that was found": again[number]},
                [f"{error:.0f} degrees off" for error in found.errors[number].tolist()],
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
