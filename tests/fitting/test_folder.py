"""A fit as a folder."""

import dataclasses
import importlib
import json
import re
from pathlib import Path

import pytest
import torch

from render3d import Mesh
from render3d.errors import FitError, RendererError
from render3d.fitting import FitRecord, FitTask, Measure, TemplateFitSettings, fit_template, fit_to_folder, measure
from render3d.optional import Library
from render3d.renderers import Kaolin, Nvdiffrast, OpenGL
from render3d.view_sets import ViewSet

REPORT = importlib.import_module("render3d.fitting.fit_report")  # the module has a function of that name
WRITTEN = {"checkpoint.safetensors", "config.json", "mesh.glb", "mesh.mtl", "mesh.obj", "metrics.json", "report.html"}


@pytest.fixture(autouse=True)
def small_animation(monkeypatch: pytest.MonkeyPatch) -> None:
    """One of the usual size takes a second."""
    frames = torch.zeros(2, 3, 8, 8)
    monkeypatch.setattr(REPORT, "turntable", lambda mesh, renderer, *, views, size: frames)


@pytest.fixture
def split(make_views, ellipsoid) -> tuple[ViewSet, ViewSet]:
    return make_views(ellipsoid, views=8).split(held_out=2)


def stop_at_five(record: FitRecord) -> None:
    if record.update == 5:
        raise KeyboardInterrupt


def metrics(folder: Path) -> dict:
    def refuse(word: str) -> None:
        raise AssertionError(f"{word} is no JSON")

    return json.loads((folder / "metrics.json").read_text(encoding="utf-8"), parse_constant=refuse)


def without_seconds(content: dict) -> dict:
    history = [{**record, "seconds": None} for record in content["history"]]
    return {**content, "seconds": None, "history": history}


def test_the_folder_holds_the_mesh_the_settings_the_figures_and_a_page(split, renderer, quick, tmp_path):
    out = tmp_path / "some" / "where"
    measures = fit_to_folder(out, FitTask(*split, settings=quick), renderer).measures
    files = {path.name for path in out.iterdir()}
    assert files == WRITTEN - {"mesh.mtl"}
    config = json.loads((out / "config.json").read_text())
    settings = {name: tuple(v) if isinstance(v, list) else v for name, v in config["settings"].items()}
    assert TemplateFitSettings(**settings) == quick.chosen_for(renderer)  # with what was left to it
    assert config["made_with"]["renderer"] == "OpenGL"
    assert (out / "report.html").read_text(encoding="utf-8").startswith("<!doctype html>")
    assert list(measures) == ["fit", "best sphere", "convex hull of the visual hull", "visual hull"]


def test_the_figures_are_those_of_the_fit_and_of_the_baselines(split, renderer, quick, tmp_path):
    measures = fit_to_folder(tmp_path, FitTask(*split, settings=quick), renderer).measures
    content = metrics(tmp_path)
    assert {name: Measure(**content[name]) for name in measures} == measures
    result = fit_template(split[0], None, renderer, quick, held_out=split[1])
    assert measures["fit"] == measure(result.mesh, *split, renderer)
    assert measures["visual hull"].training_iou > measures["best sphere"].training_iou
    assert content["updates"] == 12
    assert content["seconds"] == content["history"][-1]["seconds"] > 0
    history = [dataclasses.asdict(record) for record in result.records if record.training_iou is not None]
    assert without_seconds(content)["history"] == without_seconds({"history": history})["history"]


def test_without_held_out_views_their_figures_are_null(views, renderer, quick, tmp_path):
    fit_to_folder(tmp_path, FitTask(views, settings=quick), renderer)
    fitted = metrics(tmp_path)["fit"]
    assert (fitted["held_out_iou"], fitted["held_out_disagreement"]) == (None, None)
    assert fitted["training_iou"] > 0


def test_the_meshes_read_back_are_the_fitted_one(split, renderer, quick, tmp_path):
    fit_to_folder(tmp_path, FitTask(*split, settings=quick), renderer)
    expected = fit_template(split[0], None, renderer, quick).mesh
    for name in ("mesh.glb", "mesh.obj"):
        mesh = Mesh.load(tmp_path / name)
        assert torch.equal(mesh.faces, expected.faces)
        assert torch.equal(mesh.vertices, expected.vertices)


def test_a_template_with_colours_is_fitted_and_keeps_them_in_the_files(split, renderer, quick, tmp_path):
    ball = Mesh.icosphere(1, 0.8)
    colors = torch.rand(len(ball.faces), 3, generator=torch.Generator().manual_seed(0))
    fit_to_folder(tmp_path, FitTask(*split, dataclasses.replace(ball, face_colors=colors), quick), renderer)
    found = Mesh.load(tmp_path / "mesh.obj").face_colors
    torch.testing.assert_close(found, colors, atol=1e-3, rtol=0)
    assert {path.name for path in tmp_path.iterdir()} == WRITTEN


