"""Whatever a file says, what is wrong with it is a `ViewSetError` that names it, in every format."""

import json
import os
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import trees

from render3d.datasets import PosedObjects, PosedShards
from render3d.errors import DatasetError, ViewSetError
from render3d.view_sets import read_cameras, read_views, write_views

SEEN = trees.off_centre()
BLENDER = trees.cameras()
DIGITS = "9" * 5000
BRACKETS = "[" * 100_000
LONG = int("9" * 4000)  # which JSON may hold, and no float


def nerfstudio(folder: Path, change: Callable[[dict[str, Any]], object]) -> Path:
    return trees.nerfstudio(folder, SEEN, change)


def of_frame(**fields: object) -> Callable[[dict[str, Any]], object]:
    return lambda content: content["frames"][1].update(fields)


def of_file(**fields: object) -> Callable[[dict[str, Any]], object]:
    return lambda content: content.update(fields)


MATRIX = np.eye(4).tolist()


def matrix(value: float) -> list[list[float]]:
    return [[value, 0, 0, 0], *MATRIX[1:]]


@pytest.mark.parametrize(
    "change",
    [
        of_frame(file_path="images/a\0b.png"),
        of_frame(mask_path="masks/a\0b.png"),
        of_frame(file_path="images/\ud800.png"),
        of_frame(file_path="x" * 300),
        of_frame(file_path="."),
        of_frame(file_path=".."),
        of_frame(file_path="/"),
        of_frame(file_path="\\"),
        of_frame(file_path="images"),
        of_frame(file_path=["images/frame_00001.png"]),
        of_frame(transform_matrix=matrix(float("nan"))),
        of_frame(transform_matrix=matrix(float("inf"))),
        of_frame(transform_matrix=matrix(LONG)),
        of_frame(transform_matrix=[[1e300, 0, 0, 0], *MATRIX[1:]]),
        of_frame(transform_matrix={"a": 1}),
        of_frame(w=10**9),
        of_frame(w=LONG),
        of_frame(h=float("inf")),
        of_frame(h=-16),
        of_frame(w=True),
        of_frame(fl_x=LONG),
        of_frame(k1=LONG),
        of_frame(k1=1e308),
        of_frame(cx=float("nan")),
        of_frame(camera_model=["PINHOLE"]),
        of_file(depth_unit_scale_factor=LONG),
        of_file(depth_unit_scale_factor=1e300),
        of_file(applied_scale=LONG),
        of_file(applied_transform=matrix(float("nan"))),
        of_file(applied_transform="a"),
        of_file(near=LONG),
        of_file(far=float("nan")),
        of_file(near=[1]),
        of_file(train_filenames=["\ud800"]),
        of_file(train_filenames=[["images/frame_00001.png"]]),
        of_file(frames=[1]),
        of_file(frames={"a": 1}),
    ],
)
def test_fields_of_transforms(tmp_path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    folder = nerfstudio(tmp_path, change)
    with pytest.raises(ViewSetError, match="transforms.json") as caught:
        read_views(folder)
    assert len(str(caught.value).encode()) < 2000  # which is also to say that it can be printed


TEXTS = {
    "digits": DIGITS,
    "brackets": BRACKETS,
    "objects": '{"a":' * 100_000,
    "digits in it": f'{{"frames": [{{"w": {DIGITS}}}]}}',
    "no text": b"\xff\xfe\xfa{}",
    "nothing": "",
    "NUL": "\0" * 100,
}


@pytest.mark.parametrize("name", ["transforms.json", "transforms_train.json"])
@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_texts_of_transforms(tmp_path: Path, name: str, text: str | bytes) -> None:
    (tmp_path / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ViewSetError, match=name):
        read_views(tmp_path)
    with pytest.raises(DatasetError, match=name):
        PosedObjects(tmp_path)[0]


@pytest.mark.parametrize(
    "change",
    [
        of_frame(file_path="a\0b"),
        of_frame(file_path=".."),
        of_frame(transform_matrix=matrix(LONG)),
        of_file(camera_angle_x=LONG),
        of_file(camera_angle_x=float("nan")),
        of_file(camera_angle_x=0),
        of_file(k1=float("inf")),
    ],
)
def test_fields_of_blender(tmp_path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    path = trees.blender(tmp_path, BLENDER) / "transforms_train.json"
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))
    with pytest.raises(ViewSetError, match=r"transforms_train.json") as caught:
        read_views(tmp_path)
    assert len(str(caught.value).encode()) < 2000


@pytest.mark.parametrize("name", ["a\0b.png", "..", ".", "/", "\\", "C:\\a.png", "x" * 3000])
def test_names_in_models_of_colmap(tmp_path: Path, name: str) -> None:
    """In binary files a NUL ends a name, so that what follows is not what must follow."""
    for text in (False, True):
        folder = trees.colmap(tmp_path / str(text), SEEN, text=text)
        path = folder / "sparse/0" / ("images.txt" if text else "images.bin")
        path.write_bytes(path.read_bytes().replace(b"frame_00002.png", name.encode()))
        with pytest.raises(ViewSetError, match="sparse/0") as caught:
            read_views(folder)
        assert len(str(caught.value).encode()) < 8000


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("cameras.txt", "22 16", f"{DIGITS} 16"),
        ("cameras.txt", "22 16", f"{DIGITS[:4000]} 16"),
        ("cameras.txt", "22 16", "99999999999 16"),
        ("cameras.txt", "22 16", "22 16 nan"),
        ("cameras.txt", "1 PINHOLE", f"{DIGITS} PINHOLE"),
        ("images.txt", " 1 frame_00002.png", f" {DIGITS} frame_00002.png"),
        ("images.txt", " 1 frame_00002.png", " 1 \ud800.png"),
        ("images.txt", "7 ", BRACKETS),
    ],
)
def test_texts_of_colmap(tmp_path: Path, file: str, old: str, new: str) -> None:
    path = trees.colmap(tmp_path, SEEN, text=True) / "sparse/0" / file
    assert old in path.read_text()
    path.write_bytes(path.read_text().replace(old, new, 1).encode("utf-8", "surrogatepass"))
    with pytest.raises(ViewSetError, match="sparse/0"):
        read_views(tmp_path)


