"""Runs: the same bytes however they came about, nothing lost, nothing made twice, nothing that is wrong kept."""

import csv
import itertools
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from render3d.datasets.generation import store
from render3d.datasets.generation.engine import Failed, Limits
from render3d.datasets.generation.local import LocalEngine
from render3d.datasets.generation.protocols import Random
from render3d.datasets.generation.run import Advance, generate
from render3d.datasets.generation.settings import ViewsSettings
from render3d.datasets.shapes import Shape, Shapes, find_shapes
from render3d.datasets.shapes.checksums import sha256_of
from render3d.errors import DatasetError, GenerationError

ROOT = Path(__file__).resolve().parents[3]
WHOLE = ["flat/disc", "flat/tile", "long/rod"]


@pytest.fixture
def out(tmp_path: Path, shapes: Shapes, settings: ViewsSettings, engine) -> Path:
    """A run from beginning to end."""
    generate(shapes, settings, tmp_path / "out", engine)
    return tmp_path / "out"


def edit(path: Path, **changes: object) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_a_run_writes_its_folder(out: Path, shapes: Shapes) -> None:
    assert {path.name for path in out.iterdir()} == {
        ".lock",
        "config.json",
        "failures.csv",
        "manifest.json",
        "metrics.json",
        "objects",
        "report.html",
    }
    manifest = json.loads((out / "manifest.json").read_text())
    assert manifest == {
        "layout": "nerfstudio",
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
    assert failure["sha256"] == sha256_of(shapes[0].path)
    page = (out / "report.html").read_text()
    assert page.count("<img") == 9
    assert "flat/broken" in page


def test_bytes_depend_neither_on_workers_nor_on_their_number_nor_on_the_order(
    tmp_path: Path, shapes: Shapes, settings: ViewsSettings, out: Path, backwards, tree
) -> None:
    generate(shapes, settings, tmp_path / "backwards", backwards)
    generate(shapes, settings, tmp_path / "two", LocalEngine(2))
    generate(shapes, settings, tmp_path / "one", LocalEngine(1))
    generate(shapes[2:], settings, tmp_path / "some", backwards)
    assert len(tree(out)) == 3 * (3 * 4 + 2) + 2
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
    shapes: Shapes, settings: ViewsSettings, out: Path, engine, tree, damage
) -> None:
    whole = tree(out)
    engine.asked.clear()
    damage(out / "objects" / "long" / "rod")
    states: list[Advance] = []
    result = generate(shapes, settings, out, engine, resume=True, progress=states.append)
    assert engine.asked == ["long/rod"]
    assert (result.kept, result.made, len(result.failures)) == (2, 1, 1)
    assert states == [Advance(4, 3, 0, 0), Advance(4, 3, 1, 0)]
    assert tree(out) == whole


def test_objects_of_changed_sources_are_made_again(shapes: Shapes, settings: ViewsSettings, out: Path, engine) -> None:
    engine.asked.clear()
    shapes[2].path.write_bytes(shapes[2].path.read_bytes() + b"\n")
    shapes[3].path.write_text("OFF\n")  # broken now
    result = generate(shapes, settings, out, engine, resume=True)
    assert engine.asked == ["flat/tile", "long/rod"]
    assert [failure.id for failure in result.failures] == ["flat/broken", "long/rod"]
    assert not (out / "objects" / "long" / "rod").exists()  # it is not of this source
    listed = json.loads((out / "manifest.json").read_text())["objects"]
    assert [one["id"] for one in listed] == ["flat/disc", "flat/tile"]
    facts = json.loads((out / "objects" / "flat" / "tile" / "object.json").read_text())
    assert facts["source"]["sha256"] == sha256_of(shapes[2].path)


class FailsOnce:
    """An engine whose first shape fails, in a way of its own."""

    def __init__(self, kind, inner) -> None:
        self.kind, self.inner = kind, inner

    def run(self, job, shapes, limits):
        yield Failed(shapes[0], self.kind, "for the test", 'a "trace",\nof two lines')
        yield from self.inner.run(job, shapes[1:], limits)


