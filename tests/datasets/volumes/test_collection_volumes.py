"""Collections as volumes to learn from: which classes, which splits, and how they are turned."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from render3d.datasets import CollectionVolumesSettings, volumes_of_collection
from render3d.datasets.checks import SPLITS
from render3d.datasets.collections import open_collection
from render3d.datasets.volumes.collection_volumes import CollectionVolumes, cache_folder, turned
from render3d.datasets.volumes.voxel_cache import VoxelCache
from render3d.errors import DatasetError
from render3d.scenes import Mesh

SIZE = 8
Make = Callable[..., Path]


def settings(**changes: object) -> CollectionVolumesSettings:
    values: dict[str, object] = {"layout": "classes", "size": SIZE, "least_models": 2}
    return CollectionVolumesSettings(**(values | changes))  # type: ignore[arg-type]


def hook(height: float) -> Mesh:
    """Three boxes that look different after any turn or in a mirror."""
    boxes = []
    for place, side in (
        ((0, 0, 0), (4, 1, 1)),
        ((0, 0, 0), (1, height, 1)),
        ((0, 0, 0), (1, 1, 2.5)),
        ((3, 0, 0), (1, 2, 1)),
    ):
        corners = torch.tensor([[x, y, z] for x in (0.0, 1.0) for y in (0.0, 1.0) for z in (0.0, 1.0)])
        boxes.append(corners * torch.tensor(side) + torch.tensor(place))
    quads = [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)]
    faces = torch.tensor([triangle for a, b, c, d in quads for triangle in ((a, b, c), (a, c, d))])
    return Mesh(torch.cat(boxes), torch.cat([faces + 8 * number for number in range(len(boxes))]))


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Make:
    """Makes ``<class>/<class>_0.off`` and so on, whose voxels are made at once: no process has to be started."""
    monkeypatch.setenv("RENDER3D_CACHE", str(tmp_path / "cache"))

    def of(**counts: int) -> Path:
        root = tmp_path / "models"
        for number, (name, count) in enumerate(counts.items()):
            (root / name).mkdir(parents=True, exist_ok=True)
            for copy in range(count):
                hook(1.5 + number + 0.01 * copy).save(root / name / f"{name}_{copy}.off")
        keep(root, "classes")
        return root

    return of


def keep(path: Path, layout: str) -> None:
    cache = VoxelCache(cache_folder() / "voxels", settings().voxels)
    for shape in open_collection(path, layout):
        cache.voxels(shape)


def listed(root: Path, *rows: str) -> Path:
    """A list of shapes with splits."""
    path = root / "list.csv"
    path.write_text("\n".join(["path,label,split", *rows]))
    return path


def test_classes_that_are_large_enough_are_kept_or_those_that_are_named(make: Make) -> None:
    root = make(chair=9, lamp=3, sofa=6)
    large = volumes_of_collection(settings(least_models=6, fractions=(0.6, 0.2, 0.2)), root, "train")
    assert large.classes == ("chair", "sofa")
    chosen = settings(class_names=("sofa", "lamp"), fractions=(1.0, 0.0, 0.0))
    named = volumes_of_collection(chosen, root, "train")
    assert named.classes == ("sofa", "lamp")
    assert Counter(named[number].label for number in range(len(named))) == {0: 6, 1: 3}
    assert named.fingerprint()["classes"] == '["sofa", "lamp"]'
    other = volumes_of_collection(settings(class_names=("lamp", "sofa"), fractions=(1.0, 0.0, 0.0)), root, "train")
    assert named.fingerprint() != other.fingerprint()


def test_no_class_and_classes_without_a_shape_to_train_on_are_errors_that_say_what_to_do(make: Make) -> None:
    root = make(chair=3, lamp=2)
    with pytest.raises(DatasetError, match="No class has 9 models; the largest, 'chair', has 3. Lower least_models"):
        volumes_of_collection(settings(least_models=9), root, "train")
    with pytest.raises(DatasetError, match="classes must be of chair, lamp; got table"):
        volumes_of_collection(settings(class_names=("chair", "table")), root, "train")
    chairs = [f"chair/chair_{n}.off,chair,{split}" for n, split in enumerate(SPLITS)]
    path = listed(root, *chairs, "lamp/lamp_0.off,lamp,test", "lamp/lamp_1.off,lamp,validation")
    with pytest.raises(DatasetError, match="No object to train on is of 'lamp'. Give class_names without it"):
        volumes_of_collection(settings(layout="list"), path, "test")
    with pytest.raises(DatasetError, match="class_names must name each class once"):
        settings(class_names=("chair", "chair"))
    with pytest.raises(DatasetError, match="turns must be one of 'none', 'quarter', 'any'; got 'half'"):
        settings(turns="half")


def test_splits_of_the_collection_stay_and_a_missing_validation_is_taken_from_what_is_to_train(make: Make) -> None:
    root = make(chair=40)
    rows = [f"chair/chair_{number}.off,chair,{'test' if number < 10 else 'train'}" for number in range(40)]
    path = listed(root, *rows)
    ids = {split: _ids(volumes_of_collection(settings(layout="list"), path, split)) for split in SPLITS}
    assert ids["test"] == {f"chair/chair_{number}" for number in range(10)}
    assert not ids["train"] & ids["validation"] and len(ids["train"] | ids["validation"]) == 30
    assert 1 <= len(ids["validation"]) <= 10  # an eighth of 30; 0.9999 of the binomial law
    whole = listed(root, *rows, "chair/chair_0.off,chair,validation")  # listed twice: the first counts
    assert len(volumes_of_collection(settings(layout="list"), whole, "test")) == 10


def test_splits_are_drawn_where_there_are_none(make: Make) -> None:
    root = make(chair=40)
    ids = [_ids(volumes_of_collection(settings(), root, split)) for split in SPLITS]
    assert sum(map(len, ids)) == len(set.union(*ids)) == 40
    assert len(ids[0]) > len(ids[2]) > 0


def _ids(dataset: CollectionVolumes) -> set[str]:
    return {item.id for item in dataset.voxelized.objects}


@pytest.mark.parametrize(("mirrored", "variants"), [(False, 4), (True, 8)])
def test_training_shows_every_turn_and_the_other_splits_none(make: Make, mirrored: bool, variants: int) -> None:
    root = make(chair=20)
    chosen = settings(mirrored=mirrored)
    training = volumes_of_collection(chosen, root, "train", seed=3)
    seen = set()
    for epoch in range(60):  # misses one of eight variants with a probability of 8 (7/8)^60 < 0.003
        training.set_epoch(epoch)
        seen.add(training[0].volume.numpy().tobytes())
    plain = training.voxelized[0].volume
    turns = [plain.rot90(turn, (3, 1)) for turn in range(4)]
    expected = turns + ([turn.flip(3) for turn in turns] if mirrored else [])
    assert seen == {volume.contiguous().numpy().tobytes() for volume in expected}
    assert len(seen) == variants
    other = volumes_of_collection(chosen, root, "train", seed=4)
    assert other.fingerprint()["seed"] == "4"
    assert any(not torch.equal(training[number].volume, other[number].volume) for number in range(len(other)))
    for split in ("validation", "test"):
        fixed = volumes_of_collection(settings(fractions=(0.4, 0.3, 0.3)), root, split, seed=3)  # type: ignore[arg-type]
        fixed.set_epoch(5)
        assert all(torch.equal(fixed[n].volume, fixed.voxelized[n].volume) for n in range(len(fixed)))


def test_other_angles_leave_boards_without_holes() -> None:
    board = np.zeros((21, 21, 21), dtype=bool)
    board[10, 5:15, 4:17] = True  # one voxel thick, across z
    for seed in range(20):
        generator = np.random.default_rng(seed)
        found = turned(board, settings(turns="any"), generator)
        angle = np.random.default_rng(seed).uniform(0, 4) * np.pi / 2
        along = 0 if abs(np.cos(angle)) > abs(np.sin(angle)) else 2  # the axis that the board is seen along
        shadow = found.any(along)
        rows = shadow if along == 0 else shadow.T  # [y, across]
        assert not found[:, :5].any() and not found[:, 15:].any()
        across = np.flatnonzero(rows[7])
        assert len(across) == np.ptp(across) + 1  # no gap
        assert abs(len(across) - 13 * max(abs(np.cos(angle)), abs(np.sin(angle)))) <= 2
        assert (rows[5:15] == rows[5]).all()


def test_a_right_angle_is_the_same_either_way() -> None:
    voxels = np.random.default_rng(0).random((7, 7, 7)) < 0.5

    class Fixed:
        def __init__(self, angle: float) -> None:
            self.values = [angle, 0.9]

        def uniform(self, *bounds: float) -> float:
            return self.values.pop(0)

    for quarter in range(4):
        by_any = turned(voxels, settings(turns="any"), Fixed(quarter))  # type: ignore[arg-type]
        by_quarter = turned(voxels, settings(turns="quarter"), Fixed(quarter))  # type: ignore[arg-type]
        np.testing.assert_array_equal(by_any, by_quarter)
    assert (turned(voxels, settings(turns="none"), Fixed(1)) == voxels).all()  # type: ignore[arg-type]


def test_broken_shapes_are_left_out_and_told_once(make: Make, capsys: pytest.CaptureFixture[str]) -> None:
    root = make(chair=12)
    (root / "chair" / "chair_5.off").write_text("OFF\n3 1 0\n0 0 0\n")
    datasets = [volumes_of_collection(settings(), root, split) for split in SPLITS]
    assert set.union(*map(_ids, datasets)) == {f"chair/chair_{n}" for n in range(12) if n != 5}
    shown = capsys.readouterr().err
    assert shown.count("1 of 12 objects cannot be used, and are left out: ") == 1
    assert "chair_5.off: " in shown and "truncated or broken" in shown


def test_voxels_are_kept_where_the_environment_says(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = make(chair=3)
    volumes_of_collection(settings(fractions=(1.0, 0.0, 0.0)), root, "train")[0]
    assert len(list((tmp_path / "cache" / "voxels").glob("*/*.voxels"))) == 3
    monkeypatch.delenv("RENDER3D_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "user"))
    assert cache_folder() == tmp_path / "user" / "render3d"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert cache_folder() == tmp_path / "home" / ".cache" / "render3d"
