"""A fit of a volume as a folder with its page."""

import dataclasses
import importlib
import json
from pathlib import Path

import pytest
import torch

from render3d import Mesh, Volume
from render3d.errors import CapabilityError, FitError
from render3d.fitting import (
    FitRecord,
    FitTask,
    Measure,
    TemplateFitSettings,
    VolumeFitSettings,
    fit_to_folder,
    fit_volume,
    in_volume_frame,
    measure,
)
from render3d.renderers import EmissionAbsorption, OpenGL
from render3d.view_sets import ViewSet

REPORT = importlib.import_module("render3d.fitting.fit_report")  # the module has a function of that name
QUICK = VolumeFitSettings(updates=12, resolution=16, levels=2, views_per_update=3, evaluate_every=5)
FILES = {"checkpoint.safetensors", "config.json", "metrics.json", "report.html", "volume.npz", "mesh.glb", "mesh.obj"}


@pytest.fixture(autouse=True)
def small_animation(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """One of the usual size takes seconds. What was to turn is kept."""
    turned = []

    def small(scene, renderer, *, views, size):
        turned.append(scene)
        return torch.zeros(2, 3, 8, 8)

    monkeypatch.setattr(REPORT, "turntable", small)
    return turned


@pytest.fixture
def split(make_views, ellipsoid) -> tuple[ViewSet, ViewSet]:
    return make_views(ellipsoid, views=8).split(held_out=2)


def stop_at_seven(record: FitRecord) -> None:
    if record.update == 7:
        raise KeyboardInterrupt


def metrics(folder: Path) -> dict:
    return json.loads((folder / "metrics.json").read_text(encoding="utf-8"))


def test_the_folder_holds_the_volume_its_surface_the_figures_and_a_page(split, tmp_path):
    out = tmp_path / "some" / "where"
    measures = fit_to_folder(out, FitTask(*split, settings=QUICK), EmissionAbsorption()).measures
    assert {path.name for path in out.iterdir()} == FILES
    result = fit_volume(split[0], None, QUICK, held_out=split[1])
    saved = Volume.load(out / "volume.npz")
    assert torch.equal(saved.values, result.volume.values)
    assert (saved.extent, saved.to_source.tolist()) == (result.volume.extent, result.volume.to_source.tolist())
    config = json.loads((out / "config.json").read_text())
    settings = {name: tuple(v) if isinstance(v, list) else v for name, v in config["settings"].items()}
    assert VolumeFitSettings(**settings) == QUICK
    assert config["made_with"]["renderer"] == "EmissionAbsorption"
    assert list(measures) == ["fit", "fit, as a mesh", "best sphere", "convex hull of the visual hull", "visual hull"]
    assert {name: Measure(**metrics(out)[name]) for name in measures} == measures
    assert metrics(out)["updates"] == 12
    assert [record["update"] for record in metrics(out)["history"]] == [5, 10, 12]


def test_the_surface_stands_in_the_world_of_the_views(split, tmp_path):
    shift = torch.tensor([3.0, -2.0, 1.0])
    moved = [with_origin_at(views, shift) for views in split]
    measures = fit_to_folder(tmp_path, FitTask(*moved, settings=QUICK), EmissionAbsorption()).measures
    assert measures["fit, as a mesh"].held_out_iou > 0.6
    for name in ("mesh.glb", "mesh.obj"):
        found = measure(Mesh.load(tmp_path / name), *moved, OpenGL())
        assert found.held_out_iou == pytest.approx(measures["fit, as a mesh"].held_out_iou, abs=1e-3)


def with_origin_at(views: ViewSet, shift: torch.Tensor) -> ViewSet:
    """The same pictures in a world whose origin lies at ``-shift`` of theirs."""
    back = torch.eye(4)
    back[:3, 3] = -shift
    cameras = dataclasses.replace(views.cameras, world_to_camera=views.cameras.world_to_camera @ back)
    return dataclasses.replace(views, cameras=cameras)


def test_the_figures_are_those_of_the_volume_in_its_cube_and_of_baselines_as_for_meshes(
    split, renderer, quick, tmp_path
):
    measures = fit_to_folder(tmp_path / "volume", FitTask(*split, settings=QUICK), EmissionAbsorption()).measures
    volume = Volume.load(tmp_path / "volume" / "volume.npz")
    seen = [dataclasses.replace(views, cameras=in_volume_frame(views.cameras, volume)) for views in split]
    assert measures["fit"] == measure(volume, *seen, EmissionAbsorption())
    of_mesh = fit_to_folder(tmp_path / "mesh", FitTask(*split, settings=quick), renderer).measures
    shared = ["best sphere", "convex hull of the visual hull", "visual hull"]
    assert {name: measures[name] for name in shared} == {name: of_mesh[name] for name in shared}


def test_the_page_shows_the_volume_lit_its_slices_and_the_views(split, tmp_path, small_animation):
    fit_to_folder(tmp_path, FitTask(*split, settings=QUICK), EmissionAbsorption())
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "<h1>A volume fitted to silhouettes</h1>" in page
    assert "16 x 16 x 16 voxels, fitted through EmissionAbsorption to 6 silhouettes in" in page
    headings = ["Slices", "Held-out views", "Training views", "Progress", "How it was made"]
    assert [page.index(f"<h2>{heading}</h2>") for heading in headings] == sorted(
        page.index(f"<h2>{heading}</h2>") for heading in headings
    )
    assert page.count("<figcaption>z = ") == 11
    assert page.count("<img") == 1 + 11 + 3 * 8
    assert "<dt>total variation</dt><dd>0.001</dd>" in page
    assert [scene.channels for scene in small_animation] == [4]


def test_a_fog_without_a_surface_has_all_the_rest(split, tmp_path):
    fog = dataclasses.replace(QUICK, sparsity=1e6)
    measures = fit_to_folder(tmp_path, FitTask(*split, settings=fog), EmissionAbsorption()).measures
    assert "fit, as a mesh" not in measures
    assert {path.name for path in tmp_path.iterdir()} == FILES - {"mesh.glb", "mesh.obj"}


def test_a_stopped_fit_is_resumed_to_the_same_files_and_not_overwritten(split, tmp_path):
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    fit_to_folder(whole, FitTask(*split, settings=QUICK), EmissionAbsorption())
    with pytest.raises(KeyboardInterrupt):
        fit_to_folder(stopped, FitTask(*split, settings=QUICK), EmissionAbsorption(), progress=stop_at_seven)
    assert {path.name for path in stopped.iterdir()} == {"checkpoint.safetensors", "config.json"}
    with pytest.raises(FitError, match="holds a run already. Go on with it by --resume"):
        fit_to_folder(stopped, FitTask(*split, settings=QUICK), EmissionAbsorption())
    steps = []
    fit_to_folder(
        stopped,
        FitTask(*split, settings=QUICK),
        EmissionAbsorption(),
        resume=True,
        progress=lambda record: steps.append(record.update),
    )
    assert steps == list(range(8, 13))
    for name in ("mesh.glb", "mesh.obj"):
        assert (stopped / name).read_bytes() == (whole / name).read_bytes()
    assert torch.equal(Volume.load(stopped / "volume.npz").values, Volume.load(whole / "volume.npz").values)


def test_a_fit_of_a_mesh_is_not_resumed_as_one_of_a_volume(split, renderer, quick, tmp_path):
    fit_to_folder(tmp_path, FitTask(*split, settings=quick), renderer)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(FitError, match="another run: scene was mesh and is volume"):
        fit_to_folder(tmp_path, FitTask(*split, settings=QUICK), EmissionAbsorption(), resume=True)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_renderer_of_the_other_kind_leaves_no_folder(split, tmp_path):
    with pytest.raises(CapabilityError, match="A volume is to be fitted, and OpenGL renders Mesh"):
        fit_to_folder(tmp_path / "out", FitTask(*split, settings=QUICK), OpenGL())
    with pytest.raises(CapabilityError, match="A mesh is to be fitted, and EmissionAbsorption renders Volume"):
        fit_to_folder(tmp_path / "out", FitTask(*split, settings=TemplateFitSettings()), EmissionAbsorption())
    assert not (tmp_path / "out").exists()


def test_meshes_to_compare_with_are_measured_but_take_no_name_that_is_used(split, ellipsoid, tmp_path):
    measures = fit_to_folder(
        tmp_path / "one", FitTask(*split, settings=QUICK), EmissionAbsorption(), compare_with={"the truth": ellipsoid}
    ).measures
    assert measures["the truth"].held_out_iou == 1
    with pytest.raises(FitError, match="must not use the names fit, fit, as a mesh, history, .*; got fit, as a mesh"):
        fit_to_folder(
            tmp_path / "two",
            FitTask(*split, settings=QUICK),
            EmissionAbsorption(),
            compare_with={"fit, as a mesh": ellipsoid},
        )
