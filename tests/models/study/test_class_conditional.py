"""Samples of classes: a classifier that learns from real volumes, shares with intervals, and copies found out."""

import dataclasses
import functools
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from render3d.datasets import CollectionVolumesSettings, PrimitivesSettings, VolumeExample
from render3d.datasets.collections import open_collection
from render3d.datasets.volumes.collection_volumes import cache_folder
from render3d.datasets.volumes.voxel_cache import VoxelCache
from render3d.errors import DatasetError, TrainingError
from render3d.models.base import Recipe, Run, TrainSettings
from render3d.models.experiments import Volumes
from render3d.models.study import class_conditional
from render3d.models.study.classifier import logits_of, train_classifier
from render3d.models.study.likeness import nearest_training
from render3d.models.study.recognition import Recognition, Share
from render3d.models.training.loop import train
from render3d.models.training.run import load_run
from render3d.models.training.sources import BatchSource, labelled, model_of
from render3d.randomness import Key
from render3d.scenes import Mesh

SIZE = 8
DATA = PrimitivesSettings(size=SIZE, solid_size=4, translation=4, train=24, validation=12, test=12)
MODEL = Volumes(steps=2, latents=3, state=12, hidden=10, features=3, glimpse=2, patch=4, context="class")
RECIPE = Recipe(data=DATA, experiment=MODEL, training=TrainSettings(updates=2, batch_size=6, validation_examples=6))


class Bars:
    """Bars that stand, bars that lie, and plates, anywhere in the grid, anew in each epoch; of each a given number."""

    classes = ("standing", "lying", "plate")
    recipe = RECIPE

    def __init__(self, counts: tuple[int, int, int], seed: int) -> None:
        self.labels = [label for label, count in enumerate(counts) for _ in range(count)]
        self.seed, self.epoch = seed, 0
        self.examples = self

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> VolumeExample:
        generator = np.random.default_rng([self.seed, self.epoch, index])
        sides = [(1, 5, 1), (5, 1, 1), (5, 1, 5)][self.labels[index]][:: generator.choice([-1, 1])]  # z, y, x or turned
        start = [generator.integers(0, SIZE - side, endpoint=True) for side in sides]
        volume = torch.zeros(1, SIZE, SIZE, SIZE)
        volume[(0, *(slice(low, low + side) for low, side in zip(start, sides, strict=True)))] = 1
        return VolumeExample(volume, self.labels[index])

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch


def bars(counts: tuple[int, int, int], seed: int) -> BatchSource:
    return Bars(counts, seed)  # type: ignore[return-value]


def test_the_interval_is_that_of_wilson() -> None:
    share, z = Share(7, 20), 1.959964
    middle, spread = (7 + z**2 / 2) / (20 + z**2), z / (20 + z**2) * math.sqrt(7 * 13 / 20 + z**2 / 4)
    assert share.interval == pytest.approx((middle - spread, middle + spread), abs=1e-6)
    assert str(share) == f"0.350 ({middle - spread:.3f} to {middle + spread:.3f}) of 20"
    assert Share(0, 0).interval == (0.0, 1.0) and math.isnan(Share(0, 0).value)
    assert Share(0, 0).figures()["share"] is None


def test_who_is_taken_for_whom_is_counted() -> None:
    truth, found = torch.tensor([0, 0, 0, 1, 1, 3]), torch.tensor([0, 2, 0, 1, 0, 3])
    recognition = Recognition.of(truth, found, ("a", "b", "c", "d"))
    assert recognition.confusion.tolist() == [[2, 0, 1, 0], [1, 1, 0, 0], [0, 0, 0, 0], [0, 0, 0, 1]]
    assert recognition.accuracy == (4, 6) and recognition.majority == (3, 6)
    assert recognition.by_class == {"a": (2, 3), "b": (1, 2), "c": (0, 0), "d": (1, 1)}
    assert recognition.mean_of_classes == pytest.approx((2 / 3 + 1 / 2 + 1) / 3)


def test_a_classifier_learns_what_can_be_told_whichever_way_it_is_turned() -> None:
    volumes, labels = labelled(bars((20, 20, 20), 2))
    network = train_classifier(bars((60, 12, 30), 0), bars((9, 9, 9), 1), updates=100)
    found = logits_of(network, volumes)
    assert int((found.argmax(1) == labels).sum()) >= 54
    torch.testing.assert_close(logits_of(network, volumes.rot90(1, (2, 4))), found, atol=1e-4, rtol=0)
    assert not network.training


def test_the_same_recipe_gives_the_same_classifier_and_torch_is_left_alone() -> None:
    torch.manual_seed(5)
    state = torch.get_rng_state()
    one, other = (train_classifier(bars((6, 6, 6), 0), bars((3, 3, 3), 1), updates=3) for _ in range(2))
    assert torch.equal(torch.get_rng_state(), state)
    for first, second in zip(one.parameters(), other.parameters(), strict=True):
        assert torch.equal(first, second)


def test_small_classes_are_drawn_as_often_as_large_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    original = class_conditional.labelled

    def spy(source: BatchSource, indices: list[int] | None = None) -> tuple[Tensor, Tensor]:
        volumes, labels = original(source, indices)
        if indices is not None:
            seen.append(labels)
        return volumes, labels

    monkeypatch.setattr("render3d.models.study.classifier.labelled", spy)
    train_classifier(bars((90, 3, 30), 0), bars((3, 3, 3), 1), updates=20)
    shares = torch.cat(seen).bincount() / (20 * 48)
    assert (shares - 1 / 3).abs().max() < 4 * math.sqrt(2 / 9 / 960)  # four standard errors


