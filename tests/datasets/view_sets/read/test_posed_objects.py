"""What is read is what was rendered, from whichever format; what is damaged is named."""

import dataclasses
from collections import Counter
from pathlib import Path

import pytest
import torch
from pictures import R2N2_VIEWS, SMALL, make_objects, views_settings
from scipy import stats
from torch.utils.data import DataLoader

from render3d import Cameras, collate
from render3d.color import linear_to_srgb
from render3d.datasets import PosedObject, PosedObjects, PosedSettings, PosedShards, RenderedObjects
from render3d.datasets.collections import CollectionObject
from render3d.datasets.view_sets.write.settings import OUTPUTS
from render3d.errors import DatasetError, MeshError
from render3d.view_sets import read_views

EVERYTHING = PosedSettings(outputs=OUTPUTS)
FORMATS = ("nerfstudio", "r2n2", "shards")


def assert_same_cameras(found: Cameras, expected: Cameras) -> None:
    torch.testing.assert_close(found.world_to_camera, expected.world_to_camera, atol=2e-6, rtol=0)
    torch.testing.assert_close(found.intrinsics, expected.intrinsics)
    assert (found.image_size, found.near, found.far) == (expected.image_size, expected.near, expected.far)


@pytest.mark.parametrize("format", FORMATS)
def test_an_example_is_what_was_rendered_up_to_the_rounding_of_files(
    format: str, formats: dict[str, Path], objects: list[CollectionObject]
) -> None:
    rendered = RenderedObjects(objects, views_settings(format, R2N2_VIEWS), EVERYTHING)
    read = PosedObjects(formats[format], EVERYTHING)
    assert read.ids == rendered.ids
    assert read.classes == rendered.classes == ("__lamp__", "chair", "table")
    for number in range(0, len(read), 2):
        found, made = read[number], rendered[number]
        assert (found.id, found.label) == (made.id, made.label)
        assert_same_cameras(found.cameras, made.cameras)
        for name in OUTPUTS:
            assert found.images[name].dtype == made.images[name].dtype, name
            assert found.images[name].shape == made.images[name].shape, name
        half = 0.5 / 255 + 1e-6
        colors = [linear_to_srgb(example.images["rgb"]) for example in (found, made)]
        torch.testing.assert_close(*colors, atol=half, rtol=0)
        torch.testing.assert_close(found.images["alpha"], made.images["alpha"], atol=0, rtol=0)
        assert torch.equal(found.images["face_index"], made.images["face_index"])
        unit = made.cameras.far / 65535
        torch.testing.assert_close(found.images["depth"], made.images["depth"], atol=0.51 * unit, rtol=0)
        assert torch.equal(found.images["depth"] == 0, made.images["depth"] == 0)
        torch.testing.assert_close(found.images["normal"], made.images["normal"], atol=3 * half, rtol=0)
        covered = made.images["alpha"] == 1
        length = found.images["normal"].norm(dim=1, keepdim=True)
        torch.testing.assert_close(length, covered.float())


def test_all_formats_give_the_same_pictures_and_cameras(formats: dict[str, Path]) -> None:
    first, second = (PosedObjects(formats[name], EVERYTHING) for name in ("nerfstudio", "r2n2"))
    stream = {example.id: example for example in PosedShards(formats["shards"], EVERYTHING, rank=0, world_size=1)}
    assert stream.keys() == {*first.ids} == {*second.ids}
    for one, other in zip(first, second, strict=False):
        streamed = stream[one.id]
        assert one.id == other.id
        assert one.label == other.label == streamed.label
        for name in OUTPUTS:
            assert torch.equal(one.images[name], other.images[name]), name
            assert torch.equal(one.images[name], streamed.images[name]), name
        assert_same_cameras(other.cameras, one.cameras)
        assert torch.equal(streamed.cameras.world_to_camera, one.cameras.world_to_camera)


