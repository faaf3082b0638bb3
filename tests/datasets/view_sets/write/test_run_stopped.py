"""Runs that end before their time: by a full disk, by being killed, by a mesh that is too large."""

import itertools
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from render3d import Mesh
from render3d.datasets.collections import MeshCollection, open_collection
from render3d.datasets.view_sets.write import store
from render3d.datasets.view_sets.write.engine import Limits
from render3d.datasets.view_sets.write.local import LocalEngine
from render3d.datasets.view_sets.write.protocols import Random
from render3d.datasets.view_sets.write.run import generate
from render3d.datasets.view_sets.write.settings import ViewsSettings
from render3d.errors import GenerationError

ROOT = Path(__file__).resolve().parents[4]


def test_a_full_disk_ends_the_run_and_keeps_what_is_finished(
    tmp_path: Path, objects: MeshCollection, settings: ViewsSettings, engine, out: Path, tree, monkeypatch
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
            generate(objects, settings, new, engine)
    assert len(calls) == 2  # the third is not even tried
    assert not (new / "manifest.json").exists()
    assert not (new / store.PARTIAL).exists()
    engine.asked.clear()
    assert generate(objects, settings, new, engine, resume=True).kept == 1
    assert engine.asked == ["flat/tile", "long/rod"]
    assert tree(new) == tree(out)


class _Killed(BaseException):
    pass


def test_a_run_that_dies_at_any_write_goes_on_to_the_same_bytes(
    tmp_path: Path, objects: MeshCollection, settings: ViewsSettings, engine, out: Path, tree, monkeypatch
) -> None:
    """Nothing is tidied up, as if the process were gone; half of what is written at that moment is there."""
    expected = tree(out)
    for death in range(7, 100, 7):  # of 42 files and three lists of checksums
        new = tmp_path / f"dies-{death}"
        with monkeypatch.context() as patch:
            patch.setattr(Path, "write_bytes", _dies_at(death))
            patch.setattr(shutil, "rmtree", lambda *_, **__: None)
            try:
                generate(objects, settings, new, engine)
            except _Killed:
                assert any((new / store.PARTIAL).iterdir())
            else:
                break
        generate(objects, settings, new, engine, resume=True)
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
    objects = open_collection(models)
    result = generate(objects, settings, tmp_path / "killed", engine, resume=True)
    assert result.kept >= 4
    generate(objects, settings, tmp_path / "whole", engine)
    assert tree(tmp_path / "killed") == tree(tmp_path / "whole")


def test_a_mesh_of_ten_million_faces_is_ended_by_the_bound_on_memory_and_costs_only_itself(
    tmp_path: Path, settings: ViewsSettings
) -> None:
    (tmp_path / "models").mkdir()
    for name in ("ball", "moon"):
        Mesh.icosphere(1).save(tmp_path / "models" / f"{name}.obj")
    with (tmp_path / "models" / "large.obj").open("w") as stream:
        stream.write("v 0 0 0\nv 1 0 0\nv 0 1 0\n")
        stream.writelines(["f 1 2 3\n" * 1000] * 10_000)
    objects = open_collection(tmp_path / "models")
    result = generate(objects, settings, tmp_path / "out", LocalEngine(1), Limits(60, 3 * 2**28))
    assert [(failure.id, failure.kind) for failure in result.failures] == [("large", "memory")]
    assert "more than 0.75 GiB" in result.failures[0].reason
    assert [path.name for path in sorted((tmp_path / "out" / "objects").iterdir())] == ["ball", "moon"]
