"""Many views from pictures of depth: cameras known and searched for, scores, baselines, and what is refused."""

import dataclasses
import json
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import Tensor

import render3d as r3
from render3d.datasets import FixedThenRandom, Primitives, PrimitivesSettings, RandomCameras, Split, VolumeDataset
from render3d.errors import DatasetError, ModelError
from render3d.models.base import TrainSettings
from render3d.models.experiments import DepthViews
from render3d.models.parts.batch import Batch
from render3d.models.parts.camera_search import CameraSearch
from render3d.models.parts.depth_pictures import DepthPictures, depth_of
from render3d.models.parts.likelihoods import GaussianLikelihood
from render3d.models.parts.posed_views import PosedViews
from render3d.models.parts.sequential import SequentialModel
from render3d.models.recipes.depth import multiview
from render3d.models.study.depth_scores import (
    analytic,
    best_density,
    best_turn,
    degrees_between,
    nearest_given,
    score,
    turned,
)
from render3d.models.training.folder import train_to_folder
from render3d.models.training.loop import train
from render3d.models.training.sources import BatchSource, model_of
from render3d.randomness import Key
from render3d.renderers import EmissionAbsorption, MaxProjection
from render3d.renderers.base import EmptyViewWarning

DATA = PrimitivesSettings(solid_size=22, translation=0, train=8, validation=4, test=6)
SMALL = DepthViews(steps=2, views=3, image=12, canvas=8, patch=6, hidden=16, state=16, glimpse=4, features=2, planes=4)
PLACES = RandomCameras(views=4, image_size=(24, 24), vertical_fov_degrees=34)


def small(**changes: object) -> DepthViews:
    return dataclasses.replace(SMALL, **changes)  # type: ignore[arg-type]


def batch_of(experiment: DepthViews, count: int = 4) -> Batch:
    examples = experiment.examples(Primitives("train", DATA))
    return experiment.batch([examples[index] for index in range(count)])


def model_for(experiment: DepthViews) -> SequentialModel:
    torch.manual_seed(0)
    return experiment.build(DATA, classes=6)


def solid_canvas() -> Tensor:
    """``[1, 1, 12, 12, 12]``: logits of an L of three boxes, which looks the same from no two sides."""
    canvas = torch.full((1, 1, 12, 12, 12), -9.0)
    canvas[..., 3:9, 3:9, 3:6] = 9
    canvas[..., 3:5, 3:5, 6:10] = 9
    canvas[..., 7:9, 7:11, 3:5] = 9
    return canvas


def looking_at(canvas: Tensor) -> Callable[[r3.Cameras], Tensor]:
    """Pictures of it, from any cameras."""
    volume, pictures = r3.Volume.from_logits(canvas[:, 0]), DepthPictures(EmissionAbsorption())
    return lambda cameras: pictures(volume, cameras)


# What is seen


def test_examples_are_the_given_views_and_then_the_random_ones_the_same_each_time() -> None:
    experiment = small()
    first, again = (experiment.examples(Primitives("train", DATA)) for _ in range(2))
    again.set_epoch(3)
    assert first[1].views.shape == (6, 1, 12, 12) and first[1].cameras.leading_shape == (6,)
    assert torch.equal(first[1].views, again[1].views) and not torch.equal(first[1].views, first[2].views)
    rig = experiment.viewpoints.rig
    assert torch.equal(first[1].cameras[:3].world_to_camera, first[2].cameras[:3].world_to_camera)
    assert torch.equal(first[1].cameras[:3].world_to_camera, rig.world_to_camera)
    assert not torch.equal(first[1].cameras[3:].world_to_camera, first[2].cameras[3:].world_to_camera)


def test_a_batch_holds_given_and_random_views_and_only_the_cameras_that_are_known() -> None:
    inferred, known = batch_of(small(anchored=2)), batch_of(small(cameras="known"))
    examples = small().examples(Primitives("train", DATA))
    for batch, cameras in ((inferred, 2), (known, 3)):
        assert batch.x.shape == (4, 3, 1, 12, 12) and torch.equal(batch.x[2], examples[2].views[3:])
        assert batch.context is not None and torch.equal(batch.context[2, 0], examples[2].views[:3, 0])
        assert batch.cameras is not None and batch.cameras.leading_shape == (4, cameras)
        wanted = examples[2].cameras[3 : 3 + cameras].world_to_camera
        assert torch.equal(batch.cameras.world_to_camera[2], wanted)


