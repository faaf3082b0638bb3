"""What holds for every dataset of volumes, and what is special to primitives and Necker cubes."""

import dataclasses
import hashlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from scipy import ndimage, stats
from torch.utils.data import DataLoader

from render3d.datasets import (
    MNIST3D,
    MNIST3DSettings,
    NeckerCubes,
    NeckerSettings,
    Primitives,
    PrimitivesSettings,
    Split,
    VolumeDataset,
)
from render3d.datasets.volumes.poses import Pose, random_centre, random_rotation
from render3d.datasets.volumes.solids import fill, in_wire_cube
from render3d.errors import DatasetError, Render3DError

Make = Callable[..., VolumeDataset[Any]]
DATASETS: dict[str, tuple[Make, type[Any], int]] = {
    "primitives": (Primitives, PrimitivesSettings, 30),
    "necker": (NeckerCubes, NeckerSettings, 40),
    "mnist": (MNIST3D, MNIST3DSettings, 30),
}


@pytest.fixture(params=DATASETS)
def make(request: pytest.FixtureRequest) -> Make:
    return DATASETS[request.param][0]


def volumes(dataset: VolumeDataset[Any], indices: list[int]) -> torch.Tensor:
    return torch.stack([dataset[index].volume for index in indices])


@pytest.mark.parametrize("name", DATASETS)
def test_examples_are_binary_volumes_of_the_size_of_the_paper(name: str) -> None:
    make, _, size = DATASETS[name]
    dataset = make("validation")
    assert dataset.size == size
    for index in range(20):
        volume, label = dataset[index]
        assert (volume.shape, volume.dtype) == ((1, size, size, size), torch.float32)
        assert set(volume.flatten().tolist()) == {0.0, 1.0}
        assert isinstance(label, int)
        assert 0 <= label < len(dataset.classes)


def test_an_example_depends_on_its_index_and_not_on_the_order(make: Make) -> None:
    first, second = make("train", seed=5), make("train", seed=5)
    order = np.random.default_rng(0).permutation(30).tolist()
    assert torch.equal(volumes(first, order), volumes(second, list(range(30)))[order])
    assert torch.equal(first[-1].volume, second[len(second) - 1].volume)


def test_epochs_differ_in_training_and_nowhere_else(make: Make) -> None:
    indices = list(range(12))
    splits: tuple[Split, ...] = ("train", "validation", "test")
    for split in splits:
        dataset = make(split)
        before = volumes(dataset, indices)
        dataset.set_epoch(1)
        after = volumes(dataset, indices)
        changed = (before != after).flatten(1).any(1)
        assert bool(changed.all() if split == "train" else not changed.any())
        dataset.set_epoch(0)
        assert torch.equal(volumes(dataset, indices), before)
    with pytest.raises(DatasetError, match="epoch must be at least 0"):
        dataset.set_epoch(-1)


def test_splits_and_seeds_share_no_volume(make: Make) -> None:
    seen = [volumes(make(split), list(range(30))) for split in ("train", "validation", "test")]
    seen.append(volumes(make("train", seed=1), list(range(30))))
    distinct = {volume.numpy().tobytes() for group in seen for volume in group}
    assert len(distinct) == 120


def test_indices_are_those_of_a_list(make: Make) -> None:
    dataset = make("test")
    for index in (len(dataset), -len(dataset) - 1):
        with pytest.raises(IndexError, match=rf"index {index} is out of range: there are {len(dataset)}"):
            dataset[index]
    with pytest.raises(TypeError):
        dataset[1.0]  # type: ignore[index]
    assert torch.equal(dataset[int(np.int64(3))].volume, dataset[np.int64(3)].volume)  # type: ignore[index]


@pytest.mark.parametrize("name", DATASETS)
def test_a_fingerprint_tells_every_choice(name: str) -> None:
    make, kind, _ = DATASETS[name]
    base = make("train").fingerprint()
    assert base == make("train", settings=kind()).fingerprint()
    others = [make("test").fingerprint(), make("train", seed=1).fingerprint()]
    changes = {"rotations": "none", "package_digits": (100, 10, 10), "whole_voxels": False, "threshold": 0.3}
    for field in dataclasses.fields(kind):
        value = getattr(kind(), field.name)
        if isinstance(value, tuple) and field.name not in changes:
            other: Any = (value[0], value[1] - 0.01)
        else:
            other = changes[field.name] if field.name in changes else value - 1 if value > 2 else value + 0.5
        others.append(make("train", settings=dataclasses.replace(kind(), **{field.name: other})).fingerprint())
    assert len({str(sorted(facts.items())) for facts in [base, *others]}) == len(others) + 1
    assert all(isinstance(value, str) for value in base.values())


