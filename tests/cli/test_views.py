"""``render3d views`` as it is typed."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from render3d import Cameras, Mesh, cli
from render3d.cli import views
from render3d.datasets.view_sets.write.engine import Limits
from render3d.datasets.view_sets.write.local import LocalEngine
from render3d.datasets.view_sets.write.settings import ViewsSettings
from render3d.renderers import Shading
from render3d.view_sets.transforms import camera_transforms

QUICK = ("--views", "2", "--size", "16", "--workers", "1")


@pytest.fixture
def models(tmp_path: Path) -> Path:
    for name in ("round/ball", "round/globe", "other/thing"):
        path = tmp_path / "models" / f"{name}.ply"
        path.parent.mkdir(parents=True, exist_ok=True)
        Mesh.icosphere(1).save(path)
    (tmp_path / "models" / "other" / "broken.obj").write_text("v 1 2\n")
    return tmp_path / "models"


def run(*words: object) -> int:
    return cli.main(["views", *map(str, words)])


def test_views_are_made_and_resumed(models: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = models.parent / "out"
    assert run(models, "--out", out, *QUICK) == 0
    shown = capsys.readouterr().out
    assert "6 views in" in shown
    assert "failed: input" in shown
    assert f"Report: {out / 'report.html'}" in shown
    assert run(models, "--out", out, *QUICK) == 1
    assert "Go on with it by --resume" in capsys.readouterr().err
    assert run(models, "--out", out, *QUICK, "--resume", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["kept"], found["made"], found["failed"], found["views"]) == (3, 0, 1, 0)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> dict:
    """What the command would have had done."""
    given: dict = {}

    def record(objects, settings, folder, engine, limits, **rest):
        given.update(objects=objects, settings=settings, folder=folder, engine=engine, limits=limits, **rest)
        raise KeyboardInterrupt

    monkeypatch.setattr(views, "generate", record)
    return given


def test_flags_become_settings(models: Path, asked: dict, capsys: pytest.CaptureFixture[str]) -> None:
    words = "--protocol orbit --views 5 --size 32 --distance 4 --fov 30 --near 2 --far 6 --outputs alpha depth"
    words += " --radius 1.5 --up z --samples-per-pixel 4 --seed 9 --limit 1 --classes round --workers 3"
    words += " --timeout 7 --memory 0.5 --repair --shading smooth --background 0 0.5 1"
    assert run(models, "--out", "here", *words.split()) == 130
    assert "nothing is lost. Go on by the same command with --resume" in capsys.readouterr().err
    settings: ViewsSettings = asked["settings"]
    protocol = settings.to_json()["protocol"]
    assert protocol == {
        "class": "render3d.datasets.view_sets.write.protocols:Orbit",
        "views": 5,
        "distance": 4.0,
        "vertical_fov_degrees": 30.0,
        "image_size": [32, 32],
        "near": 2.0,
        "far": 6.0,
        "elevation_degrees": 20.0,
    }
    assert (settings.outputs, settings.radius, settings.up, settings.seed) == (("alpha", "depth"), 1.5, "z", 9)
    assert settings.repair
    assert (settings.shading.samples_per_pixel, settings.shading.normals) == (4, "smooth")
    assert settings.shading.background == pytest.approx((0, ((0.5 + 0.055) / 1.055) ** 2.4, 1))  # sRGB
    assert settings.shading.lights == Shading().lights
    assert [item.id for item in asked["objects"]] == ["round/ball"]
    assert asked["engine"] == LocalEngine(3)
    assert asked["limits"] == Limits(7.0, 2**29)
    assert asked["resume"] is False


def test_plain_words_give_the_defaults(models: Path, asked: dict) -> None:
    run(models, "--out", "here")
    assert asked["settings"] == ViewsSettings()
    assert asked["limits"] == Limits()
    run(models, "--out", "here", "--protocol", "r2n2")
    assert asked["settings"].radius == 0.5
    run(models, "--out", "here", "--keep-size")
    assert asked["settings"].radius is None
    run(models, "--out", "here", "--shading", "unlit")
    assert asked["settings"].shading == Shading.unlit()


def test_cameras_may_come_from_a_file(models: Path, asked: dict) -> None:
    cameras = Cameras.sphere(2, 3.0, image_size=(8, 8))
    path = models.parent / "transforms.json"
    path.write_text(json.dumps(camera_transforms(cameras)))
    run(models, "--out", "here", "--protocol", path)
    found = asked["settings"].protocol(np.random.default_rng(0))
    torch.testing.assert_close(found.world_to_camera, cameras.world_to_camera, atol=1e-6, rtol=0)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--protocol r2n2 --size 64", "--protocol r2n2 takes no --size; leave it out."),
        ("--protocol spiral.json", "spiral.json: no such file"),
        ("--protocol spiral.json --views 3", "--protocol spiral.json takes no --views"),
        ("--keep-size --radius 2", "exclude each other"),
        ("--address here:1", "--engine local takes no --address"),
        (
            "--format heap",
            "There is no format of view sets 'heap'. Known: nerfstudio, blender, colmap, r2n2, shards; or module:Name",
        ),
        ("--layout modelnt", "There is no layout of collections 'modelnt'. Did you mean 'modelnet'?"),
        ("--outputs rgb", "--outputs must hold 'alpha'"),
        ("--classes square", "--classes must be of other, round; got square"),
        ("--background 0 0 255", "--background must be three numbers from 0 to 1; got 0.0 0.0 255.0"),
        ("--dry-run --resume", "--dry-run looks at all objects, not at what is missing in --out; leave out --resume."),
        ("--layout flat", "no object can be used, read as flat"),
        ("--workers 0", "--workers must be at least 1"),
        ("--renderer crayon", "There is no renderer 'crayon'"),
    ],
)
def test_what_cannot_be_is_said_in_a_line(
    models: Path, capsys: pytest.CaptureFixture[str], words: str, message: str
) -> None:
    assert run(models, "--out", models.parent / "out", *words.split()) == 1
    error = capsys.readouterr().err
    assert message in error
    assert error.startswith("render3d views: ")
    assert not (models.parent / "out").exists()


def test_models_that_are_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(tmp_path / "none", "--out", tmp_path / "out") == 1
    assert "no such folder or file" in capsys.readouterr().err


def test_all_that_a_folder_holds_adds_up_in_the_summary(models: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = (models / "other" / "thing.ply").read_bytes()
    (models / "other" / "deeper").mkdir()
    (models / "other" / "deeper" / "thing.ply").write_bytes(text)
    (models / "round" / "ball.fbx").write_text("?")
    Mesh.icosphere(1).save(models / "other" / "grey.obj")
    grey = (models / "other" / "grey.obj").read_text()
    (models / "other" / "grey.obj").write_text("mtllib none.mtl\n" + grey)
    out = models.parent / "out"
    for words, made in (("--dry-run", "would be made"), ("", "stored")):
        assert run(models, "--out", out, *QUICK, *words.split()) == 0
        shown = capsys.readouterr().out
        rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in shown.splitlines() if line.startswith("│")]
        assert [made, "4", "1"] in rows
        assert ["files not taken", "2", ""] in rows
        assert ["It refers to …, which is missing from its folder ….", "1"] in rows
        assert "is FBX (.fbx), which is not read" in shown
        assert "--layout recursive" in shown
        assert out.exists() == (made == "stored")
        if made == "stored":
            assert ["failed: input", "1", ""] in rows
            assert all(f"{out / name}.csv" in shown for name in ("failures", "problems", "skipped"))
        else:
            assert ["would be refused", "1", ""] in rows
            assert "other/broken: " in shown


def test_several_paths_have_short_ids(models: Path, capsys: pytest.CaptureFixture[str]) -> None:
    paths = (models / "round" / "ball.ply", models / "other" / "thing.ply", models / "round")
    out = models.parent / "out"
    assert run(*paths, "--out", out, *QUICK, "--dry-run", "--json") == 0
    assert json.loads(capsys.readouterr().out)["would_make"] == ["ball", "round/globe", "thing"]
    assert not out.exists()