def test_brightness_tells_depth_and_the_farthest_point_from_the_background() -> None:
    cameras = r3.Cameras.look_at((0.0, 0.0, 4.0), vertical_fov_degrees=20, image_size=(9, 9))
    slab = torch.zeros(1, 32, 32, 32)
    slab[:, 24:] = 1  # its face at z = 1, towards the camera
    volume = r3.Volume.from_occupancy(slab)
    picture = DepthPictures(EmissionAbsorption(samples_per_voxel=8))(volume, cameras)
    wanted = 1 - (3 - (4 - math.sqrt(3))) / (4 * math.sqrt(3))
    assert float(picture[..., 4, 4]) == pytest.approx(wanted, abs=0.005)
    assert float(depth_of(picture, 1.0, cameras)[..., 4, 4]) == pytest.approx(3, abs=0.05)
    empty = r3.Volume.from_occupancy(torch.zeros(1, 8, 8, 8))
    with pytest.warns(EmptyViewWarning):
        assert float(DepthPictures(EmissionAbsorption())(empty, cameras).abs().max()) == 0


# Cameras


def test_cameras_are_found_that_look_from_where_the_pictures_were_taken() -> None:
    canvas, places = solid_canvas(), dataclasses.replace(PLACES, views=24)
    truth = places(np.random.default_rng(1))
    views = DepthPictures(EmissionAbsorption())(r3.Volume.from_logits(canvas[:, 0]), truth)
    search = CameraSearch(places=places, rows=8, columns=16, halvings=3)
    found = search.find(looking_at(canvas), views, None).cameras
    errors = degrees_between(found.position[0], truth.position)
    assert float(errors.median()) < 5 and float((errors < 15).float().mean()) > 0.8


def test_the_law_of_a_search_has_the_density_that_it_claims() -> None:
    """The mean of p/q over draws of q is 1, whatever the picture; and its log is at most 0 on average."""
    density = r3.Volume.from_logits(solid_canvas()[:, 0])
    views = DepthPictures(EmissionAbsorption())(density, PLACES(np.random.default_rng(0))[:1])
    search = CameraSearch(places=PLACES, rows=2, columns=4, halvings=1, spread=2.0)
    draws = 4000
    log_ratio = (
        search.find(looking_at(solid_canvas()), views.expand(1, draws, -1, -1, -1), Key(0)).log_ratio[0].double()
    )
    weights = log_ratio.exp()
    assert abs(float(weights.mean()) - 1) < 4 * float(weights.std()) / math.sqrt(draws)
    assert float(log_ratio.mean()) < -4 * float(log_ratio.std()) / math.sqrt(draws)


def test_without_anything_to_see_cameras_are_uniform_over_the_zone() -> None:
    places = dataclasses.replace(PLACES, elevation_degrees=(-30, 60))
    blank = torch.zeros(1, 1, 1, 12, 12)
    found = CameraSearch(places=places).find(
        lambda cameras: blank.expand(1, cameras.views, -1, -1, -1), torch.zeros(1, 3000, 1, 24, 24), Key(0)
    )
    assert float(found.log_ratio.abs().max()) < 1e-4
    height = found.cameras.position[0, :, 1] / places.distance
    share = (height - math.sin(math.radians(-30))) / (math.sin(math.radians(60)) - math.sin(math.radians(-30)))
    assert float(share.min()) >= 0 and float(share.max()) <= 1
    # Kolmogorov and Smirnov: beyond 1.95 / sqrt(n) once in a thousand.
    steps = torch.arange(1, 3001) / 3000
    assert float((share.sort().values - steps).abs().max()) < 1.95 / math.sqrt(3000)


def test_splitting_a_batch_changes_no_camera() -> None:
    canvas = torch.cat([solid_canvas(), solid_canvas().flip(-1)])
    density = r3.Volume.from_logits(canvas[:, 0])
    views = DepthPictures(EmissionAbsorption())(density, PLACES(np.random.default_rng(0)))
    search = CameraSearch(places=PLACES)
    whole = search.find(looking_at(canvas), views, Key(3))
    second = search.find(looking_at(canvas[1:]), views[1:], Key(3, 1))
    torch.testing.assert_close(whole.cameras.world_to_camera[1:], second.cameras.world_to_camera)


# The bound


