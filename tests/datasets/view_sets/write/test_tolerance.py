"""Collections as they come: what is wrong with a model costs as little as can be, and is told."""

import csv
import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from render3d import Mesh
from render3d.datasets.collections import open_collection
from render3d.datasets.view_sets.write.protocols import Sphere
from render3d.datasets.view_sets.write.result import ViewsResult
from render3d.datasets.view_sets.write.run import generate
from render3d.datasets.view_sets.write.settings import ViewsSettings

SETTINGS = ViewsSettings(protocol=Sphere(views=2, image_size=(24, 24)), outputs=("rgb", "alpha"))
BALL = Mesh.icosphere(1)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, in_this_process) -> tuple[Path, ViewsResult]:
    """Balls of which each has one fault, and what is no model at all."""
    root = tmp_path_factory.mktemp("tolerance")
    folder = root / "models"
    BALL.save(write(folder / "plain.obj"))
    dataclasses.replace(BALL, faces=BALL.faces.flip(1)).save(folder / "inside_out.obj")
    half = dataclasses.replace(BALL, faces=BALL.faces.clone())
    half.faces[::2] = half.faces[::2].flip(1)
    half.save(folder / "half_flipped.obj")
    write(root / "secret.mtl", "newmtl skin\nKd 1 0 0\n")
    for name, materials in {
        "no_material": None,
        "broken_material": "newmtl skin\nKd red\nd\nmap_Kd\n",
        "no_image": "newmtl skin\nmap_Kd none.png\n",
        "bomb": "newmtl skin\nmap_Kd bomb.png\n",
        "outside": None,
    }.items():
        library = "../secret.mtl" if name == "outside" else f"{name}.mtl"
        write(folder / f"{name}.obj", f"mtllib {library}\nusemtl skin\n" + (folder / "plain.obj").read_text())
        if materials is not None:
            write(folder / f"{name}.mtl", materials)
    Image.new("1", (9_500, 9_500)).save(folder / "bomb.png")  # of a few kB, and more pixels than are read
    write(folder / "empty.obj")
    (folder / "link.obj").symlink_to(root / "secret.mtl")
    write(folder / "lines.obj", "v 0 0 0\nv 1 0 0\nl 1 2\n")
    write(folder / "torn.ply", "ply\nformat ascii 1.0\nelement vertex 9\n")
    objects = open_collection(folder)
    return root / "out", generate(objects, SETTINGS, root / "out", in_this_process)


def write(path: Path, text: str = "") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def pixels(out: Path, name: str) -> np.ndarray:
    paths = sorted((out / "objects" / name / "images").iterdir())
    return np.stack([np.asarray(Image.open(path)) for path in paths])


@pytest.mark.parametrize("name", ["inside_out", "half_flipped"])
def test_flipped_faces_look_like_others(run: tuple[Path, ViewsResult], name: str) -> None:
    out, _ = run
    plain = pixels(out, "plain")
    assert plain[..., 3].any()
    assert len(np.unique(plain[..., 0])) > 5  # it is lit from somewhere
    np.testing.assert_array_equal(pixels(out, name), plain)


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("no_material", "It refers to 'no_material.mtl', which is missing"),
        ("broken_material", "Material 'skin' has a line that cannot be read: 'Kd red'"),
        ("no_image", "It refers to 'none.png', which is missing"),
        ("bomb", "Its texture 'bomb.png' is no image that can be read"),
        ("outside", "It refers to '../secret.mtl', which lies outside its folder"),
    ],
)
def test_what_is_wrong_with_materials_costs_the_colours_and_is_told(
    run: tuple[Path, ViewsResult], name: str, problem: str
) -> None:
    out, _ = run
    np.testing.assert_array_equal(pixels(out, name), pixels(out, "plain"))
    facts = json.loads((out / "objects" / name / "object.json").read_text())
    assert any(problem in told for told in facts["problems"]), facts["problems"]


def test_models_of_nothing_fail_and_what_is_no_model_is_skipped_and_both_are_told(
    run: tuple[Path, ViewsResult],
) -> None:
    out, result = run
    with (out / "failures.csv").open(newline="") as stream:
        failed = {row["id"]: (row["kind"], row["reason"]) for row in csv.DictReader(stream)}
    assert {name: kind for name, (kind, _) in failed.items()} == {"lines": "input", "torn": "input"}
    assert "no faces" in failed["lines"][1]
    assert {skip.path.name: skip.reason for skip in result.skipped} == {
        "empty.obj": "is empty",
        "link.obj": f"lies outside {out.parent / 'models'}",
    }
    page = (out / "report.html").read_text()
    assert json.loads((out / "metrics.json").read_text())["skipped"] == 2
    assert "is empty" in page
    assert "no faces" in page


def test_credits_are_in_the_record_the_manifest_and_the_page(tmp_path: Path, engine) -> None:
    for name in ("chair", "stool"):
        BALL.save(write(tmp_path / "models" / f"{name}.ply"))
    text = "path,creator,licence\nchair.ply,Ada <ada@example.org>,CC BY 4.0\nstool.ply,,\n"
    objects = open_collection(write(tmp_path / "models" / "list.csv", text))
    out = tmp_path / "out"
    generate(objects, SETTINGS, out, engine)
    expected = {"chair": ("Ada <ada@example.org>", "CC BY 4.0"), "stool": ("", "")}
    records = [json.loads((out / "objects" / name / "object.json").read_text()) for name in expected]
    for told in (records, json.loads((out / "manifest.json").read_text())["objects"]):
        assert {one["id"]: (one["creator"], one["licence"]) for one in told} == expected
    page = (out / "report.html").read_text()
    assert "<td>chair</td><td>Ada &lt;ada@example.org&gt;</td><td>CC BY 4.0</td>" in page
    assert "<td>stool</td><td>-</td>" not in page
