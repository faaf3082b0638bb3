"""Collections of pictures for tests of formats and readers."""

import sys
from pathlib import Path

import pytest

HERE = str(Path(__file__).parent)
if HERE not in sys.path:  # so that the renderer can be named, and this can be imported
    sys.path.insert(0, HERE)

from pictures import LONG, R2N2_VIEWS, make_objects, run_views, views_settings  # noqa: E402

from render3d import Cameras, Rendering  # noqa: E402
from render3d.datasets import PosedObject, PosedSettings, RenderedObjects  # noqa: E402
from render3d.datasets.collections import CollectionObject  # noqa: E402
from render3d.datasets.view_sets.formats.shards import Shards  # noqa: E402
from render3d.datasets.view_sets.read import shards  # noqa: E402
from render3d.datasets.view_sets.write.settings import OUTPUTS  # noqa: E402
from render3d.view_sets import write_views  # noqa: E402

IDS = ["chair/a", "chair/a.b", "chair/a_b", "lone.one", "table/x/y", "__lamp__/Z"]


@pytest.fixture(scope="session")
def objects(tmp_path_factory: pytest.TempPathFactory) -> list[CollectionObject]:
    return make_objects(tmp_path_factory.mktemp("objects"), IDS)


@pytest.fixture(scope="session")
def formats(objects: list[CollectionObject], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The same pictures in each format. Not to be changed: `copied` is for that."""
    root = tmp_path_factory.mktemp("formats")
    names = ("nerfstudio", "r2n2", "shards")
    return {name: run_views(root / name, objects, views_settings(name, R2N2_VIEWS)) for name in names}


@pytest.fixture(scope="session")
def many(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[CollectionObject]]:
    """Thirteen objects, three a shard."""
    root = tmp_path_factory.mktemp("many")
    objects = make_objects(root / "objects", [*(f"{'abc'[n % 3]}/{n}" for n in range(12)), LONG])
    run_views(root / "run", objects, views_settings("shards"))
    Shards(size=3).finish(root / "run", objects)
    return root / "run", objects


@pytest.fixture
def scene(tmp_path: Path) -> Path:
    """A folder of one scene, with all kinds of images."""
    item = make_objects(tmp_path / "objects", ["a"])[0]
    rendered = RenderedObjects([item], views_settings("nerfstudio"), PosedSettings(outputs=OUTPUTS))[0]
    write_views(tmp_path / "scenes" / "chair" / "one", rendered.cameras, Rendering(rendered.images))
    return tmp_path / "scenes"


@pytest.fixture
def undecoded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where order is all that counts, pictures are not decoded."""
    nothing = Cameras.orbit(1, 2.0)
    monkeypatch.setattr(
        shards, "read_object", lambda files, place, label, chosen, epoch: PosedObject(place.id, label, {}, nothing)
    )