# A change of these means that data changed: raise the class's revision, then note the new sums here.
KNOWN = {
    "primitives": "1062a292c2d1fca7",
    "necker": "084d947cb3c60231",
    "mnist": "9f50e905f342ba89",
}


@pytest.mark.parametrize("name", DATASETS)
def test_examples_of_this_revision_are_what_they_were(name: str) -> None:
    dataset = DATASETS[name][0]("train", seed=3)
    dataset.set_epoch(2)
    packed = np.packbits(volumes(dataset, list(range(12))).numpy().astype(bool))
    assert hashlib.sha256(packed.tobytes()).hexdigest()[:16] == KNOWN[name]


def test_workers_that_are_kept_follow_the_epoch() -> None:
    dataset = Primitives("train", PrimitivesSettings(train=8))
    loader = DataLoader(dataset, batch_size=4, num_workers=2, multiprocessing_context="spawn", persistent_workers=True)
    assert dataset._epoch.is_shared()  # what workers that are forked need; spawned ones get it in any case
    for epoch in (0, 3):
        dataset.set_epoch(epoch)
        batches = list(loader)
        assert torch.equal(torch.cat([batch.volume for batch in batches]), volumes(dataset, list(range(8))))
        assert torch.cat([batch.label for batch in batches]).tolist() == [0, 1, 2, 3, 4, 5, 0, 1]
    del loader


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (
            lambda: Primitives("val"),  # type: ignore[arg-type]
            "split must be one of 'train', 'validation', 'test'; got 'val'",
        ),
        (lambda: Primitives("train", seed=-1), "seed must be from 0"),
        (lambda: PrimitivesSettings(size=0), "size must be at least 1"),
        (lambda: PrimitivesSettings(solid_size=float("nan")), "solid_size must be at least 1, and finite"),
        (lambda: PrimitivesSettings(translation=-1), "translation must be at least 0"),
        (
            lambda: PrimitivesSettings(rotations="all"),  # type: ignore[arg-type]
            "rotations must be one of",
        ),
        (lambda: PrimitivesSettings(cylinder_diameter=(0.9, 0.4)), r"cylinder_diameter must be \(least, most\)"),
        (lambda: PrimitivesSettings(pyramid_height=(0.5, 1.5)), "pyramid_height must be"),
        (lambda: NeckerSettings(thickness=6), "thickness must be above 0 and up to half of cube_size"),
        (lambda: MNIST3DSettings(threshold=1.0), "threshold must lie between 0 and 1"),
        (lambda: MNIST3DSettings(depth=0), "depth must be at least 1"),
    ],
)
def test_settings_that_cannot_be_are_refused(build: Callable[[], object], message: str) -> None:
    with pytest.raises(DatasetError, match=message) as caught:
        build()
    assert isinstance(caught.value, Render3DError)
    assert isinstance(caught.value, ValueError)


def test_primitives_are_balanced_and_fit_the_grid_unless_turned() -> None:
    dataset = Primitives("train", PrimitivesSettings(rotations="none"))
    labels = [dataset[index].label for index in range(60)]
    assert labels == [index % 6 for index in range(60)]
    corners = []
    for index in range(0, 600, 6):
        occupied = np.argwhere(dataset[index].volume[0].numpy())
        assert (np.ptp(occupied, axis=0) == 9).all()  # a whole cube of 10 voxels, wherever it is
        corners.append(occupied.min(axis=0))
    assert stats.kstest(np.ravel(corners), stats.randint(0, 21).cdf).pvalue > 1e-4
    assert np.min(corners) == 0
    assert np.max(corners) == 20