@pytest.mark.parametrize("kind", ["timeout", "memory", "crash"])
def test_what_may_go_well_another_time_is_tried_again(
    tmp_path: Path, shapes: Shapes, settings: ViewsSettings, engine, out: Path, tree, kind
) -> None:
    result = generate(shapes[1:], settings, tmp_path / "new", FailsOnce(kind, engine))
    assert [(failure.id, failure.kind) for failure in result.failures] == [("flat/disc", kind)]
    assert result.failures[0].trace == 'a "trace",\nof two lines'
    engine.asked.clear()
    assert generate(shapes, settings, tmp_path / "new", engine, resume=True).made == 1
    assert engine.asked == ["flat/broken", "flat/disc"]
    assert tree(tmp_path / "new") == tree(out)


def test_unusable_sources_are_tried_again_when_they_have_changed(
    shapes: Shapes, settings: ViewsSettings, out: Path, engine
) -> None:
    engine.asked.clear()
    assert generate(shapes, settings, out, engine, resume=True).failures
    assert not engine.asked
    shutil.copy(shapes[2].path, shapes[0].path)
    result = generate(shapes, settings, out, engine, resume=True)
    assert engine.asked == ["flat/broken"]
    assert not result.failures
    assert (out / "failures.csv").read_text().count("\n") == 1  # the heads


def test_settings_must_be_those_of_the_folder(shapes: Shapes, settings: ViewsSettings, out: Path, engine, tree) -> None:
    before = tree(out)
    other = ViewsSettings(protocol=Random(views=5, image_size=(24, 32)), outputs=settings.outputs, seed=3)
    with pytest.raises(GenerationError, match=r"other settings: protocol.views: 3, now 5; seed: 0, now 3. Resume with"):
        generate(shapes, other, out, engine, resume=True)
    with pytest.raises(GenerationError, match="holds views already. Go on with them by --resume"):
        generate(shapes, settings, out, engine)
    (out / "config.json").write_text("{")
    with pytest.raises(GenerationError, match="config.json is damaged"):
        generate(shapes, settings, out, engine, resume=True)
    (out / "config.json").unlink()
    with pytest.raises(GenerationError, match="nothing to resume"):
        generate(shapes, settings, out, engine, resume=True)
    assert tree(out) == before


def test_a_folder_that_another_run_writes_to_is_refused(
    tmp_path: Path, shapes: Shapes, settings: ViewsSettings, engine
) -> None:
    with store.locked(tmp_path / "out"), pytest.raises(GenerationError, match="Another run is writing to"):
        generate(shapes, settings, tmp_path / "out", engine)


def test_shapes_that_would_share_a_place_are_refused(tmp_path: Path, settings: ViewsSettings, engine) -> None:
    inner = [Shape("a", tmp_path / "a.obj", tmp_path), Shape("a/b", tmp_path / "a" / "b.obj", tmp_path)]
    with pytest.raises(DatasetError, match=r"b.obj would be stored inside the object of .*a.obj"):
        generate(inner, settings, tmp_path / "out", engine)
    with pytest.raises(DatasetError, match="no shapes"):
        generate([], settings, tmp_path / "out", engine)
    assert not (tmp_path / "out").exists()


def test_a_full_disk_ends_the_run_and_keeps_what_is_finished(
    tmp_path: Path, shapes: Shapes, settings: ViewsSettings, engine, out: Path, tree, monkeypatch
) -> None:
    original, calls = store._move, []

    def full(partial: Path, target: Path) -> None:
        calls.append(target)
        if len(calls) > 1:
            raise OSError(28, "No space left on device")
        original(partial, target)

    new = tmp_path / "new"
    with monkeypatch.context() as patch:
        patch.setattr(store, "_move", full)
        with pytest.raises(
            GenerationError, match=r"No space left on device. 1 finished objects stay; go on by --resume"
        ):
            generate(shapes, settings, new, engine)
    assert len(calls) == 2  # the third is not even tried
    assert not (new / "manifest.json").exists()
    assert not (new / store.PARTIAL).exists()
    engine.asked.clear()
    assert generate(shapes, settings, new, engine, resume=True).kept == 1
    assert engine.asked == ["flat/tile", "long/rod"]
    assert tree(new) == tree(out)


