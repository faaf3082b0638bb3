"""A fit to photographs as a folder."""

import dataclasses
import json
import re
from pathlib import Path

import pytest

from render3d import Mesh
from render3d.errors import FitError
from render3d.fitting import FitFigures, FitRecord, FitSettings, FitTask, Measure, fit_to_folder
from render3d.renderers import OpenGL, Shading
from render3d.view_sets import ViewSet

pytestmark = pytest.mark.usefixtures("quick_photo_fits", "small_turntables")

DRAFT = FitSettings(quality="draft")
UNLIT = OpenGL(Shading.unlit())
WRITTEN = {"config.json", "mesh.glb", "mesh.obj", "mesh.mtl", "metrics.json", "report.html", "rounds", "stages"}


@pytest.fixture
def task(photographs: ViewSet) -> FitTask:
    return FitTask(*photographs.split(3), settings=DRAFT)


def metrics(folder: Path) -> dict:
    def refuse(word: str) -> None:
        raise AssertionError(f"{word} is no JSON")

    return json.loads((folder / "metrics.json").read_text(encoding="utf-8"), parse_constant=refuse)


def page(folder: Path) -> str:
    return (folder / "report.html").read_text(encoding="utf-8")


def test_the_folder_holds_the_mesh_its_stages_the_figures_and_a_page(task: FitTask, cup: Mesh, tmp_path: Path) -> None:
    figures = fit_to_folder(tmp_path, dataclasses.replace(task, truth=cup), UNLIT)
    files = {path.name for path in tmp_path.iterdir()}
    assert {name for name in files if not name.startswith("mesh.") or name in WRITTEN} - {"texture.png"} == WRITTEN
    assert {path.name for path in (tmp_path / "stages").iterdir()} == {
        f"{stage}.glb" for stage in ("hull", "shape", "colour", "texture")
    }
    for name in ("mesh.glb", "mesh.obj"):
        mesh = Mesh.load(tmp_path / name)
        assert mesh.texture is not None
    content = metrics(tmp_path)
    assert list(figures.measures) == ["fit", "shape", "visual hull"]
    assert {name: Measure(**content[name]) for name in figures.measures} == figures.measures
    assert content["fit"]["held_out_iou"] > content["visual hull"]["held_out_iou"]
    assert content["fit"]["held_out_psnr"] > 25
    assert content["shape"]["held_out_psnr"] is None
    assert content["topology"] == {
        "euler_number": 0,
        "components": 1,
        "crossing_faces": content["topology"]["crossing_faces"],
    }
    assert set(content["truth"]) == {"fit", "shape", "visual hull"}
    assert 0 < content["truth"]["fit"]["visible"]["chamfer"] < content["truth"]["visual hull"]["visible"]["chamfer"]
    assert 0 <= content["unseen"] < 0.5
    assert "<h2>How far from the truth</h2>" in page(tmp_path)
    assert content["updates"] == 12
    assert content["seconds"] == content["history"][-1]["seconds"] > 0
    assert [record["stage"] for record in content["history"]] == ["hull", "shape", "colour", "colour", "texture"]


def test_the_page_tells_what_was_found(task: FitTask, tmp_path: Path) -> None:
    alpha = task.views.alpha.clone()
    alpha[2] = 0
    names = ("<b>&", *task.views.names[1:])
    views = dataclasses.replace(task.views, alpha=alpha, names=names)
    fit_to_folder(tmp_path, dataclasses.replace(task, views=views), UNLIT)
    shown = page(tmp_path)
    assert "<h1>A mesh from photographs</h1>" in shown
    assert "fitted through OpenGL to 8 photographs in" in shown
    parts = ["What to know", "How close it is", "Held-out views", "Training views"]
    parts += ["Stage by stage", "Progress", "How it was made"]
    places = [shown.index(f"<h2>{part}</h2>") for part in parts]
    assert places == sorted(places)
    assert f"Left out, as their masks are empty: {views.names[2]}." in shown
    assert "The surface has one part and the Euler number 0" in shown
    assert "is shown by no view; its colours are filled in smoothly" in shown
    assert "&lt;b&gt;&amp;" in shown and "<b>&<" not in shown
    assert metrics(tmp_path)["remarks"] == [f"Left out, as their masks are empty: {views.names[2]}."]
    # A view that is left out is not measured either: the same fit without it has the same figures.
    alone = dataclasses.replace(task, views=task.views.select([0, 1, 3, 4, 5, 6, 7, 8]))
    other = fit_to_folder(tmp_path / "alone", alone, UNLIT)
    assert dataclasses.asdict(other.measures["fit"]) == metrics(tmp_path)["fit"]


