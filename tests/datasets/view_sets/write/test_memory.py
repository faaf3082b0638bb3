"""Workers hold as much memory after many objects as after a few."""

import dataclasses
from pathlib import Path

import pytest

from render3d import Mesh
from render3d.datasets.collections import CollectionObject
from render3d.datasets.view_sets.write.engine import Finished, Job, Limits, Outcome
from render3d.datasets.view_sets.write.job import RenderObject
from render3d.datasets.view_sets.write.local import LocalEngine
from render3d.datasets.view_sets.write.protocols import Sphere
from render3d.datasets.view_sets.write.result import MemoryLog, WorkerMemory
from render3d.datasets.view_sets.write.settings import ViewsSettings

ROOT = Path(__file__).resolve().parents[4]
OBJECTS = 48
MESH_MIB = 2.34  # an icosphere of 81,920 faces: three int64 a face, three float32 a vertex
ALLOWED = 50.0  # MiB: half of what would be held if meshes were kept; allocators alone may make a part of it
_kept: list[Mesh] = []


@dataclasses.dataclass(frozen=True)
class KeepsTheLast:
    """As `RenderObject`, and the meshes of the last half of the objects are kept."""

    job: RenderObject

    def __call__(self, item: CollectionObject) -> Outcome:
        if int(item.id) >= OBJECTS:
            _kept.append(item.load())
        return self.job(item)


def test_a_worker_does_not_grow_with_the_number_of_objects(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While nothing is kept; that it grows where meshes are kept is noticed."""
    monkeypatch.syspath_prepend(ROOT)  # workers import this module
    Mesh.icosphere(6).save(tmp_path / "ball.ply")
    objects = [CollectionObject(f"{number:02d}", tmp_path / "ball.ply", tmp_path) for number in range(2 * OBJECTS)]
    job: Job = RenderObject(ViewsSettings(protocol=Sphere(views=1, image_size=(32, 32))), tmp_path)
    free, keeping = MemoryLog(), MemoryLog()
    for outcome in LocalEngine(1).run(KeepsTheLast(job), objects, Limits()):  # type: ignore[arg-type]
        assert isinstance(outcome, Finished), outcome
        (keeping if int(outcome.object.id) >= OBJECTS else free).add(outcome)
    (without,), (with_kept,) = free.by_worker(), keeping.by_worker()
    assert without.objects == with_kept.objects == OBJECTS
    assert without.at_end - without.after_tenth < ALLOWED, without
    assert with_kept.at_end - with_kept.after_tenth > ALLOWED, with_kept
    assert 0.9 * OBJECTS * MESH_MIB > 1.9 * ALLOWED  # what is kept is well above what is allowed


def test_the_log_tells_each_process_of_its_own() -> None:
    log, item = MemoryLog(), CollectionObject("a", Path("a.obj"), Path())
    for number in range(20):
        log.add(Finished(item, {}, "here:1", (100 + number % 13) * 2**20))
    log.add(Finished(item, {}, "there:1", 2**20))
    log.add(Finished(item, {}))
    assert log.by_worker() == (
        WorkerMemory("here:1", 20, after_tenth=102.0, at_end=106.0, most=112.0),
        WorkerMemory("there:1", 1, after_tenth=1.0, at_end=1.0, most=1.0),
    )