def test_colours_and_coverage_are_those_that_read_views_reads(scene: Path) -> None:
    found, views = PosedObjects(scene)[0], read_views(scene / "chair" / "one")
    assert views.rgb is not None
    assert torch.equal(found.images["rgb"], views.rgb)
    assert torch.equal(found.images["alpha"], views.alpha)
    assert (found.id, found.label, PosedObjects(scene).classes) == ("chair/one", 0, ("chair",))


# The choice of views, classes and splits


def test_the_views_of_an_example_are_a_function_of_seed_epoch_and_id(
    formats: dict[str, Path], objects: list[CollectionObject]
) -> None:
    whole = PosedObjects(formats["nerfstudio"])
    some = PosedSettings(views=2, seed=5)
    for epoch in range(3):
        datasets = [
            PosedObjects(formats["nerfstudio"], some),
            PosedObjects(formats["r2n2"], dataclasses.replace(some, classes=("table", "chair"))),
            RenderedObjects(objects, views_settings("r2n2", R2N2_VIEWS), some),
        ]
        chosen = []
        for dataset in datasets:
            dataset.set_epoch(epoch)
            example = dataset[dataset.ids.index("chair/a.b")]
            assert example.images["alpha"].shape == (2, 1, 137, 137)
            chosen.append(which_views(example, whole[whole.ids.index("chair/a.b")]))
        assert chosen[0] == chosen[1] == chosen[2]
        stream = PosedShards(formats["shards"], some, rank=0, world_size=1)
        stream.set_epoch(epoch)
        streamed = next(example for example in stream if example.id == "chair/a.b")
        assert which_views(streamed, whole[whole.ids.index("chair/a.b")]) == chosen[0]


def which_views(example: PosedObject, whole: PosedObject) -> list[int]:
    """The numbers of an example's views among all of its object, each with the camera that belongs to it."""
    numbers = []
    for image, pose in zip(example.images["alpha"], example.cameras.world_to_camera, strict=True):
        same = [bool((image - other).abs().max() == 0) for other in whole.images["alpha"]]
        numbers.append(same.index(True))
        torch.testing.assert_close(pose, whole.cameras.world_to_camera[numbers[-1]], atol=2e-6, rtol=0)
    return numbers


def test_each_order_of_views_is_as_likely_as_any() -> None:
    settings = PosedSettings(views=2)
    counts = Counter(
        tuple(settings.chosen_views(f"object/{number}", 4, epoch)) for number in range(40) for epoch in range(60)
    )
    assert len(counts) == 12
    assert all(len(set(pair)) == 2 for pair in counts)
    assert stats.chisquare(list(counts.values())).pvalue > 1e-4


def test_views_of_splits_that_are_fixed_are_the_same_in_all_epochs() -> None:
    for split, orders in (("train", 30), (None, 30), ("validation", 1), ("test", 1)):
        settings = PosedSettings(views=6, split=split)  # type: ignore[arg-type]
        assert len({tuple(settings.chosen_views("a", 9, epoch)) for epoch in range(30)}) == orders


def test_labels_are_those_of_the_whole_collection_whatever_the_split(formats: dict[str, Path]) -> None:
    train, test = (PosedObjects(formats["nerfstudio"], PosedSettings(split=split)) for split in ("train", "test"))
    assert train.classes == test.classes == ("__lamp__", "chair", "table")
    assert sorted([*train.ids, *test.ids]) == list(PosedObjects(formats["nerfstudio"]).ids)
    assert test.ids == ("__lamp__/Z", "chair/a_b")
    assert [test[number].label for number in range(2)] == [0, 1]


@pytest.mark.parametrize("kind", ["folder", "shards", "rendered"])
def test_classes_that_are_given_are_the_labels_in_their_order(
    kind: str, formats: dict[str, Path], objects: list[CollectionObject]
) -> None:
    settings = PosedSettings(classes=("table", "chair"))
    datasets = {
        "folder": lambda: PosedObjects(formats["nerfstudio"], settings),
        "shards": lambda: PosedShards(formats["shards"], settings, rank=0, world_size=1),
        "rendered": lambda: RenderedObjects(objects, views_settings("r2n2", R2N2_VIEWS), settings),
    }
    dataset = datasets[kind]()
    found = (
        {example.id: example.label for example in map(dataset.__getitem__, range(4))}
        if kind != "shards"
        else {example.id: example.label for example in dataset}
    )
    assert found == {"chair/a": 1, "chair/a.b": 1, "chair/a_b": 1, "table/x/y": 0}
    assert dataset.classes == ("table", "chair")


