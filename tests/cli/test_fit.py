"""``render3d fit`` as it is typed."""

import errno
import json
from pathlib import Path

import pytest
import torch

import render3d as r3
from render3d import cli
from render3d.errors import FitError
from render3d.renderers import OpenGL
from render3d.runs import checkpoint
from render3d.view_sets import write_views

pytestmark = pytest.mark.usefixtures("small_turntables")

QUICK = ("--template", "start.obj", "--updates", "6", "--samples", "4", "--evaluate-every", "2")
QUICK_VOLUME = ("--scene", "volume", "--updates", "6", "--resolution", "16", "--levels", "2", "--evaluate-every", "2")


class Impatient:
    """OpenGL whose user presses Ctrl-C at the third call."""

    calls = 0

    def __init__(self) -> None:
        self._renderer = OpenGL()
        self.capabilities = self._renderer.capabilities

    def __call__(self, *arguments, **keywords):
        Impatient.calls += 1
        if Impatient.calls == 3:
            raise KeyboardInterrupt
        return self._renderer(*arguments, **keywords)


@pytest.fixture
def views(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An egg from all round; the working directory is the folder above, which holds a ``start.obj`` to deform."""
    monkeypatch.chdir(tmp_path)
    r3.Mesh.icosphere(1, 0.95).save(tmp_path / "start.obj")
    ball = r3.Mesh.icosphere(2)
    model = ball.with_vertices(ball.vertices * torch.tensor([0.9, 0.5, 0.6]))
    cameras = r3.Cameras.sphere(6, 3.0, image_size=(24, 32))
    write_views(tmp_path / "views", cameras, OpenGL()(model, cameras))
    return tmp_path / "views"


def run(*words: object) -> int:
    return cli.main(["fit", *map(str, words)])


@pytest.mark.parametrize("renderer", ["opengl", "pyrender"])
def test_a_fit_writes_its_folder(views: Path, capsys: pytest.CaptureFixture[str], renderer: str) -> None:
    out = views.parent / "out"
    assert run(views, "--out", out, "--renderer", renderer, *QUICK) == 0
    shown, progress = capsys.readouterr()
    assert "5 views, 1 held out: 6/6  loss" in progress
    assert "visual hull" in shown
    assert f"Report: {out / 'report.html'}" in shown
    assert {path.name for path in out.iterdir()} == {
        "checkpoint.safetensors",
        "config.json",
        "mesh.glb",
        "mesh.obj",
        "metrics.json",
        "report.html",
    }
    assert r3.Mesh.load(out / "mesh.obj").faces.shape == (80, 3)


def test_json_is_all_that_is_printed(views: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(views, "--out", views.parent / "out", "--hold-out", 2, "--json", *QUICK) == 0
    measures = json.loads(capsys.readouterr().out)
    assert 0 < measures["fit"]["held_out_iou"] <= 1
    assert {"fit", "best sphere", "visual hull"} <= set(measures)


def test_nothing_need_be_held_out(views: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(views, "--out", views.parent / "out", "--hold-out", 0, "--json", *QUICK) == 0
    assert json.loads(capsys.readouterr().out)["fit"]["held_out_iou"] is None


def test_a_template_is_deformed_and_keeps_its_faces(views: Path) -> None:
    r3.Mesh.icosphere(1, 0.5).save(views.parent / "start.stl")  # a format that splits every vertex
    out = views.parent / "out"
    assert run(views, "--out", out, *QUICK, "--template", views.parent / "start.stl") == 0
    fitted = r3.Mesh.load(out / "mesh.obj")
    assert (len(fitted.vertices), len(fitted.faces)) == (42, 80)


@pytest.mark.parametrize("renderer", ["emissionabsorption", "MaxProjection"])
def test_a_volume_writes_its_folder(views: Path, capsys: pytest.CaptureFixture[str], renderer: str) -> None:
    out = views.parent / "out"
    flags = ("--renderer", renderer, "--total-variation", "0.01", "--sparsity=0.001", *QUICK_VOLUME)
    assert run(views, "--out", out, *flags) == 0
    shown, progress = capsys.readouterr()
    assert "5 views, 1 held out" in progress
    assert "visual hull" in shown
    assert r3.Volume.load(out / "volume.npz").resolution == (16, 16, 16)
    settings = json.loads((out / "config.json").read_text())["settings"]
    assert (settings["total_variation"], settings["sparsity"], settings["levels"]) == (0.01, 0.001, 2)


def test_a_volume_goes_through_emission_and_absorption_by_default_and_is_resumed(
    views: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from render3d.cli.progress import Bar

    out = views.parent / "out"
    with monkeypatch.context() as patch:

        def stop(bar: Bar, done: int, state: str) -> None:
            raise KeyboardInterrupt

        patch.setattr(Bar, "advance", stop)
        assert run(views, "--out", out, *QUICK_VOLUME) == 130
    assert "nothing is lost. Go on by the same command with --resume." in " ".join(capsys.readouterr().err.split())
    assert run(views, "--out", out, "--resume", "--json", *QUICK_VOLUME) == 0
    assert {"fit", "fit, as a mesh", "visual hull"} <= set(json.loads(capsys.readouterr().out))
    config = json.loads((out / "config.json").read_text())
    assert config["made_with"]["renderer"] == "EmissionAbsorption"


def test_the_help_is_that_of_the_kind_of_scene(capsys: pytest.CaptureFixture[str]) -> None:
    for words, own, other in (
        ((), "--until", "--updates"),
        (("--template", "start.obj"), "--smoothness", "--until"),
        (("--scene", "volume"), "--sparsity", "--samples"),
        (("--scene=volume",), "--total-variation", "--noise"),
    ):
        assert run(*words, "--help") == 0
        shown = capsys.readouterr().out
        assert own in shown
        assert other not in shown


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("--scene", "volume", "--renderer", "opengl"), "A volume is to be fitted, and OpenGL renders Mesh."),
        (("--renderer", "maxprojection"), "A mesh is to be fitted, and MaxProjection renders Volume."),
        (
            ("--scene", "volume", "--renderer", "learnedprojection"),
            "learnedprojection would be a new network, which makes noise. Take emissionabsorption",
        ),
        (("--scene", "volume", "--template", "ball.obj"), "--template is a mesh to deform"),
        (("--scene", "volume", "--resolution", "2"), "--resolution must be at least 4; got 2."),
        (("--scene", "volume", "--resume"), "There is nothing to resume"),
    ],
)
def test_flags_that_do_not_go_together_fail_in_one_line(
    views: Path, capsys: pytest.CaptureFixture[str], change: tuple[str, ...], message: str
) -> None:
    assert run(views, "--out", views.parent / "out", *change) == 1
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1
    assert message in lines[0]
    assert not (views.parent / "out").exists()


@pytest.mark.parametrize(
    ("flags", "owner", "asked"),
    [
        (("--scene", "volume", "--samples", "3"), "without --template", "with --scene volume"),
        (("--sparsity=3",), "with --scene volume", "without --template"),
        (("--total_variation", "3"), "with --scene volume", "without --template"),
        (("--smoothness", "3"), "with --template", "without --template"),
        (("--template", "start.obj", "--until", "shape"), "without --template", "with --template"),
        (("--scene=volume", "--quality", "draft"), "without --template", "with --scene volume"),
    ],
)
@pytest.mark.parametrize("command", ["fit", "compare"])
def test_flags_of_another_kind_of_fit_are_wrong_usage(
    views: Path, capsys: pytest.CaptureFixture[str], command: str, flags: tuple[str, ...], owner: str, asked: str
) -> None:
    assert cli.main([command, str(views), "--out", str(views.parent / "out"), *flags]) == 2
    flag = next(word.partition("=")[0] for word in reversed(flags) if word.startswith("--"))
    assert f"{flag} is a flag of a fit {owner}; this is a fit {asked}." in capsys.readouterr().err


def test_settings_of_the_other_kind_are_refused_from_python(views: Path) -> None:
    from render3d.cli.fit import fit

    with pytest.raises(FitError, match="settings must be VolumeFitSettings with scene=volume and no template; got Fit"):
        fit(views, out=views.parent / "out", scene="volume")
    with pytest.raises(FitError, match="settings must be TemplateFitSettings with scene=mesh and a template; got Fit"):
        fit(views, out=views.parent / "out", template=views.parent / "start.obj")


def test_ctrl_c_loses_nothing(views: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    from render3d.fitting import task

    whole, stopped = views.parent / "whole", views.parent / "stopped"
    assert run(views, "--out", whole, *QUICK) == 0
    impatient = Impatient()
    monkeypatch.setattr(task, "make_renderer", lambda name: impatient)
    assert run(views, "--out", stopped, *QUICK) == 130
    message = " ".join(capsys.readouterr().err.split())
    assert "stopped after 1 of 6 updates; nothing is lost. Go on by the same command with --resume." in message
    assert run(views, "--out", stopped, "--resume", *QUICK) == 0
    ours, theirs = (r3.Mesh.load(folder / "mesh.obj").vertices for folder in (stopped, whole))
    assert torch.equal(ours, theirs)


def test_a_full_disk_is_told_in_one_line(
    views: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(checkpoint, "atomic_write", full)
    assert run(views, "--out", views.parent / "out", *QUICK) == 1
    message = " ".join(capsys.readouterr().err.split())
    assert "No space left on device. What was saved there before is intact: make room, and resume." in message


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("--renderer", "opengel"), "There is no renderer 'opengel'. Did you mean 'opengl'? Known: opengl, pyrender"),
        (("--template", "none.obj"), "none.obj"),
        (("--hold-out", "6"), "--hold-out must leave views to fit: 0 to 5 of these 6; got 6."),
        (("--device", "abacus"), "Nothing can be computed on the device 'abacus'"),
        (("--samples", "1"), "--samples must be at least 2; got 1."),
        (("--resume",), "There is nothing to resume"),
    ],
)
def test_bad_flags_fail_in_one_line(
    views: Path, capsys: pytest.CaptureFixture[str], change: tuple[str, ...], message: str
) -> None:
    assert run(views, "--out", views.parent / "out", *QUICK, *change) == 1
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1
    assert message in lines[0]
    assert not (views.parent / "out").exists()


def test_views_that_are_not_there_fail_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(tmp_path / "nothing", "--out", tmp_path / "out") == 1
    assert "no such file or folder. Give a transforms.json, or the folder of an object." in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
