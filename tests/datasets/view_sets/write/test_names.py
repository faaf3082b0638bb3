"""Names of files that are no UTF-8, or that are made to tear lists: one row each, and the run goes on."""

import csv
import json
import os
from pathlib import Path

import pytest

from render3d import Mesh
from render3d.datasets.collections import MeshCollection, open_collection
from render3d.datasets.view_sets.write.protocols import Sphere
from render3d.datasets.view_sets.write.run import generate
from render3d.datasets.view_sets.write.settings import ViewsSettings

SETTINGS = ViewsSettings(protocol=Sphere(views=1, image_size=(16, 16)), outputs=("rgb", "alpha"))
BALL = Mesh.icosphere(1)


def place(folder: Path, name: bytes) -> Path:
    return Path(os.fsdecode(os.fsencode(folder) + b"/" + name))


@pytest.fixture
def objects(tmp_path: Path) -> MeshCollection:
    """A sound mesh, and as sound a one whose name is Latin-1; broken ones whose names are made to do harm."""
    folder = tmp_path / "models"
    folder.mkdir()
    BALL.save(folder / "sound.obj")
    place(folder, b"ch\xe4ir.obj").write_bytes((folder / "sound.obj").read_bytes())
    for name in (b"=1+1.obj", b"@x.obj", b"-x.obj", b"a\rb.obj", b"c\nd.obj", b'e",f.obj'):
        place(folder, name).write_text("v 1 2\n")
    place(folder, b"=f\xff.fbx").write_text("?")
    return open_collection(folder)


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8") as stream:  # also by readers that take \r for the end of a line
        return list(csv.DictReader(stream))


def test_each_is_one_row_and_runs_are_finished_and_resumed_to_the_same_bytes(
    tmp_path: Path, objects: MeshCollection, engine, tree
) -> None:
    out = tmp_path / "out"
    assert generate(objects, SETTINGS, out, engine).made == 1
    rows = rows_of(out / "failures.csv")
    assert sorted(row["source"] for row in rows) == sorted(
        ["'=1+1.obj", "'@x.obj", "'-x.obj", "a\\x0db.obj", "c\nd.obj", 'e",f.obj', "ch\\xe4ir.obj"]
    )
    assert all(len(row) == 7 and row["kind"] == "input" for row in rows)
    (latin,) = (row for row in rows if row["id"] == "ch_ir")
    assert latin["reason"] == (
        "The name of its file, ch\\xe4ir.obj, is not UTF-8, and files of results are: rename it."
    )
    assert [row["path"] for row in rows_of(out / "skipped.csv")] == [f"{tmp_path}/models/=f\\xff.fbx"]
    assert "ch\\xe4ir.obj" in (out / "report.html").read_text()
    before = tree(out)
    engine.asked.clear()
    result = generate(objects, SETTINGS, out, engine, resume=True)
    assert (engine.asked, result.kept, len(result.failures)) == ([], 1, 7)
    assert tree(out) == before


def test_names_that_a_mesh_refers_to_may_be_any_bytes(tmp_path: Path, engine) -> None:
    folder = tmp_path / "models"
    folder.mkdir()
    BALL.save(folder / "a.obj")
    text = (folder / "a.obj").read_bytes()
    (folder / "a.obj").write_bytes(b"mtllib \xc4\xe3.mtl\nusemtl \xba\xc3\n" + text)
    place(folder, b"\xc4\xe3.mtl").write_bytes(b"newmtl \xba\xc3\nKd 1 0 0\n")
    objects, out = open_collection(folder), tmp_path / "out"
    assert generate(objects, SETTINGS, out, engine).made == 1
    engine.asked.clear()
    assert generate(objects, SETTINGS, out, engine, resume=True).kept == 1
    assert engine.asked == []
    json.loads((out / "objects" / "a" / "object.json").read_text(encoding="utf-8"))
