"""One fit through several renderers: each fit is the one that would have been made alone."""

import dataclasses
import importlib
from pathlib import Path

import pytest
import torch

import render3d as r3
from render3d.comparison import compare_fits
from render3d.comparison.fits_report import LEVELS
from render3d.errors import ComparisonError, FitError
from render3d.fitting import FitRecord, FitTask, TemplateFitSettings, VolumeFitSettings, fit_template, fit_volume
from render3d.renderers import EmissionAbsorption, OpenGL
from render3d.view_sets import ViewSet

REPORT = importlib.import_module("render3d.fitting.fit_report")  # the module has a function of that name
QUICK = TemplateFitSettings(updates=6, samples=4, subdivisions=1, evaluate_every=2)

pytestmark = pytest.mark.usefixtures("in_this_process", "small_animation")


@pytest.fixture
def small_animation(monkeypatch: pytest.MonkeyPatch) -> None:
    """One of the usual size takes a second."""
    monkeypatch.setattr(REPORT, "turntable", lambda *scene, **size: torch.zeros(2, 3, 8, 8))


@pytest.fixture
def task(egg: r3.Mesh) -> FitTask:
    cameras = r3.Cameras.sphere(8, 3.0, image_size=(24, 32))
    alpha = OpenGL()(egg, cameras, ("alpha",)).alpha
    training, held_out = ViewSet(cameras, alpha, None, tuple(f"<{n}>" for n in range(8))).split(2)
    return FitTask(views=training, held_out=held_out, settings=QUICK, truth=egg)


class Counting:
    """A renderer that counts its images."""

    def __init__(self, renderer: r3.renderers.Renderer) -> None:
        self.renderer, self.capabilities, self.images = renderer, renderer.capabilities, 0

    def __call__(self, *arguments, **keywords) -> r3.Rendering:
        rendering = self.renderer(*arguments, **keywords)
        self.images += rendering.leading_shape.numel()
        return rendering


