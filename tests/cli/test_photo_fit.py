"""``render3d fit`` without a template, as it is typed: photographs in, a textured mesh out."""

import importlib
import json
from pathlib import Path

import pytest
import torch

import render3d as r3
from render3d import cli
from render3d.cli.fit import stages_of
from render3d.cli.progress import Bar
from render3d.fitting import FitSettings, TemplateFitSettings
from render3d.fitting.levels import Level
from render3d.fitting.task import renderer_for
from render3d.renderers import OpenGL
from render3d.view_sets import read_cameras, write_views

pytestmark = pytest.mark.usefixtures("small_turntables", "quick")

DRAFT = ("--quality", "draft")


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """A few updates, and a hull of large cubes."""
    shape = Level(stage="shape", pixels=64, updates=4)
    colour = Level(stage="colour", pixels=64, updates=2, rounds=1, smoothness=4.0, rgb=1.0)
    levels = importlib.import_module("render3d.fitting.levels")
    monkeypatch.setattr(levels, "_LEVELS", dict.fromkeys(("draft", "normal", "high"), (shape, colour)))
    fit = importlib.import_module("render3d.fitting.fit")  # the package has a function of that name
    hull = fit.visual_hull
    monkeypatch.setattr(fit, "visual_hull", lambda views: hull(views, resolution=24))


@pytest.fixture
def egg() -> r3.Mesh:
    ball = r3.Mesh.icosphere(3)
    vertices = ball.vertices * torch.tensor([0.9, 0.5, 0.6])
    return r3.Mesh(vertices, ball.faces, colors=0.5 + 0.4 * (4 * vertices).sin())


@pytest.fixture
def views(tmp_path: Path, egg: r3.Mesh) -> Path:
    cameras = r3.Cameras.sphere(10, 3.0, image_size=(32, 40))
    images = OpenGL(r3.Shading.unlit())(egg, cameras, ("rgb", "alpha", "depth", "normal"))
    write_views(tmp_path / "views", cameras, images)
    egg.save(tmp_path / "egg.ply")
    return tmp_path / "views"


def run(*words: object) -> int:
    return cli.main(["fit", *map(str, words)])