def test_numbers_of_binary_models(tmp_path: Path) -> None:
    path = trees.colmap(tmp_path, SEEN) / "sparse/0/cameras.bin"
    content = path.read_bytes()
    for at, layout, value in ((16, "<Q", 2**40), (32, "<d", float("inf")), (48, "<d", 1e308)):
        path.write_bytes(content[:at] + struct.pack(layout, value) + content[at + 8 :])
        with pytest.raises(ViewSetError, match="sparse/0"):
            read_views(tmp_path)


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("rendering_metadata.txt", f"{DIGITS} 1 0 1 25\n"),
        ("rendering_metadata.txt", "nan 1 0 1 25\n"),
        ("rendering_metadata.txt", "1 1 0 inf 25\n"),
        ("rendering_metadata.txt", "1 1 0 1e39 25\n"),
        ("rendering_metadata.txt", BRACKETS),
        ("rendering_metadata.txt", "1 1 0 1\n"),
        ("renderings.txt", "a\0b.png\n"),
        ("renderings.txt", "..\n"),
        ("renderings.txt", "/\n"),
        ("renderings.txt", "x" * 5000),
    ],
)
def test_texts_of_r2n2(tmp_path: Path, file: str, text: str) -> None:
    folder = tmp_path / "rendering"
    trees.save(folder / "00.png", np.zeros((137, 137, 4), np.uint8))
    (folder / "rendering_metadata.txt").write_text("1 1 0 1 25\n")
    (folder / "renderings.txt").write_text("00.png\n")
    assert read_cameras(tmp_path).views == 1
    (folder / file).write_text(text)
    with pytest.raises(ViewSetError, match="rendering"):
        read_views(tmp_path)


@pytest.mark.parametrize(
    "facts",
    [
        {"near": LONG},
        {"far": float("nan")},
        {"near": None},
        {"unit": LONG},
        {"unit": float("nan")},
        {"unit": 0},
        {"outputs": 1},
        {"outputs": None},
    ],
)
def test_facts_of_objects(tmp_path: Path, facts: dict[str, Any]) -> None:
    write_views(tmp_path, SEEN, trees.rendered(SEEN), format="colmap")
    given = {"near": 0.1, "far": 10.0, "unit": 0.001, "outputs": ["rgb"]}

    def store(values: dict[str, Any]) -> None:
        cameras = {name: values[name] for name in ("near", "far")}
        content = {"cameras": cameras, "outputs": values["outputs"], "depth": {"unit": values["unit"]}}
        (tmp_path / "object.json").write_text(json.dumps(content))

    store(given)
    assert read_cameras(tmp_path).far == 10
    store({**given, **facts})
    with pytest.raises(ViewSetError, match=r"object.json: damaged, or of another version"):
        read_views(tmp_path)


def test_links_that_lead_round_in_a_circle(tmp_path: Path) -> None:
    folder = trees.nerfstudio(tmp_path / "views", SEEN)
    path = folder / "images/frame_00003.png"
    path.unlink()
    path.symlink_to(path)
    with pytest.raises(ViewSetError, match=r"frame_00003.png"):
        read_views(folder)
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    for name in ("loop", "loop/views", "x" * 5000, "a\0b"):
        with pytest.raises(ViewSetError):
            read_views(tmp_path / name)


def test_what_is_no_file_is_not_read(tmp_path: Path) -> None:
    """A pipe would be waited for without end."""
    folder = trees.nerfstudio(tmp_path, SEEN)
    path = folder / "images/frame_00003.png"
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(ViewSetError, match="frame_00003.png: no such file"):
        read_views(folder)


def npy(header: str) -> bytes:
    text = header.encode()
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x93NUMPY\x01\x00",
        npy("(" * 9000 + "\n"),
        npy("{'descr': '<i4', 'fortran_order': False, 'shape': (16, 99999999999), }\n"),
        npy("{'descr': '|O', 'fortran_order': False, 'shape': (16, 22), }\n"),
        npy("{'descr': '<i4', 'fortran_order': False, 'shape': (16, "),
        npy("'''\n"),
        npy("{'descr': [1], 'fortran_order': 3, 'shape': (16L, 22L), }\n"),
    ],
)
def test_face_indices(tmp_path: Path, content: bytes) -> None:
    from render3d.datasets import PosedSettings

    write_views(tmp_path, SEEN, trees.OpenGL()(trees.MESH, SEEN, ("rgb", "alpha", "face_index")))
    settings = PosedSettings(outputs=("face_index",))
    assert "face_index" in PosedObjects(tmp_path, settings)[0].images
    (tmp_path / "face_index/0002.npy").write_bytes(content)
    with pytest.raises(DatasetError, match="0002.npy: no face indices, broken or truncated"):
        PosedObjects(tmp_path, settings)[0]


@pytest.mark.parametrize("name", ["a\0b.tar", "\ud800.tar", "", ".", "..", "x" * 5000])
def test_names_of_shards(tmp_path: Path, name: str) -> None:
    item = {"id": "a", "label": "", "split": "", "key": "a", "sha256": "0"}
    content = {"count": 1, "shards": [{"name": name, "sha256": "0", "objects": [item]}]}
    (tmp_path / "index.json").write_text(json.dumps(content))
    with pytest.raises(DatasetError):
        next(iter(PosedShards(tmp_path)))