@pytest.mark.parametrize("name", DATASETS)
def test_all_voxels_that_a_turned_object_can_reach_are_tested(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = DATASETS[name][0]("train")
    if isinstance(dataset, MNIST3D):
        dataset._images = np.full_like(dataset._images, 255)  # ink up to the corners
    near = volumes(dataset, list(range(60)))
    module = type(dataset).__module__
    monkeypatch.setattr(f"{module}.fill", lambda solid, pose, size, reach: fill(solid, pose, size, 1e3))
    assert torch.equal(near, volumes(dataset, list(range(60))))


@pytest.mark.parametrize(("label", "low", "high"), [(2, 0.7 / 3, 1 / 3), (4, 0.3, 0.6), (5, 0.35, 0.75)])
def test_proportions_stay_in_their_ranges(label: int, low: float, high: float) -> None:
    fine = PrimitivesSettings(size=64, solid_size=60, translation=0, rotations="none")
    volumes_seen = []
    for index in range(label, 180, 6):
        voxels = Primitives("train", fine)[index].volume[0].numpy().astype(bool)
        volumes_seen.append(voxels.sum() / 60**3)
        z, y, x = (np.flatnonzero(voxels.any(axis=axes)) for axes in ((1, 2), (0, 2), (0, 1)))
        if label != 2:
            assert len(y) == 60
            assert low * 60 - 2 <= len(x) <= high * 60 + 2
            assert low * 60 - 2 <= len(z) <= high * 60 + 2
        else:
            assert len(x) >= 58
    if label == 2:
        assert low - 0.01 <= min(volumes_seen) < max(volumes_seen) <= high + 0.01
    assert np.std(volumes_seen) > 0


def test_edges_of_necker_cubes_have_no_gaps_and_enclose_nothing() -> None:
    dataset = NeckerCubes("train")
    middle = slice(18, 22)
    touching = np.ones((3, 3, 3))
    for index in range(120):
        voxels = dataset[index].volume[0].numpy().astype(bool)
        assert ndimage.label(voxels, touching)[1] == 1
        # Neighbours that share a face: all is one piece but for specks, voxels at the ridges of a bar.
        pieces = ndimage.label(voxels)[0]
        assert np.bincount(pieces.ravel())[2:].sum() <= 0.02 * voxels.sum()
        assert ndimage.label(~voxels)[1] == 1
        assert not voxels[middle, middle, middle].any()
        centre = np.argwhere(voxels).mean(axis=0) + 0.5
        np.testing.assert_allclose(centre, 20, atol=0.5)


def test_each_voxel_that_the_axis_of_an_edge_goes_through_is_filled() -> None:
    half = NeckerSettings().cube_size / 2 - NeckerSettings().thickness / 2
    along = np.linspace(-half, half, 200)
    signs = np.array([[-1, -1], [-1, 1], [1, -1], [1, 1]]) * half
    axes = np.concatenate([np.roll([[a, b, t] for t in along], shift, axis=1) for a, b in signs for shift in range(3)])
    generator = np.random.default_rng(0)
    for _ in range(50):
        pose = Pose(random_rotation(generator, "uniform"), np.full(3, 20.0))
        voxels = fill(lambda points: in_wire_cube(points, 10, NeckerSettings().thickness), pose, 40, reach=9)
        x, y, z = np.floor(axes @ pose.rotation.T + pose.centre).astype(int).T
        assert voxels[z, y, x].all()


def test_thinner_edges_than_that_do_break() -> None:
    dataset = NeckerCubes("train", NeckerSettings(thickness=1.0))
    counts = [ndimage.label(dataset[index].volume[0].numpy(), np.ones((3, 3, 3)))[1] for index in range(60)]
    assert max(counts) > 1


def test_streams_of_numbers_are_those_documented() -> None:
    from render3d import Key
    from render3d.datasets.base import example_generator

    stream = Key(4).fold_in(0).fold_in(2).fold_in(0)  # seed, volumes, test, epoch
    generator = example_generator(stream, 7)
    random_rotation(generator, "none")
    corner = random_centre(generator, 30, 20, whole_voxels=True) - 5
    dataset = Primitives("test", PrimitivesSettings(rotations="none"), seed=4)
    sphere = np.argwhere(dataset[7].volume[0].numpy())  # 7 % 6 is a sphere, as wide as its cube
    np.testing.assert_array_equal(sphere.min(axis=0)[::-1], corner)