def test_a_textured_mesh_is_made(views: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = views.parent / "out"
    assert run(views, "--out", out, *DRAFT, "--truth", views.parent / "egg.ply") == 0
    shown, progress = capsys.readouterr()
    words = " ".join(shown.split())
    for expected in ("IoU, held-out", "PSNR, held-out", "visual hull", "chamfer / radius", "F1 at 1 %"):
        assert expected in words
    assert f"Report: {out / 'report.html'}" in shown
    for stage, count in (("hull", 1), ("shape", 4), ("colour", 2), ("texture", 1)):
        assert f"8 views, 2 held out {stage}: {count}/{count}  loss" in progress
    assert {"mesh.glb", "mesh.obj", "mesh.mtl", "stages", "rounds", "report.html"} <= {p.name for p in out.iterdir()}
    assert r3.Mesh.load(out / "mesh.glb").texture is not None
    config = json.loads((out / "config.json").read_text())
    assert config["settings"]["quality"] == "draft"
    assert config["made_with"]["renderer"] == "OpenGL"
    truth = json.loads((out / "metrics.json").read_text())["truth"]["fit"]
    assert 0 < truth["visible"]["chamfer"] < 0.2


def test_json_is_all_that_is_printed_and_is_json(views: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def refuse(word: str) -> None:
        raise AssertionError(f"{word} is no JSON")

    assert run(views, "--out", views.parent / "out", *DRAFT, "--hold-out", 2, "--json", "--quiet") == 0
    shown, progress = capsys.readouterr()
    facts = json.loads(shown, parse_constant=refuse)
    assert progress == ""
    assert {"fit", "shape", "visual hull", "topology", "truth", "unseen", "remarks"} == set(facts)
    assert facts["fit"]["held_out_psnr"] > 15
    assert facts["topology"]["euler_number"] == 2


@pytest.mark.parametrize(
    ("flags", "last"),
    [
        (("--until", "shape"), "shape"),
        (("--until", "colour"), "colour"),
        (("--appearance", "vertices"), "texture"),
        (("--appearance", "none"), "colour"),
    ],
)
def test_a_fit_ends_where_it_is_told_to(views: Path, flags: tuple[str, ...], last: str) -> None:
    out = views.parent / "out"
    assert run(views, "--out", out, *DRAFT, *flags) == 0
    assert json.loads((out / "metrics.json").read_text())["history"][-1]["stage"] == last
    mesh = r3.Mesh.load(out / "mesh.glb")
    assert mesh.texture is None
    assert (mesh.colors is not None) == ("vertices" in flags)
    assert (out / "stages" / f"{last}.glb").exists()


def test_a_stopped_fit_goes_on_and_may_go_further(
    views: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, stopped = views.parent / "whole", views.parent / "stopped"
    assert run(views, "--out", whole, *DRAFT) == 0
    with monkeypatch.context() as patch:

        def stop(bar: Bar, done: int, state: str) -> None:
            if done == 2:  # of the shape
                raise KeyboardInterrupt

        patch.setattr(Bar, "advance", stop)
        assert run(views, "--out", stopped, *DRAFT, "--until", "shape") == 130
    message = " ".join(capsys.readouterr().err.split())
    assert "nothing is lost. Go on by the same command with --resume." in message
    assert run(views, "--out", stopped, *DRAFT, "--resume", "--until", "shape") == 0
    assert run(views, "--out", stopped, *DRAFT, "--resume") == 0
    assert (stopped / "mesh.glb").read_bytes() == (whole / "mesh.glb").read_bytes()
    assert run(views, "--out", stopped, "--quality", "high", "--resume") == 1
    assert "settings.quality was draft and is high" in " ".join(capsys.readouterr().err.split())


def test_remarks_are_shown_to_people_and_to_programs(views: Path, capsys: pytest.CaptureFixture[str]) -> None:
    few = json.loads((views / "transforms.json").read_text())
    few["frames"] = few["frames"][::2]
    (views / "transforms.json").write_text(json.dumps(few))
    assert run(views, "--out", views.parent / "out", *DRAFT, "--hold-out", 0) == 0
    said = "There are 5 views. Few silhouettes allow many shapes"
    assert said in " ".join(capsys.readouterr().out.split())
    assert said in (views.parent / "out" / "report.html").read_text(encoding="utf-8")
    assert said in (views.parent / "out" / "metrics.json").read_text(encoding="utf-8")


def test_depth_and_normals_are_read_if_they_are_weighed(views: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shape = (*DRAFT, "--until", "shape")
    assert run(views, "--out", views.parent / "plain", *shape) == 0
    assert run(views, "--out", views.parent / "deep", *shape, "--depth", 1, "--normal", 0.5) == 0
    plain, deep = (r3.Mesh.load(views.parent / name / "mesh.glb") for name in ("plain", "deep"))
    assert not torch.equal(plain.vertices, deep.vertices)
    cameras = read_cameras(views)
    write_views(views.parent / "flat", cameras, OpenGL()(deep, cameras))
    capsys.readouterr()
    assert run(views.parent / "flat", "--out", views.parent / "none", *shape, "--depth", 1) == 1
    assert "depth" in capsys.readouterr().err
    assert not (views.parent / "none").exists()


def test_masks_are_passed_on(views: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    module = importlib.import_module("render3d.cli.fit")
    asked: list[str | None] = []

    def read(*arguments: object, masks: str | None, **keywords: object) -> None:
        asked.append(masks)
        raise r3.errors.ViewSetError("that is all")

    monkeypatch.setattr(module, "read_views", read)
    for flags in ((), ("--masks", "grabcut")):
        assert run(views, "--out", views.parent / "out", *flags) == 1
    assert asked == [None, "grabcut"]
    assert run(views, "--out", views.parent / "out", "--masks", "magic") == 2


@pytest.mark.parametrize(
    ("flags", "status", "message"),
    [
        (("--quality", "best"), 2, "--quality"),
        (("--until", "hull"), 2, "--until"),
        (("--appearance", "gold"), 2, "--appearance"),
        (("--truth", "none.obj"), 1, "none.obj: no such file"),
        (("--samples", "1"), 1, "--samples must be at least 2; got 1."),
        (("--depth=-1",), 1, "--depth must be zero or positive; got -1.0."),
        (("--hold-out", "10"), 1, "--hold-out must leave views to fit"),
        (("--resume",), 1, "There is nothing to resume"),
    ],
)
def test_bad_flags_are_told_and_leave_no_folder(
    views: Path, capsys: pytest.CaptureFixture[str], flags: tuple[str, ...], status: int, message: str
) -> None:
    assert run(views, "--out", views.parent / "out", *flags) == status
    assert message in capsys.readouterr().err
    assert not (views.parent / "out").exists()


def test_only_fits_to_photographs_are_without_lights() -> None:
    for name in ("opengl", "pyrender"):
        assert renderer_for(name, FitSettings()).shading == r3.Shading.unlit()
        assert renderer_for(name, TemplateFitSettings()).shading == r3.Shading()
    assert renderer_for("emissionabsorption", FitSettings()).capabilities.name == "EmissionAbsorption"  # has no lights


def test_renderers_render_without_lights(views: Path) -> None:
    for name in ("pyrender", "opengl"):
        assert run(views, "--out", views.parent / name, *DRAFT, "--renderer", name, "--appearance", "vertices") == 0
    by_name = {
        name: json.loads((views.parent / name / "metrics.json").read_text())["fit"]["held_out_psnr"]
        for name in ("pyrender", "opengl")
    }
    assert by_name["pyrender"] == pytest.approx(by_name["opengl"], abs=2)


def test_the_updates_of_the_stages_are_those_of_the_settings() -> None:
    assert stages_of(FitSettings()) == {"hull": 1, "shape": 4, "colour": 2, "texture": 1}
    assert stages_of(FitSettings(until="shape")) == {"hull": 1, "shape": 4}


def test_it_is_compared_through_several_renderers_without_lights(
    views: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    fits = importlib.import_module("render3d.comparison.fits")
    monkeypatch.setattr(fits, "memory_of", lambda *arguments: 1.0)
    out = views.parent / "compared"
    flags = ("--renderers", "opengl", "pyrender", *DRAFT, "--truth", views.parent / "egg.ply", "--json")
    assert cli.main(["compare", str(views), "--out", str(out), *map(str, flags)]) == 0
    rows = json.loads(capsys.readouterr().out)["renderers"]
    assert {rows[name]["failure"] for name in rows} == {None}
    assert run(views, "--out", views.parent / "alone", *DRAFT) == 0
    folders = views.parent / "alone", out / "opengl"
    alone, among = (json.loads((folder / "metrics.json").read_text()) for folder in folders)
    assert among["fit"] == alone["fit"]