class _Killed(BaseException):
    pass


def test_a_run_that_dies_at_any_write_goes_on_to_the_same_bytes(
    tmp_path: Path, shapes: Shapes, settings: ViewsSettings, engine, out: Path, tree, monkeypatch
) -> None:
    """Nothing is tidied up, as if the process were gone; half of what is written at that moment is there."""
    expected = tree(out)
    for death in range(7, 100, 7):  # of 42 files and three lists of checksums
        new = tmp_path / f"dies-{death}"
        with monkeypatch.context() as patch:
            patch.setattr(Path, "write_bytes", _dies_at(death))
            patch.setattr(shutil, "rmtree", lambda *_, **__: None)
            try:
                generate(shapes, settings, new, engine)
            except _Killed:
                assert any((new / store.PARTIAL).iterdir())
            else:
                break
        generate(shapes, settings, new, engine, resume=True)
        assert tree(new) == expected
    assert death > 40


def _dies_at(number: int):
    """A ``Path.write_bytes`` that gets half-way, the time of that number."""
    write, calls = Path.write_bytes, itertools.count(1)

    def dies(path: Path, content: bytes) -> int:
        if next(calls) < number:
            return write(path, content)
        write(path, content[: len(content) // 2])
        raise _Killed

    return dies


def test_a_process_group_that_is_killed_at_any_moment_loses_nothing(tmp_path: Path, models: Path, engine, tree) -> None:
    """As Ctrl-C twice, the end of a batch job, or a power cut: SIGKILL for the run and all its workers."""
    for number in range(12):
        shutil.copy(models / "flat" / "disc.ply", models / "flat" / f"disc{number}.ply")
    words = [str(models), "--out", str(tmp_path / "killed"), "--protocol", "random", "--views", "24", "--size", "64"]
    command = [sys.executable, "-m", "render3d", "views", *words, "--workers", "1"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    rng = random.Random(7)
    for resume in ([], ["--resume"]):
        process = subprocess.Popen(
            [*command, *resume],
            start_new_session=True,
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        objects = tmp_path / "killed" / "objects"
        before = len(list(objects.rglob("object.json"))) if resume else 0
        end = time.monotonic() + 120
        while len(list(objects.rglob("object.json"))) < before + 2 and process.poll() is None:
            assert time.monotonic() < end
            time.sleep(0.01)
        time.sleep(rng.uniform(0, 0.2))
        os.killpg(process.pid, signal.SIGKILL)
        _, errors = process.communicate()
        assert process.returncode in (0, -signal.SIGKILL), errors
    settings = ViewsSettings(protocol=Random(views=24, image_size=(64, 64)))
    shapes = find_shapes(models)
    result = generate(shapes, settings, tmp_path / "killed", engine, resume=True)
    assert result.kept >= 4
    generate(shapes, settings, tmp_path / "whole", engine)
    assert tree(tmp_path / "killed") == tree(tmp_path / "whole")


def test_a_torn_line_of_failures_costs_only_itself(shapes: Shapes, settings: ViewsSettings, out: Path, engine) -> None:
    path = out / "failures.csv"
    path.write_text(path.read_text() + 'flat/disc,flat/disc.ply,input,"cannot be')
    engine.asked.clear()
    assert [failure.id for failure in generate(shapes, settings, out, engine, resume=True).failures] == ["flat/broken"]
    assert not engine.asked


def test_a_mesh_of_ten_million_faces_is_ended_by_the_bound_on_memory(tmp_path: Path, settings: ViewsSettings) -> None:
    (tmp_path / "models").mkdir()
    with (tmp_path / "models" / "large.obj").open("w") as stream:
        stream.write("v 0 0 0\nv 1 0 0\nv 0 1 0\n")
        stream.writelines(["f 1 2 3\n" * 1000] * 10_000)
    shapes = find_shapes(tmp_path / "models")
    result = generate(shapes, settings, tmp_path / "out", LocalEngine(1), Limits(60, 3 * 2**28))
    assert [failure.kind for failure in result.failures] == ["memory"]
    assert not (tmp_path / "out" / "objects").exists()