@pytest.mark.parametrize("change", [{"until": "shape"}, {"until": "colour"}, {"appearance": "none"}])
def test_a_fit_without_colours_has_a_page_and_figures(
    photographs: ViewSet, tmp_path: Path, change: dict[str, str]
) -> None:
    task = FitTask(photographs, settings=dataclasses.replace(DRAFT, **change))
    figures = fit_to_folder(tmp_path, task, UNLIT)
    assert figures.unseen is None
    assert figures.measures["fit"].held_out_iou is None
    assert metrics(tmp_path)["fit"]["training_iou"] > 0.9
    shown = page(tmp_path)
    assert "Held-out views" not in shown and "How far from the truth" not in shown
    assert "Nothing was found wrong" in shown or "The surface has one part" in shown


def test_views_without_colours_have_a_page(photographs: ViewSet, tmp_path: Path) -> None:
    task = FitTask(*dataclasses.replace(photographs, rgb=None).split(2), settings=DRAFT)
    fit_to_folder(tmp_path, task, UNLIT)
    assert "The views have no colours: only the shape was fitted." in page(tmp_path)


def test_a_stopped_fit_is_resumed_to_the_same_files(task: FitTask, tmp_path: Path) -> None:
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    fit_to_folder(whole, task, UNLIT)

    def stop(record: FitRecord) -> None:
        if record.update == 10:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit_to_folder(stopped, task, UNLIT, progress=stop)
    with pytest.raises(FitError, match=rf"{re.escape(str(stopped))} holds a run already. Go on with it by --resume"):
        fit_to_folder(stopped, task, UNLIT)
    again: list[FitRecord] = []
    fit_to_folder(stopped, task, UNLIT, resume=True, progress=again.append)
    assert [record.update for record in again] == [0, 11, 12, 12]
    for name in ("mesh.glb", "mesh.obj"):
        assert (stopped / name).read_bytes() == (whole / name).read_bytes()
    with pytest.raises(FitError, match=r"settings\.quality was draft and is high"):
        fit_to_folder(stopped, dataclasses.replace(task, settings=FitSettings(quality="high")), UNLIT, resume=True)


def test_a_fit_that_is_resumed_for_less_leaves_nothing_of_what_it_was(task: FitTask, tmp_path: Path) -> None:
    fit_to_folder(tmp_path, task, UNLIT)
    assert {"mesh.png", "mesh.mtl"} <= {path.name for path in tmp_path.iterdir()}
    shape = dataclasses.replace(task, settings=dataclasses.replace(task.settings, until="shape"))
    fit_to_folder(tmp_path, shape, UNLIT, resume=True)
    assert not {"mesh.png", "mesh.mtl"} & {path.name for path in tmp_path.iterdir()}
    assert {path.name for path in (tmp_path / "stages").iterdir()} == {"hull.glb", "shape.glb"}


@pytest.mark.parametrize("name", ["shape", "visual hull", "remarks", "truth", "fit"])
def test_a_mesh_to_compare_with_may_not_take_the_place_of_another_figure(
    task: FitTask, cup: Mesh, tmp_path: Path, name: str
) -> None:
    with pytest.raises(FitError, match=f"must not use the names .*; got {name}"):
        fit_to_folder(tmp_path / "out", task, UNLIT, compare_with={name: cup})
    assert not (tmp_path / "out").exists()


def test_a_mesh_to_compare_with_is_measured_with_its_colours(task: FitTask, cup: Mesh, tmp_path: Path) -> None:
    figures = fit_to_folder(tmp_path, task, UNLIT, compare_with={"the truth": cup})
    assert isinstance(figures, FitFigures)
    assert figures.measures["the truth"].held_out_psnr > 90
    assert metrics(tmp_path)["the truth"]["held_out_iou"] == 1