def test_meshes_to_compare_with_are_measured_as_well(split, ellipsoid, renderer, quick, tmp_path):
    measures = fit_to_folder(
        tmp_path, FitTask(*split, settings=quick), renderer, compare_with={"the truth": ellipsoid}
    ).measures
    assert measures["the truth"] == Measure(training_iou=1.0, held_out_iou=1.0, held_out_disagreement=0.0)
    assert metrics(tmp_path)["the truth"]["held_out_iou"] == 1.0
    assert "the truth" in (tmp_path / "report.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["fit", "seconds", "updates", "history", "remarks", "topology", "truth", "unseen"])
def test_a_mesh_to_compare_with_may_not_take_the_place_of_another_figure(split, renderer, quick, tmp_path, name):
    compare_with = {name: Mesh.icosphere(1)}
    with pytest.raises(FitError, match=rf"must not use the names fit, history, remarks, .*; got {name}\."):
        fit_to_folder(tmp_path / "out", FitTask(*split, settings=quick), renderer, compare_with=compare_with)
    assert not (tmp_path / "out").exists()


def test_a_folder_that_holds_a_fit_is_left_alone_without_resume(split, renderer, quick, tmp_path):
    fit_to_folder(tmp_path, FitTask(*split, settings=quick), renderer)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(FitError, match=rf"{re.escape(str(tmp_path))} holds a run already. Go on with it by --resume"):
        fit_to_folder(tmp_path, FitTask(*split, settings=dataclasses.replace(quick, seed=1)), renderer)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_stopped_fit_is_not_overwritten_either(split, renderer, quick, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        fit_to_folder(tmp_path, FitTask(*split, settings=quick), renderer, progress=stop_at_five)
    with pytest.raises(FitError, match="holds a run already"):
        fit_to_folder(tmp_path, FitTask(*split, settings=quick), renderer)


def test_resuming_where_nothing_is_is_an_error(split, renderer, quick, tmp_path):
    with pytest.raises(FitError, match="There is nothing to resume in .*: it has no config.json. Start"):
        fit_to_folder(tmp_path / "out", FitTask(*split, settings=quick), renderer, resume=True)
    assert not (tmp_path / "out").exists()


def test_a_stopped_fit_is_resumed_to_the_same_files(split, renderer, quick, tmp_path):
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    fit_to_folder(whole, FitTask(*split, settings=quick), renderer)
    with pytest.raises(KeyboardInterrupt):
        fit_to_folder(stopped, FitTask(*split, settings=quick), renderer, progress=stop_at_five)
    assert {path.name for path in stopped.iterdir()} == {"checkpoint.safetensors", "config.json"}
    steps = []
    fit_to_folder(
        stopped, FitTask(*split, settings=quick), renderer, resume=True, progress=lambda r: steps.append(r.update)
    )
    assert steps == list(range(6, 13))
    assert without_seconds(metrics(stopped)) == without_seconds(metrics(whole))
    for name in ("mesh.glb", "mesh.obj"):
        assert (stopped / name).read_bytes() == (whole / name).read_bytes()


def test_a_fit_that_was_stopped_before_its_first_checkpoint_is_resumed_from_its_start(split, renderer, quick, tmp_path):
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    fit_to_folder(whole, FitTask(*split, settings=quick), renderer)
    with pytest.raises(AssertionError):
        fit_to_folder(stopped, FitTask(*split, settings=quick), Broken())
    assert [path.name for path in stopped.iterdir()] == ["config.json"]
    fit_to_folder(stopped, FitTask(*split, settings=quick), renderer, resume=True)
    assert (stopped / "mesh.obj").read_bytes() == (whole / "mesh.obj").read_bytes()


def test_resuming_a_finished_fit_gives_the_same_figures(split, renderer, quick, tmp_path):
    fit_to_folder(tmp_path, FitTask(*split, settings=quick), renderer)
    before = metrics(tmp_path)
    fit_to_folder(tmp_path, FitTask(*split, settings=quick), renderer, resume=True)
    assert metrics(tmp_path) == before


def test_a_refused_resume_changes_nothing(split, renderer, quick, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        fit_to_folder(tmp_path, FitTask(*split, settings=quick), renderer, progress=stop_at_five)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(FitError, match="settings.seed was 0 and is 1"):
        fit_to_folder(tmp_path, FitTask(*split, settings=dataclasses.replace(quick, seed=1)), renderer, resume=True)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_views_that_nothing_can_be_learned_from_do_not_block_the_folder(split, renderer, quick, tmp_path):
    training, held_out = split
    empty = dataclasses.replace(training, alpha=torch.zeros_like(training.alpha))
    out = tmp_path / "out"
    with pytest.raises(FitError, match="nothing is covered"):
        fit_to_folder(out, FitTask(empty, held_out, settings=quick), renderer)
    assert not out.exists()
    assert fit_to_folder(out, FitTask(training, held_out, settings=quick), renderer)


class Broken:
    """A renderer that fails at its second call; to a fit, it is the usual one."""

    capabilities, shading, calls = OpenGL().capabilities, OpenGL().shading, 0

    def __call__(self, scene, cameras, outputs=("alpha",), *, generator=None):
        if self.calls:
            raise AssertionError("killed")
        self.calls += 1
        return OpenGL()(scene, cameras, outputs)


@pytest.mark.parametrize("kind", [Nvdiffrast, Kaolin])
def test_a_library_that_is_missing_is_known_before_the_folder_is_made(split, kind, quick, tmp_path, monkeypatch):
    monkeypatch.setattr(Library, "is_installed", False)
    with pytest.raises(RendererError, match=f"(?i){kind.__name__} is not installed"):
        fit_to_folder(tmp_path / "out", FitTask(*split, settings=quick), kind())
    assert not (tmp_path / "out").exists()


class Masks:
    capabilities = dataclasses.replace(OpenGL().capabilities, name="Masks", outputs=("alpha",))

    def __init__(self) -> None:
        self.renderer = OpenGL()

    def __call__(self, scene, cameras, outputs=("alpha",), *, generator=None):
        assert tuple(outputs) == ("alpha",)
        return self.renderer(scene, cameras, outputs)


def test_a_renderer_of_alpha_alone_is_enough(split, quick, tmp_path):
    assert fit_to_folder(tmp_path, FitTask(*split, settings=quick), Masks()).measures["fit"].training_iou > 0
