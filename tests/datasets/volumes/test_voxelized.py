"""Collections as volumes: what is in the voxels, and a cache that is right whatever happens to it."""

import json
import multiprocessing
import shutil
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch

from render3d.datasets import VoxelizedCollection, VoxelizedSettings
from render3d.datasets.collections import CollectionObject, MeshCollection, open_collection
from render3d.datasets.volumes.voxel_cache import VoxelCache
from render3d.datasets.volumes.voxelizing import voxels_of
from render3d.errors import DatasetError, MeshError
from render3d.scenes import Mesh

SMALL = VoxelizedSettings(size=10)


def box(*sides: float, at: tuple[float, float, float] = (5.0, -3.0, 40.0)) -> Mesh:
    """A closed box of these sides along x, y and z."""
    corners = torch.tensor([[x, y, z] for x in (0.0, 1.0) for y in (0.0, 1.0) for z in (0.0, 1.0)])
    quads = [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)]
    faces = [triangle for a, b, c, d in quads for triangle in ((a, b, c), (a, c, d))]
    return Mesh(corners * torch.tensor(sides) + torch.tensor(at), torch.tensor(faces))


def collection(root: Path, **meshes: Mesh) -> MeshCollection:
    """Each of a class of its own name, all to train on."""
    for name, mesh in meshes.items():
        (root / name / "train").mkdir(parents=True)
        mesh.save(root / name / "train" / f"{name}.off")
    return open_collection(root)


def entries(cache: Path) -> list[Path]:
    return sorted(cache.glob("*/*.voxels"))


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e4])
@pytest.mark.parametrize("kind", ["solid", "surface", "filled"])
def test_the_longest_side_reaches_from_margin_to_margin_and_the_middle_stays(scale: float, kind: str) -> None:
    # 8 voxels between the margins for 4 units: 8, 6 and 4 voxels.
    voxels = voxels_of(box(4 * scale, 3 * scale, 2 * scale), VoxelizedSettings(size=10, kind=kind))  # type: ignore[arg-type]
    expected = np.zeros((10, 10, 10), dtype=bool)
    expected[3:7, 2:8, 1:9] = True
    if kind == "surface":
        expected[4:6, 3:7, 2:8] = False
    np.testing.assert_array_equal(voxels, expected)


def test_margins_are_as_wide_as_asked_and_none_leaves_none() -> None:
    for margin, side in ((0, 10), (3, 4)):
        voxels = voxels_of(box(1, 1, 1), VoxelizedSettings(size=10, margin=margin))
        assert voxels.sum() == side**3
        middle = slice(margin, 10 - margin)
        assert voxels[middle, middle, middle].all()


def test_files_with_z_up_are_turned_not_mirrored() -> None:
    # Three bars from one corner: the longest along z, which is up.
    bars = [box(1, 1, 7), box(1, 3, 1), box(5, 1, 1)]
    faces = torch.cat([bar.faces + 8 * number for number, bar in enumerate(bars)])
    mesh = Mesh(torch.cat([bar.vertices for bar in bars]), faces)
    as_it_is = voxels_of(mesh, VoxelizedSettings(size=16))
    turned = voxels_of(mesh, VoxelizedSettings(size=16, up="z"))
    # A turn about x by -90 degrees: what was at (x, y, z) is at (x, z, -y).
    expected = as_it_is.transpose(1, 0, 2)[::-1]  # axes (z, y, x)
    np.testing.assert_array_equal(turned, expected)
    assert turned.any((0, 2)).sum() == 14


def test_broken_faces_are_left_out_and_open_sheets_and_thin_boards_are_kept() -> None:
    sound = box(4, 3, 2)
    vertices = torch.cat([sound.vertices, torch.tensor([[torch.nan, 0, 0], [1e9, 0, 0]])])
    broken = Mesh(vertices, torch.cat([sound.faces, torch.tensor([[0, 1, 8], [0, 1, 99], [0, -7, 1]])]))
    np.testing.assert_array_equal(voxels_of(broken, SMALL), voxels_of(sound, SMALL))
    flipped = Mesh(sound.vertices, sound.faces.flip(1))
    np.testing.assert_array_equal(voxels_of(flipped, SMALL), voxels_of(sound, SMALL))
    sheet = Mesh(sound.vertices, sound.faces[:2])
    assert voxels_of(sheet, SMALL).any()
    assert voxels_of(box(4, 4, 0.01), SMALL).sum() == 2 * 64  # on the border of two layers


