"""``render3d compare`` as it is typed."""

import importlib
import json
from pathlib import Path

import pytest
import torch

import render3d as r3
from render3d import cli
from render3d.comparison import fits, scenes
from render3d.renderers import OpenGL
from render3d.view_sets import write_views

SMALL = ("--views", "2", "--size", "24", "32", "--rounds", "1")
QUICK = ("--template", "start.obj", "--updates", "4", "--samples", "4", "--evaluate-every", "2")


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """No trials in processes of their own, no long animation."""
    for module in (scenes, fits):
        monkeypatch.setattr(module, "memory_of", lambda *arguments: 1.0)
    report = importlib.import_module("render3d.fitting.fit_report")
    monkeypatch.setattr(report, "turntable", lambda *scene, **size: torch.zeros(2, 3, 8, 8))


@pytest.fixture
def egg(tmp_path: Path) -> Path:
    ball = r3.Mesh.icosphere(2)
    ball.with_vertices(ball.vertices * torch.tensor([0.9, 0.5, 0.6])).save(tmp_path / "egg.obj")
    return tmp_path / "egg.obj"


@pytest.fixture
def views(egg: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory is the folder above, which holds a ``start.obj`` to deform."""
    monkeypatch.chdir(egg.parent)
    r3.Mesh.icosphere(1, 0.95).save(egg.parent / "start.obj")
    cameras = r3.Cameras.sphere(6, 3.0, image_size=(24, 32))
    write_views(egg.parent / "views", cameras, OpenGL()(r3.Mesh.load(egg), cameras))
    return egg.parent / "views"


def run(*words: object) -> int:
    return cli.main(["compare", *map(str, words)])


def test_a_mesh_is_compared(egg: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = egg.parent / "out"
    assert run(egg, "--renderers", "opengl", "pyrender", "nobody", "--out", out, *SMALL) == 0
    shown = capsys.readouterr().out
    assert "nobody did not take part: There is no renderer 'nobody'." in " ".join(shown.split())
    assert "depth, largest" in shown
    assert f"Report: {out / 'report.html'}" in shown
    assert {path.name for path in out.iterdir()} == {"config.json", "metrics.json", "report.html", "opengl", "pyrender"}
    config = json.loads((out / "config.json").read_text())
    assert config["command"] == "compare"
    assert config["made_with"]["torch"]


def test_json_is_all_that_is_printed(egg: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(egg, "--out", egg.parent / "out", "--json", *SMALL) == 0  # all renderers of meshes
    rows = json.loads(capsys.readouterr().out)["renderers"]
    assert {"opengl", "pyrender"} <= set(rows)
    assert not {"emissionabsorption", "maxprojection", "learnedprojection"} & set(rows)
    assert rows["pyrender"]["iou"] > 0.99


def test_a_volume_is_compared_by_the_renderers_of_volumes(egg: Path, capsys: pytest.CaptureFixture[str]) -> None:
    r3.Volume.from_mesh(r3.Mesh.load(egg), 12).save(egg.with_suffix(".npz"))
    assert run(egg.with_suffix(".npz"), "--out", egg.parent / "out", "--json", *SMALL) == 0
    rows = json.loads(capsys.readouterr().out)["renderers"]
    assert {"emissionabsorption", "maxprojection"} <= set(rows)
    assert "opengl" not in rows


def test_views_are_fitted(views: Path, egg: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = views.parent / "out"
    flags = ("--renderers", "opengl", "pyrender", "--out", out, "--truth", egg)
    assert run(views / "transforms.json", *flags, *QUICK) == 0
    captured = capsys.readouterr()
    assert "IoU, held-out views, by opengl" in captured.out
    assert "pyrender: 4/4  loss" in captured.err
    assert (out / "pyrender" / "mesh.glb").is_file()
    assert run(views, *flags, *QUICK, "--resume", "--json") == 0
    captured = capsys.readouterr()
    assert json.loads(captured.out)["renderers"]["opengl"]["chamfer"] > 0
    assert captured.err == ""  # nothing was left to do


def test_volumes_are_fitted(views: Path, capsys: pytest.CaptureFixture[str]) -> None:
    flags = ("--scene", "volume", "--updates", "4", "--resolution", "8", "--levels", "1", "--json")
    assert run(views, "--renderers", "emissionabsorption", "maxprojection", "--out", views.parent / "out", *flags) == 0
    assert json.loads(capsys.readouterr().out)["reference"] == "emissionabsorption"


def test_renderers_of_which_none_can_be_made_leave_no_folder(egg: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(egg, "--renderers", "nobody", "nowhere:Class", "--out", egg.parent / "out", *SMALL) == 1
    message = capsys.readouterr().err
    assert "None of the renderers can be made. nobody: There is no renderer 'nobody'" in message
    assert "nowhere:Class: The renderer 'nowhere:Class' is in a module that cannot be imported" in message
    assert not (egg.parent / "out").exists()


def test_fewer_than_two_that_work_fail_and_are_told(egg: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(egg, "--renderers", "opengl", "nobody", "--out", egg.parent / "out", *SMALL) == 1
    captured = capsys.readouterr()
    assert "nobody did not take part" in captured.out
    assert "Fewer than two renderers worked: nothing was compared." in captured.err
    assert (egg.parent / "out" / "report.html").is_file()


def test_ctrl_c_says_how_to_go_on(
    views: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from render3d.cli.progress import Bar

    flags = (views, "--renderers", "opengl", "pyrender", "--out", views.parent / "out", *QUICK)
    with monkeypatch.context() as patch:
        begin = Bar.begin

        def stop(bar: Bar, name: str, total: int) -> None:
            begin(bar, name, total)
            if name == "pyrender":
                raise KeyboardInterrupt

        patch.setattr(Bar, "begin", stop)
        assert run(*flags) == 130
    message = " ".join(capsys.readouterr().err.split())
    assert "render3d compare: stopped; opengl had finished" in message
    assert "Go on by the same command with --resume." in message
    assert run(*flags, "--resume") == 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("none.obj",), "none.obj: no such file"),
        (("none.binvox",), "none.binvox: no such file"),
        (("none",), "The first word is a mesh or a volume (.obj, .off,"),
        (("none.json",), "none.json: no such file"),
        (
            ("picture.png",),
            "views to fit (a transforms.json, or the folder of an object), or a file that the class of --scene",
        ),
        ((".",), "holds no view set, which is recognised by its files: nerfstudio by transforms.json"),
    ],
)
def test_what_cannot_be_compared_is_told_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], words: tuple[str], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(*words, "--out", "out") == 1
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1
    assert message in lines[0]
    assert not Path("out").exists()


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--renderers", "opengl"), "--renderers must be two renderers at least; got opengl."),
        (("--renderers", "opengl", "opengl"), "--renderers must hold each renderer once"),
        (("--hold-out", "6"), "--hold-out must leave views to fit"),
        (("--scene", "volume", "--template", "egg.obj"), "--template is a mesh to deform"),
        (("--template", "none.obj"), "none.obj: no such file"),
        (("--truth", "none.obj"), "none.obj: no such file"),
        (("--resume",), "There is nothing to resume in"),
    ],
)
def test_bad_flags_fail_in_one_line(
    views: Path, capsys: pytest.CaptureFixture[str], flags: tuple[str, ...], message: str
) -> None:
    assert run(views, "--out", views.parent / "out", *flags) == 1
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1
    assert message in lines[0]
    assert not (views.parent / "out").exists()


def test_the_help_is_that_of_what_is_compared(egg: Path, views: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for words, own, other in (((egg,), "--size", "--hold-out"), ((views,), "--hold-out", "--size")):
        assert run(*words, "--help") == 0
        shown = capsys.readouterr().out
        assert own in shown
        assert other not in shown
    assert run("--help") == 0
    shown = capsys.readouterr().out
    assert "--size" in shown
    assert "--hold-out" in shown