def projection_of(outliers: float = 1e-12) -> PosedViews:
    return PosedViews(DepthPictures(EmissionAbsorption()), CameraSearch(places=PLACES), outliers=outliers)


def test_known_cameras_give_exactly_the_likelihood_of_direct_rendering() -> None:
    canvas, likelihood, projection = solid_canvas(), GaussianLikelihood(0.1), projection_of()
    cameras = r3.Cameras.stack([PLACES(np.random.default_rng(0))])
    x = torch.rand(1, 4, 1, 24, 24)
    direct = likelihood.log_prob(x, DepthPictures(EmissionAbsorption())(r3.Volume.from_logits(canvas[:, 0]), cameras))
    assert torch.equal(projection(canvas, torch.zeros(1, 1), cameras, Key(0)), projection.draw(canvas, cameras))
    found = projection.log_prob(likelihood, x, canvas, torch.zeros(1, 1), cameras, Key(0))
    torch.testing.assert_close(found, direct)


def test_inferred_cameras_bound_the_marginal_from_below() -> None:
    """Against the mean over cameras of the prior, for a picture that does not tell much."""
    likelihood, copies = GaussianLikelihood(0.4), 200
    places = dataclasses.replace(PLACES, views=1500, image_size=(8, 8))
    search = CameraSearch(places=places, pixels=8, spread=0.4)
    projection = PosedViews(DepthPictures(EmissionAbsorption()), search, outliers=1e-12)
    canvas = solid_canvas()
    taken_from = places(np.random.default_rng(5))[:2]
    x = projection.draw(canvas, taken_from)
    prior = projection.draw(canvas, places(np.random.default_rng(6)))[0]
    anchored = float(likelihood.log_prob(x[:, :1], x[:, :1]))
    terms = likelihood.log_prob(x[0, 1:].expand_as(prior), prior).double()
    marginal = anchored + float(torch.logsumexp(terms, 0)) - math.log(len(terms))
    many, same = x.expand(copies, -1, -1, -1, -1), canvas.expand(copies, -1, -1, -1, -1)
    known = r3.Cameras.stack([taken_from[:1]] * copies)
    draws = projection.log_prob(likelihood, many, same, torch.zeros(copies, 1), known, Key(0)).double()
    assert float(draws.mean()) < marginal - 4 * float(draws.std()) / math.sqrt(copies)
    weights = (draws - marginal).exp()
    assert abs(float(weights.mean()) - 1) < 5 * float(weights.std()) / math.sqrt(copies)


def test_a_view_of_something_else_costs_no_more_than_any_picture_would() -> None:
    canvas, x = solid_canvas(), torch.ones(1, 1, 1, 24, 24)
    anything = float(GaussianLikelihood(0.5).log_prob(x, torch.zeros_like(x)))
    for outliers in (0.05, 1e-12):
        found = projection_of(outliers).log_prob(GaussianLikelihood(0.01), x, canvas, torch.zeros(1, 1), None, Key(0))
        assert float(found) == pytest.approx(anything + math.log(outliers), rel=1e-5)


@pytest.mark.parametrize(("known", "drawn", "ways"), [(4, 1, 4), (1, 2, 3)])
def test_some_views_stand_for_all_without_a_change_of_the_mean(known: int, drawn: int, ways: int) -> None:
    canvas, likelihood = solid_canvas(), GaussianLikelihood(0.2)
    search = CameraSearch(places=PLACES, spread=1e-3)  # so sure that the draw of the search hardly matters
    whole = PosedViews(DepthPictures(EmissionAbsorption()), search, outliers=1e-12)
    part = PosedViews(whole.pictures, search, outliers=1e-12, drawn=drawn)
    cameras = r3.Cameras.stack([PLACES(np.random.default_rng(0))])
    x, state = torch.rand(1, 4, 1, 24, 24), torch.zeros(1, 1)
    x[:, known:] = 1  # any picture: what it costs does not depend on a camera
    given = (likelihood, x, canvas, state, cameras[:, :known])
    wanted = float(whole.log_prob(*given, Key(0)))
    draws = {round(float(part.train().log_prob(*given, Key(seed))), 1) for seed in range(40)}
    assert len(draws) == (ways if known == 4 else 1)
    assert sum(draws) / len(draws) == pytest.approx(wanted, rel=1e-4)
    assert float(part.eval().log_prob(*given, Key(0))) == pytest.approx(wanted, rel=1e-5)