def test_a_mesh_in_one_place_is_an_error() -> None:
    with pytest.raises(MeshError, match="all its faces are in one place"):
        voxels_of(Mesh(torch.ones(3, 3), torch.tensor([[0, 1, 2]])), SMALL)


def test_examples_are_the_voxels_with_the_number_of_their_class(tmp_path: Path) -> None:
    shapes = collection(tmp_path / "models", chair=box(1, 2, 1), lamp=box(1, 3, 2))
    dataset = VoxelizedCollection("train", shapes, tmp_path / "cache", SMALL)
    assert len(dataset) == 2
    assert dataset.classes == ("chair", "lamp")
    for number, shape in enumerate(shapes):
        volume, label = dataset[number]
        assert volume.shape == (1, 10, 10, 10)
        assert volume.dtype == torch.float32
        np.testing.assert_array_equal(volume[0].numpy() > 0, voxels_of(shape.load(), SMALL))
        assert label == number
    dataset.set_epoch(3)
    assert torch.equal(dataset[1].volume, dataset[-1].volume)


def test_shapes_without_classes_are_all_of_one(tmp_path: Path) -> None:
    box(1, 1, 1).save(tmp_path / "a.off")
    path = tmp_path / "list.csv"
    path.write_text("path,split\na.off,train\n")
    dataset = VoxelizedCollection("train", open_collection(path), tmp_path / "cache", SMALL)
    assert dataset.classes == ("shape",)
    assert dataset[0].label == 0


def test_what_is_in_the_cache_is_read_from_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shapes = collection(tmp_path / "models", chair=box(1, 2, 1))
    before = VoxelizedCollection("train", shapes, tmp_path / "cache", SMALL)[0].volume

    def fail(shape: CollectionObject) -> Mesh:
        raise AssertionError("loaded anew")

    monkeypatch.setattr(CollectionObject, "load", fail)
    assert torch.equal(VoxelizedCollection("train", shapes, tmp_path / "cache", SMALL)[0].volume, before)
    with pytest.raises(AssertionError, match="loaded anew"):
        VoxelizedCollection("train", shapes, tmp_path / "cache", VoxelizedSettings(size=11))[0]


def test_a_changed_file_and_changed_settings_give_new_voxels_and_leave_the_others(tmp_path: Path) -> None:
    shapes = collection(tmp_path / "models", chair=box(1, 2, 1))
    cache = tmp_path / "cache"
    one = VoxelizedCollection("train", shapes, cache, SMALL)
    before, fingerprint = one[0].volume, one.fingerprint()
    box(2, 1, 1).save(shapes[0].path)
    assert not torch.equal(one[0].volume, before)
    assert one.fingerprint() != fingerprint
    VoxelizedCollection("train", shapes, cache, VoxelizedSettings(size=10, kind="surface"))[0]
    assert len(entries(cache)) == 3


@pytest.mark.parametrize("place", [0, 40, -1])
def test_an_entry_of_which_a_bit_has_flipped_is_made_anew(tmp_path: Path, place: int) -> None:
    shapes = collection(tmp_path / "models", chair=box(1, 2, 1))
    dataset = VoxelizedCollection("train", shapes, tmp_path / "cache", SMALL)
    right = dataset[0].volume
    (entry,) = entries(tmp_path / "cache")
    whole = entry.read_bytes()
    broken = bytearray(whole)
    broken[place] ^= 4
    entry.write_bytes(broken)
    assert torch.equal(dataset[0].volume, right)
    assert entry.read_bytes() == whole