def test_the_nearest_training_volume_is_found_in_any_turn_and_in_a_mirror() -> None:
    training = bars((1, 1, 1), 0)
    volumes = torch.stack([training.examples[index].volume for index in range(3)])
    copies = torch.stack([volumes[0].rot90(3, (1, 3)), volumes[1].flip(3), volumes[2].rot90(1, (1, 3)).flip(3)])
    found = nearest_training(copies, training)
    assert torch.equal(found.volumes, copies) and found.iou.tolist() == [1.0, 1.0, 1.0]
    half = copies[2:].clone()
    half[0, 0, half[0, 0].any(2).any(1).nonzero()[0]] = 0  # the plate without the first of its five rows
    assert float(nearest_training(half, training).iou) == pytest.approx(20 / 25)
    empty = torch.zeros(1, 1, SIZE, SIZE, SIZE)
    assert float(nearest_training(empty, training).iou) == 0.0


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Classifiers that learn next to nothing, in no time."""
    monkeypatch.setattr(class_conditional, "train_classifier", functools.partial(train_classifier, updates=2))


@pytest.mark.usefixtures("hasty")
def test_samples_that_are_real_volumes_are_recognised_like_these(monkeypatch: pytest.MonkeyPatch) -> None:
    run = Run(RECIPE, model_of(RECIPE, [""] * 6).eval(), [], BatchSource(RECIPE, "test").classes)
    real, labels = labelled(BatchSource(RECIPE, "test"))
    order = labels.argsort()
    monkeypatch.setattr(class_conditional, "sample_classes", lambda run, count: (real[order], labels[order]))
    found = class_conditional.find(run)
    figures = found.figures["class_conditional"]
    assert figures["samples"] == figures["held_out"]
    assert figures["samples_per_class"] == 2 and figures["chance"] == pytest.approx(1 / 6)
    likeness = figures["iou_with_nearest_training_volume"]
    assert likeness["samples"] == likeness["held_out"]
    assert "nearest in training" in "".join(found.sections)


def test_samples_are_of_the_classes_that_were_asked_for() -> None:
    run = Run(RECIPE, model_of(RECIPE, [""] * 6).eval(), [], BatchSource(RECIPE, "test").classes)
    with torch.no_grad():
        run.model.writer.start.fill_(0.0)  # about half of all voxels are occupied
    volumes, asked = class_conditional.sample_classes(run, 20)
    assert volumes.shape == (120, 1, SIZE, SIZE, SIZE) and set(volumes.unique().tolist()) == {0.0, 1.0}
    assert asked.bincount().tolist() == [20] * 6
    latents = run.model.noise(120, Key(0).fold_in(class_conditional._OF_SAMPLES))[25:26]
    with torch.no_grad():
        logits = run.model.writer(run.model.imagine(latents, torch.tensor([1])))
    assert ((logits > 0).float() != volumes[25:26]).float().mean() < 1e-3


@pytest.fixture
def collection(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Balls of three classes, whose voxels are made at once: no process has to be started."""
    monkeypatch.setenv("RENDER3D_CACHE", str(tmp_path / "cache"))
    for name in ("apple", "orange", "pear"):
        for number in range(20):
            path = tmp_path / "fruit" / name / f"{name}_{number}.off"
            path.parent.mkdir(parents=True, exist_ok=True)
            ball = Mesh.icosphere(1)
            ball.with_vertices(ball.vertices * torch.tensor([1.0, 1.0 + 0.1 * number, 0.6])).save(path)
    cache = VoxelCache(cache_folder() / "voxels", CollectionVolumesSettings(size=SIZE).voxels)
    for shape in open_collection(tmp_path / "fruit", "classes"):
        cache.voxels(shape)
    return tmp_path / "fruit"


def test_a_run_goes_on_only_with_its_classes_and_shapes(collection: Path, tmp_path: Path) -> None:
    recipe = dataclasses.replace(
        RECIPE,
        data=CollectionVolumesSettings(layout="classes", size=SIZE, class_names=("apple", "pear")),
        path=collection,
    )
    train(recipe, tmp_path / "run", device="cpu")
    assert load_run(tmp_path / "run").classes == ("apple", "pear")
    others = dataclasses.replace(recipe, data=dataclasses.replace(recipe.data, class_names=("pear", "apple")))
    with pytest.raises(TrainingError, match=r'data.classes was \["apple", "pear"\] and is \["pear", "apple"\]'):
        train(others, tmp_path / "run", resume=True, device="cpu")
    lost = next(shape for shape in open_collection(collection, "classes") if shape.label == "pear")
    lost.path.unlink()
    with pytest.raises(TrainingError, match="data.file.shapes was"):
        train(recipe, tmp_path / "run", resume=True, device="cpu")


def test_data_with_other_classes_than_those_of_the_run_are_noticed() -> None:
    run = Run(RECIPE, model_of(RECIPE, [""] * 2).eval(), [], ("cube", "sphere"))
    with pytest.raises(
        TrainingError, match="trained with the classes cube, sphere, and its data now have cube, sphere, "
    ):
        class_conditional.find(run)


def test_a_collection_needs_a_folder() -> None:
    with pytest.raises(DatasetError, match="needs the folder that it lies in: --path FOLDER"):
        BatchSource(dataclasses.replace(RECIPE, data=CollectionVolumesSettings()), "train")


@pytest.mark.usefixtures("hasty")
def test_a_run_given_classes_has_their_figures() -> None:
    run = Run(RECIPE, model_of(RECIPE, [""] * 6).eval(), [], BatchSource(RECIPE, "test").classes)
    found = run.recipe.experiment.findings(run)
    assert list(found.figures) == ["class_conditional"]
    assert len(found.sections) == 4