# The model


@pytest.mark.parametrize("cameras", ["inferred", "known"])
@pytest.mark.parametrize("projection", ["learned", "emission_absorption"])
def test_every_kind_of_model_learns_through_all_of_its_parts(cameras: str, projection: str) -> None:
    experiment = small(cameras=cameras, projection=projection)
    batch, model = batch_of(experiment), model_for(experiment)
    terms = model(batch, Key(0))
    assert terms.reconstruction.shape == (4,) and terms.kl.shape == (4, 2)
    terms.total.mean().backward()
    still = {name for name, value in model.named_parameters() if value.grad is None or not value.grad.any()}
    assert not still


@torch.no_grad()
def loss_of(model: SequentialModel, source: BatchSource) -> float:
    return float(model(source.batch(range(8)), Key(0)).total.mean())


def test_a_short_training_is_better_than_the_start_and_the_same_each_time(tmp_path: Path) -> None:
    settings = TrainSettings(updates=20, batch_size=4, learning_rate=(1e-2, 1e-3), validation_examples=4)
    recipe = dataclasses.replace(multiview(experiment=small(), training=settings), data=DATA)
    runs = [train(recipe, tmp_path / name, device="cpu") for name in ("first", "second")]
    source = BatchSource(recipe, "train")
    assert loss_of(runs[0].model, source) < 0.9 * loss_of(model_of(recipe, source.classes).eval(), source)
    assert runs[0].records[-1].free_energy == runs[1].records[-1].free_energy


# Scores


def test_a_frame_that_is_turned_is_aligned_and_scores_the_same() -> None:
    canvas = solid_canvas()
    quarter = torch.rot90(canvas, 1, (-3, -1))  # about the vertical axis; (z, y, x)
    viewpoints = FixedThenRandom(random=PLACES)
    projection = projection_of()
    given = projection.draw(canvas, viewpoints.rig)
    angle = best_turn(lambda cameras: projection.draw(quarter, cameras), viewpoints.rig, given)
    assert abs(angle) == 90
    assert best_turn(lambda cameras: projection.draw(canvas, cameras), viewpoints.rig, given) == 0
    cameras = PLACES(np.random.default_rng(0))
    truth = projection.draw(canvas, cameras)
    moved = projection.draw(quarter, turned(cameras, angle))
    assert float(score(moved, truth, cameras).rmse) < 1e-3
    assert float(score(projection.draw(quarter, cameras), truth, cameras).rmse) > 0.1


def test_scores_of_a_hand_made_case() -> None:
    cameras = r3.Cameras.stack([PLACES(np.random.default_rng(0))[:1]])
    truth = torch.zeros(1, 1, 1, 24, 24)
    truth[..., :12, :] = 0.8
    found = torch.zeros_like(truth)
    found[..., 6:18, :] = 0.7
    scores = score(found, truth, cameras)
    assert float(scores.iou) == pytest.approx(1 / 3)
    # Where both cover, and all round: rows 7 to 10, all of which differ by a tenth.
    assert float(scores.depth_rmse) == pytest.approx(0.1 * 2 * 2 * math.sqrt(3), rel=1e-4)
    assert float(scores.rmse) == pytest.approx(math.sqrt((0.64 + 0.01 + 0.49) / 4), rel=1e-5)


def test_the_nearest_given_view_is_that_of_the_smallest_angle() -> None:
    rig = FixedThenRandom(random=PLACES).rig  # azimuths 0, 120 and 240 degrees
    azimuth = torch.deg2rad(torch.tensor([[10.0, 110.0, 250.0, 355.0, 179.0]]))
    cameras = PLACES.at(torch.zeros_like(azimuth), azimuth)
    given = torch.arange(3.0)[None, :, None, None, None].expand(1, 3, 1, 2, 2)
    assert nearest_given(given, rig, cameras)[0, :, 0, 0, 0].tolist() == [0, 1, 2, 0, 1]


def test_the_density_of_the_analytic_projection_is_fitted() -> None:
    canvas, rig = solid_canvas() - 8.5, FixedThenRandom(random=PLACES).rig
    given = analytic(canvas, 10.0, rig)
    assert best_density(canvas, rig, given) == pytest.approx(10)
    assert best_density(canvas, rig, analytic(canvas, 1.0, rig)) == pytest.approx(1)


