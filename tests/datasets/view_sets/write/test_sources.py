"""What pictures are made from beside the mesh file: noted, compared by ``--resume``, and never read from elsewhere."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from render3d.datasets.collections import CollectionObject, MeshCollection, open_collection
from render3d.datasets.collections.checksums import sha256_of
from render3d.datasets.view_sets.write.engine import Failed
from render3d.datasets.view_sets.write.failures import Failure, append_failure, read_failures
from render3d.datasets.view_sets.write.protocols import Sphere
from render3d.datasets.view_sets.write.run import generate
from render3d.datasets.view_sets.write.settings import ViewsSettings

SETTINGS = ViewsSettings(protocol=Sphere(views=1, image_size=(16, 16)), outputs=("rgb", "alpha"))
TRIANGLE = "v 0 0 0\nv 1 0 0\nv 0 1 1\nvt 0 0\nvt 1 0\nvt 0 1\n"


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """A mesh that refers to two files of materials, one of them missing, and to an image in another folder."""
    folder = tmp_path / "models" / "a"
    folder.mkdir(parents=True)
    (folder / "model.obj").write_text(f"mtllib skins.mtl old ones.mtl\n{TRIANGLE}usemtl skin\nf 1/1 2/2 3/3\n")
    (folder / "skins.mtl").write_text("newmtl skin\nmap_Kd ..\\images\\wood.png\n")
    paint(tmp_path / "models" / "images" / "wood.png", (200, 0, 0))
    plain = folder.with_name("b") / "model.obj"
    plain.parent.mkdir()
    plain.write_text(f"{TRIANGLE}f 1 2 3\n")
    return tmp_path / "models"


def paint(path: Path, color: tuple[int, int, int]) -> None:
    path.parent.mkdir(exist_ok=True)
    Image.new("RGB", (2, 2), color).save(path)


@pytest.fixture
def objects(models: Path) -> MeshCollection:
    return MeshCollection.of([CollectionObject(name, models / name / "model.obj", models) for name in ("a", "b")])


@pytest.fixture
def out(tmp_path: Path, objects: MeshCollection, engine) -> Path:
    generate(objects, SETTINGS, tmp_path / "out", engine)
    engine.asked.clear()
    return tmp_path / "out"


def files_of(out: Path, name: str = "a") -> dict[str, str]:
    return json.loads((out / "objects" / name / "object.json").read_text())["source"]["files"]


def test_materials_and_images_are_noted_by_the_names_that_refer_to_them(out: Path, models: Path) -> None:
    assert files_of(out) == {
        "skins.mtl old ones.mtl": "",
        "skins.mtl": sha256_of(models / "a" / "skins.mtl"),
        "old": "",
        "ones.mtl": "",
        "../images/wood.png": sha256_of(models / "images" / "wood.png"),
    }
    assert files_of(out, "b") == {}


CHANGES = {
    "another image": lambda models: paint(models / "images" / "wood.png", (0, 0, 200)),
    "no image": lambda models: (models / "images" / "wood.png").unlink(),
    "another material": lambda models: (models / "a" / "skins.mtl").write_text("newmtl skin\nKd 0 1 0\n"),
    "a material that was missing": lambda models: (models / "a" / "ones.mtl").write_text("newmtl skin\nKd 0 1 0\n"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_an_object_is_made_again_when_a_file_beside_its_mesh_has_changed(
    out: Path, objects: MeshCollection, models: Path, engine, tree, tmp_path: Path, change: str
) -> None:
    generate(objects, SETTINGS, out, engine, resume=True)
    assert engine.asked == []
    CHANGES[change](models)
    generate(objects, SETTINGS, out, engine, resume=True)
    assert engine.asked == ["a"]
    generate(objects, SETTINGS, tmp_path / "new", engine)
    assert tree(out) == tree(tmp_path / "new")


def test_a_file_outside_the_collection_is_not_read_whatever_refers_to_it(
    out: Path, objects: MeshCollection, models: Path, engine
) -> None:
    secret = models.parent / "secret.mtl"
    secret.write_text("newmtl skin\nKd 1 0 0\n")
    (models / "b" / "model.obj").write_text(f"mtllib ../../secret.mtl\n{TRIANGLE}usemtl skin\nf 1 2 3\n")
    generate(objects, SETTINGS, out, engine, resume=True)
    assert files_of(out, "b") == {"../../secret.mtl": ""}
    assert engine.asked == ["b"]
    path = out / "objects" / "b" / "object.json"
    facts = json.loads(path.read_text())
    facts["source"]["files"] = {os.path.relpath(secret, models / "b"): sha256_of(secret)}
    path.write_text(json.dumps(facts))  # as if it had been
    generate(objects, SETTINGS, out, engine, resume=True)
    assert engine.asked == ["b", "b"]


def test_a_scene_whose_buffer_was_missing_is_tried_again_when_it_is_there(tmp_path: Path, engine) -> None:
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
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "a.gltf").write_text(json.dumps(header))
    objects, out = open_collection(tmp_path / "models"), tmp_path / "out"
    assert [failure.kind for failure in generate(objects, SETTINGS, out, engine).failures] == ["input"]
    generate(objects, SETTINGS, out, engine, resume=True)
    assert engine.asked == ["a"]  # nothing has changed
    positions = np.array([[0, 0, 0], [4, 0, 0], [0, 2, 1]], dtype="<f4")
    (tmp_path / "models" / "a.bin").write_bytes(positions.tobytes())
    assert generate(objects, SETTINGS, out, engine, resume=True).made == 1
    assert files_of(out) == {"a.bin": sha256_of(tmp_path / "models" / "a.bin")}


def test_failures_are_read_back_however_long_they_are(tmp_path: Path, objects: MeshCollection) -> None:
    long = Failure.of(Failed(objects[0], "input", "x" * 300_000, "trace", {"y" * 300_000: ""}))
    short = Failure.of(Failed(objects[1], "input", "short"))
    for failure in (long, short):
        append_failure(tmp_path, failure)
    assert read_failures(tmp_path) == {"a": long, "b": short}


@pytest.mark.parametrize("files", ["", "{", "[1]", "null"])
def test_a_failure_whose_line_is_damaged_is_tried_again(objects: MeshCollection, files: str) -> None:
    failure = Failure("b", "b/model.obj", "input", "?", sha256_of(objects[1].path), files, "")
    assert not failure.would_recur(objects[1])
    assert Failure("b", "b/model.obj", "input", "?", sha256_of(objects[1].path), "{}", "").would_recur(objects[1])
