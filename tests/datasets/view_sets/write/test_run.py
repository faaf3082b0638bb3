"""Runs: the same bytes however they came about, nothing lost, nothing made twice, nothing that is wrong kept."""

import csv
import json
import shutil
from pathlib import Path

import pytest

from render3d.datasets.collections import CollectionObject, MeshCollection
from render3d.datasets.collections.checksums import sha256_of
from render3d.datasets.view_sets.write import store
from render3d.datasets.view_sets.write.engine import Failed
from render3d.datasets.view_sets.write.local import LocalEngine
from render3d.datasets.view_sets.write.protocols import Random
from render3d.datasets.view_sets.write.run import Advance, generate
from render3d.datasets.view_sets.write.settings import ViewsSettings
from render3d.errors import DatasetError, GenerationError, RendererError
from render3d.optional import Library

WHOLE = ["flat/disc", "flat/tile", "long/rod"]


def test_a_run_writes_its_folder(out: Path, objects: MeshCollection) -> None:
    assert {path.name for path in out.iterdir()} == {
        ".lock",
        "config.json",
        "failures.csv",
        "manifest.json",
        "metrics.json",
        "objects",
        "problems.csv",
        "report.html",
        "skipped.csv",
    }
    manifest = json.loads((out / "manifest.json").read_text())
    assert manifest == {
        "format": "nerfstudio",
        "count": 3,
        "objects": [
            {
                "id": name,
                "label": name.split("/")[0],
                "split": "",
                "creator": "",
                "licence": "",
                "place": f"objects/{name}",
                "sha256": sha256_of(out / "objects" / name / "object.json"),
            }
            for name in WHOLE
        ],
    }
    metrics = json.loads((out / "metrics.json").read_text())
    assert (metrics["made"], metrics["failed"], metrics["views"]) == (3, 1, 9)
    assert metrics["failed_by_kind"] == {"input": 1}
    assert sum(metrics["shares"].values()) == pytest.approx(1)
    with (out / "failures.csv").open(newline="") as stream:
        (failure,) = csv.DictReader(stream)
    assert (failure["id"], failure["source"], failure["kind"]) == ("flat/broken", "flat/broken.obj", "input")
    assert "line 1: cannot read 'v 1 2'" in failure["reason"]
    assert "Traceback" in failure["trace"]
    assert failure["sha256"] == sha256_of(objects[0].path)
    page = (out / "report.html").read_text()
    assert page.count("<img") == 9
    assert "flat/broken" in page


def test_bytes_depend_neither_on_workers_nor_on_their_number_nor_on_the_order(
    tmp_path: Path, objects: MeshCollection, settings: ViewsSettings, out: Path, backwards, tree
) -> None:
    generate(objects, settings, tmp_path / "backwards", backwards)
    generate(objects, settings, tmp_path / "two", LocalEngine(2))
    generate(objects, settings, tmp_path / "one", LocalEngine(1))
    generate(objects[2:], settings, tmp_path / "some", backwards)
    assert len(tree(out)) == 3 * (3 * 4 + 3) + 4
    for name in ("backwards", "two", "one"):
        assert tree(tmp_path / name) == tree(out)
    workers = json.loads((tmp_path / "two" / "metrics.json").read_text())["memory_mib"]
    assert sum(worker["objects"] for worker in workers) == 3
    assert all(50 < worker["after_tenth"] <= worker["most"] < 4096 for worker in workers)
    assert workers[0]["worker"] in (tmp_path / "two" / "report.html").read_text()
    some = {name: value for name, value in tree(tmp_path / "some").items() if name.startswith("objects")}
    assert some
    assert some.items() <= tree(out).items()


@pytest.mark.parametrize(
    "damage",
    [
        shutil.rmtree,
        lambda place: (place / "object.json").unlink(),
        lambda place: (place / "depth" / "0001.png").unlink(),
        lambda place: (place / "images" / "0000.png").write_bytes(b"\x89PNG"),
    ],
)
def test_what_is_missing_or_damaged_is_made_again_and_nothing_else(
    objects: MeshCollection, settings: ViewsSettings, out: Path, engine, tree, damage
) -> None:
    whole = tree(out)
    engine.asked.clear()
    damage(out / "objects" / "long" / "rod")
    states: list[Advance] = []
    result = generate(objects, settings, out, engine, resume=True, progress=states.append)
    assert engine.asked == ["long/rod"]
    assert (result.kept, result.made, len(result.failures)) == (2, 1, 1)
    assert states == [Advance(4, 3, 0, 0), Advance(4, 3, 1, 0)]
    assert tree(out) == whole