def test_findings_hold_every_comparison_and_pictures(tmp_path: Path) -> None:
    settings = TrainSettings(updates=1, batch_size=4, validation_examples=4)
    made = multiview(experiment=small(vertical_fov_degrees=34.0, image=24), training=settings)
    recipe = dataclasses.replace(made, data=DATA)
    train_to_folder(recipe, tmp_path, device="cpu", evaluation_samples=1)
    found = json.loads((tmp_path / "metrics.json").read_text())["findings"]
    assert found["objects"] == 6 and found["novel_views"] == 8
    for name in ("model", "nearest", "analytic"):
        assert set(found[name]) == {"rmse", "depth_rmse", "iou"}
    gain = found["rmse_gain_of_model_over"]["nearest"]["mean"]
    assert gain == pytest.approx(found["nearest"]["rmse"]["mean"] - found["model"]["rmse"]["mean"], abs=1e-6)
    # What the nearest view is does not depend on the model: it is another picture of the same solid.
    assert 0.6 < found["nearest"]["iou"]["mean"] < 1
    assert found["cameras"]["degrees"]["mean"] > found["cameras"]["degrees_of_elevation"]["mean"] > 0
    in_truth, in_model = found["cameras_in_true_volumes"], found["cameras"]  # of a model that has learnt nothing yet
    assert in_truth["degrees_of_elevation"]["mean"] < 0.7 * in_model["degrees_of_elevation"]["mean"]
    assert set(found["cameras"]["degrees"]["median_by_class"]) == set(Primitives.classes)
    page = (tmp_path / "report.html").read_text()
    assert page.count("Held-out object") == 3 and page.count("novel 8") == 15


# What is refused


class OneVoxelOrNone(VolumeDataset[PrimitivesSettings]):
    """Example 1 is empty."""

    classes = ("one",)

    def __init__(self, split: Split) -> None:
        super().__init__(split, PrimitivesSettings(size=6, train=2))

    def make(self, index: int, generator: np.random.Generator) -> tuple[npt.NDArray[np.bool_], int]:
        voxels = np.zeros((6, 6, 6), dtype=np.bool_)
        voxels[2:4, 2:4, 2:4] = index == 0
        return voxels, 0


def test_an_example_that_a_given_view_shows_nothing_of_is_refused_by_its_number() -> None:
    examples = SMALL.examples(OneVoxelOrNone("train"))
    assert examples[0].views[:3].amax() > 0.5
    with pytest.warns(EmptyViewWarning), pytest.raises(DatasetError, match="Given view 1 of example 1 shows nothing"):
        examples[1]


def test_other_numbers_of_views_and_missing_cameras_are_errors() -> None:
    experiment = small(cameras="known")
    model, batch = model_for(experiment), batch_of(experiment)
    with pytest.raises(ModelError, match="What is read must have shape"):
        model(batch._replace(x=batch.x[:, :-1]), Key(0))
    with pytest.raises(ModelError, match="Views cannot be drawn without cameras"):
        model.decode(torch.zeros(4, 2, 16), batch._replace(cameras=None), Key(0))
    assert batch.cameras is not None
    with pytest.raises(ModelError, match=r"3 views, and cameras of 2"):
        model(batch._replace(cameras=batch.cameras[:, :-1]), Key(0))
    mesh = r3.Mesh.icosphere(0)
    with pytest.raises(ModelError, match="got a mesh"):
        model.projection(mesh, torch.zeros(1, 16), batch.cameras, Key(0))


def test_settings_that_cannot_be_are_named() -> None:
    with pytest.raises(ModelError, match="views must be at least 1"):
        small(views=0)
    with pytest.raises(ModelError, match="anchored views are some of 3; got 4"):
        small(anchored=4)
    with pytest.raises(ModelError, match="cameras must be"):
        small(cameras="guessed")
    with pytest.raises(ModelError, match="projection must be"):
        small(projection="soft")
    with pytest.raises(ModelError, match="Pictures of depth need alpha and depth; MaxProjection has alpha"):
        DepthPictures(MaxProjection())
    with pytest.raises(ModelError, match="spread positive"):
        CameraSearch(places=PLACES, spread=0)
    with pytest.raises(ModelError, match="outliers must lie between 0 and 1"):
        projection_of(1.0)
    with pytest.raises(DatasetError, match="fixed_elevation_degrees"):
        FixedThenRandom(fixed_elevation_degrees=91)