def test_an_object_of_no_class_has_the_label_minus_one(formats: dict[str, Path]) -> None:
    dataset = PosedObjects(formats["nerfstudio"])
    assert dataset[dataset.ids.index("lone.one")].label == -1


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"outputs": ("rgb", "color")}, "outputs must be one of"),
        ({"outputs": "rgb"}, "outputs must be a tuple"),
        ({"views": 0}, "views must be at least 1"),
        ({"classes": "chair"}, "classes must be a tuple"),
        ({"split": "val"}, "split must be one of"),
        ({"seed": -1}, "seed must be from 0"),
    ],
)
def test_settings_out_of_range_are_refused(settings: dict[str, object], message: str) -> None:
    with pytest.raises(DatasetError, match=message):
        PosedSettings(**settings)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (PosedSettings(classes=("sofa",)), "classes must be of __lamp__, chair, table; got sofa"),
        (PosedSettings(split="validation"), "No object is of the split 'validation'; there are test, train"),
        (PosedSettings(split="test", classes=("table",)), "No object of the split 'test' is of the classes table"),
    ],
)
def test_a_choice_that_leaves_nothing_is_refused(
    settings: PosedSettings, message: str, formats: dict[str, Path], objects: list[CollectionObject]
) -> None:
    with pytest.raises(DatasetError, match=message):
        PosedObjects(formats["nerfstudio"], settings)
    with pytest.raises(DatasetError, match=message):
        PosedShards(formats["shards"], settings)
    with pytest.raises(DatasetError, match=message):
        RenderedObjects(objects, views_settings("r2n2", R2N2_VIEWS), settings)


def test_more_views_than_there_are_is_an_error(scene: Path) -> None:
    with pytest.raises(DatasetError, match="views must be at most those that objects have; got 5, and chair/one has 4"):
        PosedObjects(scene, PosedSettings(views=5))[0]


def test_batches_hold_pictures_and_cameras_whatever_the_workers(formats: dict[str, Path]) -> None:
    dataset = PosedObjects(formats["nerfstudio"], PosedSettings(outputs=("depth",), views=2))
    batches = [list(DataLoader(dataset, batch_size=3, collate_fn=collate, num_workers=workers)) for workers in (0, 2)]
    for one, other in zip(*batches, strict=True):
        assert one.images["depth"].shape == (3, 2, 1, 137, 137)
        assert one.cameras.leading_shape == (3, 2)
        assert one.id == other.id
        assert torch.equal(one.label, other.label)
        assert torch.equal(one.images["depth"], other.images["depth"])


def test_indices_are_those_of_a_list(scene: Path) -> None:
    dataset = PosedObjects(scene)
    assert dataset[-1].id == dataset[0].id
    with pytest.raises(IndexError):
        dataset[1]


# Rendering on the fly


def test_outputs_that_are_not_rendered_are_refused(objects: list[CollectionObject]) -> None:
    with pytest.raises(DatasetError, match="outputs must be of those rendered, rgb, alpha; got depth too"):
        RenderedObjects(objects, views_settings("r2n2", SMALL, ("rgb", "alpha")), PosedSettings(outputs=("depth",)))


def test_a_mesh_that_cannot_be_read_is_an_error_when_it_is_needed(tmp_path: Path) -> None:
    item = make_objects(tmp_path, ["a"])[0]
    item.path.write_text("OFF\n")
    dataset = RenderedObjects([item], views_settings("nerfstudio"))
    with pytest.raises(MeshError, match="tetrahedron.off"):
        dataset[0]