def test_objects_of_changed_sources_are_made_again(
    objects: MeshCollection, settings: ViewsSettings, out: Path, engine
) -> None:
    engine.asked.clear()
    objects[2].path.write_bytes(objects[2].path.read_bytes() + b"\n")
    objects[3].path.write_text("OFF\n")  # broken now
    result = generate(objects, settings, out, engine, resume=True)
    assert engine.asked == ["flat/tile", "long/rod"]
    assert [failure.id for failure in result.failures] == ["flat/broken", "long/rod"]
    assert not (out / "objects" / "long" / "rod").exists()  # it is not of this source
    listed = json.loads((out / "manifest.json").read_text())["objects"]
    assert [one["id"] for one in listed] == ["flat/disc", "flat/tile"]
    facts = json.loads((out / "objects" / "flat" / "tile" / "object.json").read_text())
    assert facts["source"]["sha256"] == sha256_of(objects[2].path)


class FailsOnce:
    """An engine whose first object fails, in a way of its own."""

    def __init__(self, kind, inner) -> None:
        self.kind, self.inner = kind, inner

    def run(self, job, objects, limits):
        yield Failed(objects[0], self.kind, "for the test", 'a "trace",\nof two lines')
        yield from self.inner.run(job, objects[1:], limits)


@pytest.mark.parametrize("kind", ["timeout", "memory", "crash"])
def test_what_may_go_well_another_time_is_tried_again(
    tmp_path: Path, objects: MeshCollection, settings: ViewsSettings, engine, out: Path, tree, kind
) -> None:
    result = generate(objects[1:], settings, tmp_path / "new", FailsOnce(kind, engine))
    assert [(failure.id, failure.kind) for failure in result.failures] == [("flat/disc", kind)]
    assert result.failures[0].trace == 'a "trace",\nof two lines'
    engine.asked.clear()
    assert generate(objects, settings, tmp_path / "new", engine, resume=True).made == 1
    assert engine.asked == ["flat/broken", "flat/disc"]
    assert tree(tmp_path / "new") == tree(out)


def test_unusable_sources_are_tried_again_when_they_have_changed(
    objects: MeshCollection, settings: ViewsSettings, out: Path, engine
) -> None:
    engine.asked.clear()
    assert generate(objects, settings, out, engine, resume=True).failures
    assert not engine.asked
    shutil.copy(objects[2].path, objects[0].path)
    result = generate(objects, settings, out, engine, resume=True)
    assert engine.asked == ["flat/broken"]
    assert not result.failures
    assert (out / "failures.csv").read_text().count("\n") == 1  # the heads


def test_settings_must_be_those_of_the_folder(
    objects: MeshCollection, settings: ViewsSettings, out: Path, engine, tree
) -> None:
    before = tree(out)
    other = ViewsSettings(protocol=Random(views=5, image_size=(24, 32)), outputs=settings.outputs, seed=3)
    with pytest.raises(GenerationError, match=r"run: protocol.views was 3 and is 5; seed was 0 and is 3. Resume with"):
        generate(objects, other, out, engine, resume=True)
    with pytest.raises(GenerationError, match="holds a run already. Go on with it by --resume"):
        generate(objects, settings, out, engine)
    (out / "config.json").write_text("{")
    with pytest.raises(GenerationError, match="config.json is damaged"):
        generate(objects, settings, out, engine, resume=True)
    (out / "config.json").unlink()
    with pytest.raises(GenerationError, match="nothing to resume"):
        generate(objects, settings, out, engine, resume=True)
    assert tree(out) == before


def test_a_folder_that_another_run_writes_to_is_refused(
    tmp_path: Path, objects: MeshCollection, settings: ViewsSettings, engine
) -> None:
    with store.locked(tmp_path / "out"), pytest.raises(GenerationError, match="Another run is writing to"):
        generate(objects, settings, tmp_path / "out", engine)


def test_objects_that_would_share_a_place_are_refused(tmp_path: Path, settings: ViewsSettings, engine) -> None:
    inner = [
        CollectionObject("a", tmp_path / "a.obj", tmp_path),
        CollectionObject("a/b", tmp_path / "a" / "b.obj", tmp_path),
    ]
    with pytest.raises(DatasetError, match=r"b.obj would be stored inside the object of .*a.obj"):
        generate(inner, settings, tmp_path / "out", engine)
    with pytest.raises(DatasetError, match="no objects"):
        generate([], settings, tmp_path / "out", engine)
    assert not (tmp_path / "out").exists()


def test_what_is_missing_is_known_before_the_folder_is_made(
    tmp_path: Path, objects: MeshCollection, engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Library, "is_installed", False)
    with pytest.raises(RendererError, match="nvdiffrast is not installed"):
        generate(objects, ViewsSettings(renderer="nvdiffrast"), tmp_path / "out", engine)
    with pytest.raises(GenerationError, match="nothing to resume"):
        generate(objects, ViewsSettings(), tmp_path / "out", engine, resume=True)
    assert not (tmp_path / "out").exists()


def test_a_torn_line_of_failures_costs_only_itself(
    objects: MeshCollection, settings: ViewsSettings, out: Path, engine
) -> None:
    path = out / "failures.csv"
    path.write_text(path.read_text() + 'flat/disc,flat/disc.ply,input,"cannot be')
    engine.asked.clear()
    assert [failure.id for failure in generate(objects, settings, out, engine, resume=True).failures] == ["flat/broken"]
    assert not engine.asked