@pytest.mark.parametrize("kept", [0, 1, 32, 100])
def test_a_truncated_entry_is_made_anew(tmp_path: Path, kept: int) -> None:
    shapes = collection(tmp_path / "models", chair=box(1, 2, 1))
    dataset = VoxelizedCollection("train", shapes, tmp_path / "cache", SMALL)
    right = dataset[0].volume
    (entry,) = entries(tmp_path / "cache")
    whole = entry.read_bytes()
    entry.write_bytes(whole[:kept])
    assert torch.equal(dataset[0].volume, right)
    assert entry.read_bytes() == whole


def test_the_entry_of_another_shape_is_not_taken(tmp_path: Path) -> None:
    shapes = collection(tmp_path / "models", chair=box(1, 2, 1), lamp=box(1, 3, 2))
    dataset = VoxelizedCollection("train", shapes, tmp_path / "cache", SMALL)
    right = dataset[0].volume
    (first,) = entries(tmp_path / "cache")
    assert not torch.equal(dataset[1].volume, right)
    (other,) = set(entries(tmp_path / "cache")) - {first}
    shutil.copy(other, first)
    assert torch.equal(dataset[0].volume, right)


def _make_in(cache: Path, path: Path) -> tuple[bytes, int]:
    """All the voxels, again and again while another process writes them."""
    shape = CollectionObject("a", path, path.parent)
    store = VoxelCache(cache, SMALL)
    made = 0
    for _ in range(20):
        made += not store.holds(shape)
        voxels = store.voxels(shape)
        for entry in entries(cache):
            entry.unlink(missing_ok=True)
    return voxels.tobytes(), made


def test_processes_that_make_and_remove_one_entry_at_once_all_get_the_right_voxels(tmp_path: Path) -> None:
    box(4, 3, 2).save(tmp_path / "a.off")
    right = voxels_of(Mesh.load(tmp_path / "a.off"), SMALL).tobytes()
    both = tmp_path / "cache", tmp_path / "a.off"
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        assert pool.submit(entries, both[0]).result(timeout=100) == []  # the other has begun
        other = pool.submit(_make_in, *both)
        results = [_make_in(*both), other.result(timeout=100)]
    assert [voxels for voxels, _ in results] == [right, right]
    assert sum(made for _, made in results) >= 20
    assert [path for path in (tmp_path / "cache").rglob("*") if path.suffix == ".part"] == []


def test_threads_that_make_one_entry_at_once_leave_one_whole(tmp_path: Path) -> None:
    shapes = collection(tmp_path / "models", chair=box(1, 2, 1))
    dataset = VoxelizedCollection("train", shapes, tmp_path / "cache", SMALL)
    with ThreadPoolExecutor(8) as pool:
        volumes = list(pool.map(lambda _: dataset[0].volume, range(32)))
    assert all(torch.equal(volume, volumes[0]) for volume in volumes)
    assert len(entries(tmp_path / "cache")) == 1


