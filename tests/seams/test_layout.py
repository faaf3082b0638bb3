"""A layout of collections from outside the package goes wherever ShapeNet's goes."""

import json
from pathlib import Path

import pytest

import render3d as r3
from render3d import cli
from render3d.datasets.collections import open_collection
from render3d.errors import DatasetError

INDEXED = "layout_parts:Indexed"


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """A folder that no layout of the package knows: meshes three folders deep, and a list of them."""
    folder = tmp_path / "models"
    (folder / "a/b/c").mkdir(parents=True)
    r3.Mesh.icosphere(1).save(folder / "a/b/c/1.ply")
    r3.Mesh.icosphere(2).save(folder / "a/b/c/2.ply")
    r3.Mesh.icosphere(1).save(tmp_path / "outside.ply")
    files = {"ball": "a/b/c/1.ply", "globe": "a/b/c/2.ply", "none": "a/3.ply", "outside": "../outside.ply"}
    entries = [{"name": f"round/{name}", "file": file, "class": "round thing"} for name, file in files.items()]
    (folder / "index.json").write_text(json.dumps(entries))
    return folder


def test_it_finds_objects_and_the_package_checks_them(models: Path) -> None:
    found = open_collection(models, INDEXED)
    assert [(item.id, item.label) for item in found] == [("round/ball", "round thing"), ("round/globe", "round thing")]
    reasons = [(skip.path.name, skip.reason) for skip in found.skipped]
    assert reasons == [("3.ply", "is missing"), ("outside.ply", f"lies outside {models}")]
    assert found[1].load().faces.shape == (320, 3)


def test_the_command_takes_it_and_resumes(models: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = models.parent / "out"
    words = ["views", str(models), "--out", str(out), "--layout", INDEXED]
    words += ["--views", "2", "--size", "16", "--workers", "1", "--json"]
    assert cli.main(words) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["kept"], found["made"], found["skipped"]) == (0, 2, 2)
    assert cli.main([*words, "--resume"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["kept"], found["made"], found["skipped"]) == (2, 0, 2)
    objects = json.loads((out / "manifest.json").read_text())["objects"]
    assert [(item["place"], item["label"]) for item in objects] == [
        ("objects/round/ball", "round thing"),
        ("objects/round/globe", "round thing"),
    ]


def test_names_that_are_no_layout_are_refused(models: Path) -> None:
    with pytest.raises(DatasetError, match="no layout of collections 'clases'. Did you mean 'classes'. Known: shapen"):
        open_collection(models, "clases")
    with pytest.raises(DatasetError, match="'json:loads' is not a layout of collections: .* subclass of Collection"):
        open_collection(models, "json:loads")