def files(folder: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*")}


def test_each_fit_is_the_one_that_would_have_been_made_alone(task, tmp_path, read_metrics):
    found = compare_fits(tmp_path / "out", task, ["opengl", "pyrender"])["renderers"]
    for name, renderer in (("opengl", OpenGL()), ("pyrender", r3.renderers.Pyrender())):
        alone = fit_template(task.views, None, renderer, QUICK, held_out=task.held_out)
        assert torch.equal(r3.Mesh.load(tmp_path / "out" / name / "mesh.obj").vertices, alone.mesh.vertices)
        assert found[name]["held_out_iou"] == pytest.approx(alone.held_out_iou, abs=1e-6)
    assert found["pyrender"]["judged_held_out_iou"] == pytest.approx(found["pyrender"]["held_out_iou"], abs=0.02)
    assert 0 < found["opengl"]["chamfer"] < 1
    assert read_metrics(tmp_path / "out")["renderers"]["opengl"]["seconds"] == found["opengl"]["seconds"] > 0


def test_a_renderer_that_is_wrong_agrees_with_itself_and_not_with_the_first(task, tmp_path, faulty):
    wrong = f"{faulty}:Large"  # by a quarter: what it takes for the egg is a fifth too small
    small = task.truth.with_vertices(0.8 * task.truth.vertices)
    settings = dataclasses.replace(QUICK, learning_rate=(1e-4, 1e-4))
    found = compare_fits(
        tmp_path / "out", dataclasses.replace(task, template=small, settings=settings), ["opengl", wrong]
    )
    rows = found["renderers"]
    assert rows[wrong]["held_out_iou"] > 0.95
    assert rows[wrong]["judged_held_out_iou"] == pytest.approx(0.8**2, abs=0.1)
    assert rows["opengl"]["held_out_iou"] == rows["opengl"]["judged_held_out_iou"]


def test_seconds_are_those_at_which_a_level_was_first_reached(task, tmp_path, read_metrics):
    levels = [f"seconds_to_{level:g}" for level in LEVELS]
    found = compare_fits(tmp_path / "out", task, ["opengl", "pyrender"])["renderers"]["opengl"]
    history = read_metrics(tmp_path / "out" / "opengl")["history"]
    for name, level in zip(levels, LEVELS, strict=True):
        reached = [record["seconds"] for record in history if record["held_out_iou"] >= level]
        assert found[name] == (min(reached) if reached else None)
    assert found[levels[-1]] is None


@pytest.mark.parametrize("differentiable", [False, True])
@pytest.mark.parametrize("gradient", [None, "local_credit"])
def test_the_images_of_a_fit_are_counted(task, differentiable, gradient):
    counting = Counting(r3.differentiable(OpenGL(), gradient) if differentiable else OpenGL())
    blind = dataclasses.replace(QUICK, evaluate_every=100, gradient="own" if differentiable else gradient)
    fit_template(task.views, None, counting, blind)
    assert blind.images(counting, len(task.views)) == counting.images - len(task.views)


def test_the_images_of_a_fit_of_a_volume_are_counted(task):
    counting, settings = (
        Counting(EmissionAbsorption()),
        VolumeFitSettings(updates=4, resolution=8, levels=2, views_per_update=3),
    )
    fit_volume(task.views, counting, settings)
    assert settings.images(counting, len(task.views)) == counting.images - len(task.views)


def test_a_failure_is_told_and_the_others_go_on(task, tmp_path, faulty, read_page):
    names = [f"{faulty}:Raises", "opengl", "maxprojection", f"{faulty}:Plain"]
    by_noise = dataclasses.replace(task, settings=dataclasses.replace(QUICK, gradient="local_credit"))
    found = compare_fits(tmp_path / "out", by_noise, names)
    assert found["reference"] == "opengl"
    assert found["renderers"][names[0]]["failure"] == "RuntimeError: out of <b>cheese</b>"
    assert found["renderers"]["maxprojection"]["failure"].startswith(
        "A mesh is to be fitted, and MaxProjection renders"
    )
    assert found["renderers"][names[3]]["held_out_iou"] == found["renderers"]["opengl"]["held_out_iou"]
    page = read_page(tmp_path / "out")
    assert page.text("h1") == ["One fit of a mesh through 2 renderers"]
    assert any("out of <b>cheese</b>" in text for text in page.text("td"))


def test_the_page_shows_all_fits_and_links_to_theirs(task, tmp_path, faulty, read_page):
    names = ["opengl", f"{faulty}:Plain"]
    compare_fits(tmp_path / "out", task, names)
    page = read_page(tmp_path / "out")
    assert page.links == ["opengl/report.html", f"{faulty}_Plain/report.html"]
    assert all((tmp_path / "out" / link).is_file() for link in page.links)
    alts = [image["alt"] for image in page.images]
    assert {f"{name}: {view}" for name in ("target", "opengl", "Plain") for view in task.held_out.names} <= set(alts)
    assert {"IoU over seconds", "IoU over updates"} <= set(page.text("text"))
    assert {"visual hull", "best sphere"} <= set(page.text("td"))


def test_without_held_out_views_training_views_judge(task, tmp_path, faulty, read_page):
    alone = FitTask(views=task.views, settings=QUICK)
    found = compare_fits(tmp_path / "out", alone, ["opengl", f"{faulty}:Plain"])["renderers"]["opengl"]
    assert (found["held_out_iou"], found["judged_held_out_iou"], found["chamfer"]) == (None, None, None)
    assert found["judged_training_iou"] > 0
    assert "Training views" in read_page(tmp_path / "out").text("h2")


def test_nothing_is_fitted_twice(task, tmp_path, faulty):
    out, names = tmp_path / "out", ["opengl", f"{faulty}:Plain", f"{faulty}:Raises"]
    compare_fits(out, task, names)
    before = files(out / "opengl") | files(out / f"{faulty}_Plain")
    seen: list[str] = []
    found = compare_fits(out, task, [*names, "pyrender"], resume=True, progress=lambda name, record: seen.append(name))
    assert set(seen) == {"pyrender"}
    assert files(out / "opengl") | files(out / f"{faulty}_Plain") == before
    assert found["renderers"]["pyrender"]["failure"] is None


def test_a_stopped_fit_goes_on_to_the_same_mesh(task, tmp_path, faulty, read_metrics):
    names = ["opengl", f"{faulty}:Plain"]
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    compare_fits(whole, task, names)

    def stop(name: str, record: FitRecord) -> None:
        if (name, record.update) == (names[1], 3):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt, match=r"stopped; opengl had finished, .* by the same command with --resume"):
        compare_fits(stopped, task, names, progress=stop)
    assert read_metrics(stopped)["renderers"][names[1]]["failure"] == "stopped before it had finished"
    updates: list[int] = []
    compare_fits(stopped, task, names, resume=True, progress=lambda name, record: updates.append(record.update))
    assert updates == [4, 5, 6]
    for folder in ("opengl", f"{faulty}_Plain"):
        assert (stopped / folder / "mesh.obj").read_bytes() == (whole / folder / "mesh.obj").read_bytes()


def test_another_fit_is_not_gone_on_with(task, tmp_path, faulty):
    out, names = tmp_path / "out", ["opengl", f"{faulty}:Plain"]
    compare_fits(out, task, names)
    with pytest.raises(ComparisonError, match="settings.seed was 0 and is 1. Resume with what it was started with"):
        compare_fits(out, dataclasses.replace(task, settings=dataclasses.replace(QUICK, seed=1)), names, resume=True)
    with pytest.raises(ComparisonError, match="template was none and is"):
        compare_fits(out, dataclasses.replace(task, template=r3.Mesh.icosphere(1)), names, resume=True)


def test_views_that_say_nothing_are_refused_before_anything_is_written(task, tmp_path):
    empty = dataclasses.replace(task.views, alpha=torch.zeros_like(task.views.alpha))
    with pytest.raises(FitError, match="The masks must show the object in two views at least"):
        compare_fits(tmp_path / "out", FitTask(views=empty), ["opengl", "pyrender"])
    assert not (tmp_path / "out").exists()


def test_volumes_are_fitted_as_well(task, tmp_path, read_page):
    settings = VolumeFitSettings(updates=8, resolution=16, levels=2, evaluate_every=4)
    names = ["emissionabsorption", "maxprojection", "opengl"]
    found = compare_fits(tmp_path / "out", dataclasses.replace(task, settings=settings), names)["renderers"]
    assert found["opengl"]["failure"].startswith("A volume is to be fitted, and OpenGL renders Mesh.")
    for name in names[:2]:
        assert found[name]["judged_held_out_iou"] > 0.3
        assert found[name]["images"] == 8 * 6
    assert found["emissionabsorption"]["judged_held_out_iou"] == pytest.approx(
        found["emissionabsorption"]["held_out_iou"]
    )
    assert read_page(tmp_path / "out").text("h1") == ["One fit of a volume through 2 renderers"]
