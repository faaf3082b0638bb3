"""A small collection of meshes, and an engine without processes."""

import dataclasses
import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
import torch

from render3d import Mesh
from render3d.datasets.collections import CollectionObject, MeshCollection, open_collection
from render3d.datasets.view_sets.write.engine import Job, Limits, Outcome
from render3d.datasets.view_sets.write.protocols import Random
from render3d.datasets.view_sets.write.run import generate
from render3d.datasets.view_sets.write.settings import ViewsSettings


@dataclasses.dataclass
class InThisProcess:
    """An engine for tests of all else; it remembers what it was asked to do, and may go backwards."""

    backwards: bool = False
    asked: list[str] = dataclasses.field(default_factory=list)

    def run(self, job: Job, objects: Sequence[CollectionObject], limits: Limits) -> Iterator[Outcome]:
        for item in reversed(objects) if self.backwards else objects:
            self.asked.append(item.id)
            yield job(item)


@pytest.fixture
def engine() -> InThisProcess:
    return InThisProcess()


@pytest.fixture(scope="module")
def in_this_process() -> InThisProcess:
    return InThisProcess()


@pytest.fixture
def backwards() -> InThisProcess:
    return InThisProcess(backwards=True)


@pytest.fixture
def settings() -> ViewsSettings:
    cameras = Random(views=3, image_size=(24, 32))
    return ViewsSettings(protocol=cameras, outputs=("rgb", "alpha", "depth", "normal", "face_index"))


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """Two classes; the mesh of ``flat/broken`` cannot be read."""
    ball = Mesh.icosphere(1)
    colors = (ball.vertices + 1) / 2
    for name, scale in {
        "flat/disc.ply": (1, 0.2, 1),
        "flat/tile.obj": (1, 0.1, 0.5),
        "long/rod.off": (0.2, 2, 0.2),
    }.items():
        path = tmp_path / "models" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        moved = ball.vertices * torch.tensor(scale) + torch.tensor([3.0, 0.0, -1.0])
        Mesh(moved, ball.faces, colors=colors).save(path)
    (tmp_path / "models" / "flat" / "broken.obj").write_text("v 1 2\n")
    return tmp_path / "models"


@pytest.fixture
def objects(models: Path) -> MeshCollection:
    return open_collection(models)


@pytest.fixture
def out(tmp_path: Path, objects: MeshCollection, settings: ViewsSettings, engine) -> Path:
    """A run from beginning to end."""
    generate(objects, settings, tmp_path / "out", engine)
    return tmp_path / "out"


def tree(folder: Path) -> dict[str, str]:
    """The checksum of each file of a run that must not depend on how it came about."""
    volatile = {"config.json", "metrics.json", "report.html", ".lock"}  # dates and times
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name not in volatile
    }


@pytest.fixture(name="tree")
def _tree():
    return tree