def test_prepare_fills_the_cache_and_leaves_out_what_cannot_be_used(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = tmp_path / "models"
    meshes = {"chair": box(1, 2, 1), "lamp": box(1, 3, 2), "point": box(0, 0, 0), "table": box(5, 1, 1)}
    shapes = collection(root, **meshes)
    (root / "lamp" / "train" / "lamp.off").write_text("OFF\n3 1 0\n0 0 0\n")
    dataset = VoxelizedCollection("train", shapes, tmp_path / "cache", SMALL)
    with pytest.raises(DatasetError, match=r"Object lamp/train/lamp cannot be used; prepare\(\) leaves such out"):
        dataset[1]
    left_out = dataset.prepare(2)
    assert [skip.path.stem for skip in left_out] == ["lamp", "point"]
    assert "truncated or broken" in left_out[0].reason
    assert "in one place" in left_out[1].reason
    assert "4/4" in capsys.readouterr().err
    assert [(item.id.split("/")[0], dataset[number].label) for number, item in enumerate(dataset.objects)] == [
        ("chair", 0),
        ("table", 3),
    ]
    assert len(entries(tmp_path / "cache")) == 2
    assert dataset.prepare(2, progress=False) == ()
    assert capsys.readouterr().err == ""


def test_a_cache_that_cannot_be_written_to_ends_the_preparation(tmp_path: Path) -> None:
    shapes = collection(tmp_path / "models", chair=box(1, 2, 1))
    (tmp_path / "cache").write_text("a file")
    dataset = VoxelizedCollection("train", shapes, tmp_path / "cache", SMALL)
    with pytest.raises(DatasetError, match="Voxels cannot be kept in .*cache: .* Choose another folder"):
        dataset.prepare(1, progress=False)
    with pytest.raises(DatasetError, match="Voxels cannot be kept in"):
        dataset[0]


def test_a_source_that_has_gone_is_told(tmp_path: Path) -> None:
    shapes = collection(tmp_path / "models", chair=box(1, 2, 1))
    dataset = VoxelizedCollection("train", shapes, tmp_path / "cache", SMALL)
    dataset[0]
    shapes[0].path.unlink()
    with pytest.raises(DatasetError, match=r"Object chair/train/chair cannot be used.*cannot be read: No such file"):
        dataset[0]


def test_buffers_of_gltf_are_part_of_the_source(tmp_path: Path) -> None:
    positions = np.array([[0, 0, 0], [4, 0, 0], [0, 2, 1]], dtype="<f4")
    (tmp_path / "a.bin").write_bytes(positions.tobytes())
    header = {
        "asset": {"version": "2.0"},
        "scene": 0,
        "scenes": [{"nodes": [0]}],
        "nodes": [{"mesh": 0}],
        "meshes": [{"primitives": [{"attributes": {"POSITION": 0}}]}],
        "buffers": [{"byteLength": 36, "uri": "a.bin"}],
        "bufferViews": [{"buffer": 0, "byteLength": 36}],
        "accessors": [{"bufferView": 0, "componentType": 5126, "count": 3, "type": "VEC3"}],
    }
    (tmp_path / "a.gltf").write_text(json.dumps(header))
    shape = CollectionObject("a", tmp_path / "a.gltf", tmp_path)
    cache = VoxelCache(tmp_path / "cache", SMALL)
    before = cache.voxels(shape)
    (tmp_path / "a.bin").write_bytes(positions[:, ::-1].tobytes())
    assert not np.array_equal(cache.voxels(shape), before)


def test_the_fingerprint_tells_files_classes_and_settings_apart(tmp_path: Path) -> None:
    shapes = collection(tmp_path / "models", chair=box(1, 2, 1), lamp=box(1, 3, 2))
    one = VoxelizedCollection("train", shapes, tmp_path / "cache", SMALL).fingerprint()
    assert one["settings.size"] == "10"
    assert one == VoxelizedCollection("train", shapes, tmp_path / "other", SMALL).fingerprint()
    some = shapes.select(classes=("lamp", "chair"))
    fewer = MeshCollection(some.objects[:1], some.classes)
    assert one != VoxelizedCollection("train", fewer, tmp_path / "cache", SMALL).fingerprint()


def test_bad_requests_are_errors_that_say_what_to_do(tmp_path: Path) -> None:
    shapes = collection(tmp_path / "models", chair=box(1, 2, 1))
    with pytest.raises(DatasetError, match="there are train. Divide them: with_splits"):
        VoxelizedCollection("test", shapes, tmp_path / "cache")
    bare = CollectionObject("bare", shapes[0].path, shapes[0].root, "", "train")
    with pytest.raises(DatasetError, match="these have none: bare"):
        VoxelizedCollection("train", MeshCollection.of([*shapes, bare]), tmp_path / "cache")
    for settings in ({"size": 2}, {"size": 10, "margin": 5}, {"margin": -1}, {"kind": "hollow"}, {"up": "x"}):
        with pytest.raises(DatasetError, match="must be"):
            VoxelizedSettings(**settings)  # type: ignore[arg-type]
