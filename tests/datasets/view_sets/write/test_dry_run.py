"""A dry run says what a run would do, does as it says, and leaves no trace; meshes may be repaired on the way."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from render3d import Mesh
from render3d.datasets.collections import CollectionObject, open_collection
from render3d.datasets.view_sets.write import LocalEngine, generate, preview
from render3d.datasets.view_sets.write.protocols import Sphere
from render3d.datasets.view_sets.write.run import Advance
from render3d.datasets.view_sets.write.settings import ViewsSettings
from render3d.errors import CapabilityError, DatasetError

SETTINGS = ViewsSettings(protocol=Sphere(views=2, image_size=(24, 24)), outputs=("rgb", "alpha"))
BALL = Mesh.icosphere(1)


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """A ball, one with a face too many, one whose material is missing, what cannot be read, and what is not taken."""
    folder = tmp_path / "models"
    folder.mkdir()
    BALL.save(folder / "plain.obj")
    plain = (folder / "plain.obj").read_text()
    (folder / "broken.obj").write_text(f"{plain}f 1 2 999\n")
    (folder / "grey.obj").write_text("mtllib none.mtl\n" + plain)
    (folder / "torn.obj").write_text("v 1 2\n")
    (folder / "old.fbx").write_text("?")
    return folder


def snapshot(folder: Path) -> dict[Path, tuple[int, int]]:
    return {path: (path.stat().st_mtime_ns, path.stat().st_size) for path in folder.rglob("*")}


@pytest.mark.parametrize("repair", [False, True])
def test_it_says_what_the_run_does_and_writes_nothing(models: Path, tmp_path: Path, engine, repair: bool) -> None:
    settings = dataclasses.replace(SETTINGS, repair=repair)
    before = snapshot(tmp_path)
    states: list[Advance] = []
    seen = preview(open_collection(models), settings, engine, progress=states.append)
    assert snapshot(tmp_path) == before
    assert len(states) == states[-1].total == states[-1].made + states[-1].failed == 4
    result = generate(open_collection(models), settings, tmp_path / "out", engine)
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert list(seen.objects) == [item["id"] for item in manifest["objects"]]
    assert list(seen.objects) == (["broken", "grey", "plain"] if repair else ["grey", "plain"])
    assert [(one.id, one.kind, one.reason, one.sha256) for one in seen.failures] == [
        (one.id, one.kind, one.reason, one.sha256) for one in result.failures
    ]
    assert (seen.skipped, seen.problems) == (result.skipped, result.problems)
    facts = seen.facts()
    assert facts["would_make"] == list(seen.objects)
    assert "cannot read 'v 1 2'" in facts["would_fail"]["torn"]
    assert facts["would_skip"] == {
        str(models / "old.fbx"): "is FBX (.fbx), which is not read; convert it to .glb or .obj"
    }


def test_workers_say_the_same(models: Path, engine) -> None:
    here = preview(open_collection(models), SETTINGS, engine)
    there = preview(open_collection(models), SETTINGS, LocalEngine(1))
    assert there.facts() == here.facts()


def test_settings_that_end_a_run_end_it_too(tmp_path: Path, engine) -> None:
    with pytest.raises(DatasetError, match="There are no objects"):
        preview([], SETTINGS, engine)
    item = CollectionObject("a", tmp_path / "a.obj", tmp_path)
    with pytest.raises(CapabilityError, match="There is no renderer 'crayon'"):
        preview([item], dataclasses.replace(SETTINGS, renderer="crayon"), engine)


def test_repair_leaves_out_what_cannot_be_rendered_and_says_so(models: Path, tmp_path: Path, engine) -> None:
    lost = Mesh(
        torch.cat([BALL.vertices, torch.full((1, 3), torch.nan)]), torch.cat([BALL.faces, torch.tensor([[0, 1, 42]])])
    )
    lost.save(models / "lost.off")
    settings = dataclasses.replace(SETTINGS, repair=True)
    result = generate(open_collection(models), settings, tmp_path / "out", engine)
    texts = {problem.id: problem.text for problem in result.problems if "by the repair" in problem.text}
    assert texts == dict.fromkeys(("broken", "lost"), "1 of its 81 faces were left out by the repair.")
    plain, broken = (
        np.asarray(Image.open(tmp_path / "out" / "objects" / name / "images" / "0000.png"))
        for name in ("plain", "broken")
    )
    np.testing.assert_array_equal(plain, broken)
