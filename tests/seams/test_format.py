"""A format of view sets from outside the package goes wherever nerfstudio's goes."""

import json
from pathlib import Path
from typing import Any

import format_parts
import pytest
import torch

import render3d as r3
from render3d import cli
from render3d.datasets import PosedObjects, PosedSettings, RenderedObjects
from render3d.datasets.collections import open_collection
from render3d.datasets.view_sets.write.settings import ViewsSettings
from render3d.errors import DatasetError, ViewSetError
from render3d.view_sets import read_cameras, read_views, write_views
from render3d.view_sets.files import Files

pytestmark = pytest.mark.usefixtures("small_turntables")

NPZ = "format_parts:Npz"
OUTPUTS = ("rgb", "alpha", "depth", "normal", "face_index")


FLAGS = ("--format", NPZ, "--views", "5", "--size", "24", "--outputs", *OUTPUTS, "--workers", "1", "--json")


def run(capsys: pytest.CaptureFixture[str], *words: object) -> dict[str, Any]:
    """What a command prints, run in this process."""
    assert cli.main([*map(str, words)]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run over two models."""
    root = tmp_path_factory.mktemp("format")
    for name, stretch in (("balls/long", (1.0, 0.5, 0.4)), ("balls/round", (1.0, 1.0, 1.0))):
        ball = r3.Mesh.icosphere(2)
        path = root / "models" / f"{name}.ply"
        path.parent.mkdir(parents=True, exist_ok=True)
        ball.with_vertices(ball.vertices * torch.tensor(stretch)).save(path)
    assert cli.main(["views", str(root / "models"), "--out", str(root / "npz"), *FLAGS]) == 0
    return root / "npz"


def test_a_run_stores_it_by_its_full_name_and_is_resumed(made: Path, capsys: pytest.CaptureFixture[str]) -> None:
    stored = made / "objects/balls/long/views.npz"
    assert sorted(path.name for path in stored.parent.iterdir()) == ["object.json", "views.npz"]
    assert json.loads((made / "config.json").read_text())["settings"]["format"] == NPZ
    manifest = json.loads((made / "manifest.json").read_text())
    assert (manifest["format"], manifest["count"]) == (NPZ, 2)
    assert "Contact sheet" in (made / "report.html").read_text()
    whole = stored.read_bytes()
    stored.write_bytes(whole[:-1])
    found = run(capsys, "views", made.parent / "models", "--out", made, *FLAGS, "--resume")
    assert (found["kept"], found["made"]) == (1, 1)
    assert stored.read_bytes() == whole


def test_what_is_read_is_what_was_rendered_to_the_bit(made: Path) -> None:
    settings = PosedSettings(outputs=OUTPUTS, views=3, verify=True)
    making = ViewsSettings.from_json(json.loads((made / "config.json").read_text())["settings"])
    found, expected = (
        PosedObjects(made, settings),
        RenderedObjects(open_collection(made.parent / "models"), making, settings),
    )
    assert found.ids == expected.ids == ("balls/long", "balls/round")
    for number in range(2):
        one, other = found[number], expected[number]
        assert one.label == other.label == 0
        assert torch.equal(one.cameras.world_to_camera, other.cameras.world_to_camera)
        assert (one.cameras.near, one.cameras.far) == (other.cameras.near, other.cameras.far)
        assert all(torch.equal(one.images[name], other.images[name]) for name in OUTPUTS)


def test_a_folder_without_a_list_is_read_where_the_format_is_named(made: Path) -> None:
    found = PosedObjects(made / "objects", format=NPZ)
    assert (found.ids, found.classes) == (("balls/long", "balls/round"), ("balls",))
    with pytest.raises(
        DatasetError, match="holds no views, read as nerfstudio or as blender or as colmap or as r2n2 or as"
    ):
        PosedObjects(made / "objects")


def test_an_object_is_a_view_set_that_can_be_fitted(
    made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = made / "objects/balls/long"
    found = read_views(place, NPZ)
    assert len(found) == 5
    assert torch.equal(read_cameras(place, NPZ).intrinsics, found.cameras.intrinsics)
    flags = ("--quality", "draft", "--until", "shape", "--json")
    measures = run(capsys, "fit", place, "--format", NPZ, "--out", tmp_path / "fit", *flags)
    assert measures["fit"]["training_iou"] > 0.3


def test_a_rendering_is_written_and_read_to_the_bit(tmp_path: Path) -> None:
    cameras = r3.Cameras.orbit(3, 3.0, image_size=(12, 16))
    rendering = r3.renderers.OpenGL()(r3.Mesh.icosphere(1), cameras)
    assert write_views(tmp_path, cameras, rendering, format=NPZ) == tmp_path / "views.npz"
    found = read_views(tmp_path, NPZ)
    assert torch.equal(found.cameras.world_to_camera, cameras.world_to_camera)
    assert found.rgb is not None
    assert torch.equal(found.rgb, rendering.rgb)
    assert found.names == ("0000", "0001", "0002")


class Divided(format_parts.Npz):
    """The same, of which the last two views are held out."""

    def open(self, files: Files) -> format_parts.Arrays:
        found = super().open(files)
        found.splits = (*("train",) * (found.cameras.views - 2), "val", "test")
        return found


def test_a_format_may_say_what_is_held_out(tmp_path: Path) -> None:
    cameras = r3.Cameras.orbit(5, 3.0, image_size=(12, 16))
    write_views(tmp_path, cameras, r3.renderers.OpenGL()(r3.Mesh.icosphere(1), cameras), format=NPZ)
    training, held_out = read_views(tmp_path, f"{__name__}:Divided").split()
    assert (training.names, held_out.names) == (("0000", "0001", "0002"), ("0003", "0004"))
    assert held_out.splits == ("val", "test")


@pytest.mark.parametrize("missing", ["alpha", "rgb"])
def test_images_that_are_missing_or_of_another_size_are_named(missing: str) -> None:
    images = {name: torch.zeros(2, 1, 4, 6) for name in ("rgb", "alpha") if name != missing}
    stored = format_parts.Arrays(r3.Cameras.orbit(2, 3.0, image_size=(4, 5)), images)
    with pytest.raises(ViewSetError, match=f"view 0000: there is no {missing} of this view"):
        stored.read([0], ("rgb", "alpha"))
    with pytest.raises(ViewSetError, match="view 0001: is 4 x 6 .height x width. and its camera 4 x 5"):
        stored.read([1], (), optional=("rgb", "alpha"))


def test_what_is_no_format_is_refused_before_it_is_called(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text(json.dumps({"format": "format_parts:NoFormat", "objects": []}))
    with pytest.raises(DatasetError, match="'format_parts:NoFormat' is not a format of view sets: .* subclass of Form"):
        PosedObjects(tmp_path)
    with pytest.raises(ViewSetError, match="There is no format of view sets 'nerfstudo'. Did you mean 'nerfstudio'"):
        read_views(tmp_path, "nerfstudo")
