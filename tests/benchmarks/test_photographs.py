"""``python -m benchmarks.photographs`` at tiny sizes: that photographs are as they are to be, and what is judged."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks.photographs import sources
from benchmarks.photographs.compare import Fitting, compare
from benchmarks.photographs.objects import CENTER, RADIUS, placed
from benchmarks.photographs.sources import compare_sources, distances, written
from benchmarks.photographs.storing import PHOTOGRAPHS, TRUTH, store, wrong_mask
from benchmarks.photographs.studio import cameras_round, traced
from render3d.data import teapot
from render3d.errors import RendererError
from render3d.fitting import FitFigures, FitSettings, Measure
from render3d.metrics import SurfaceAccuracy, SurfaceComparison, silhouette_iou
from render3d.renderers import OpenGL, Shading
from render3d.renderers.mitsuba.variants import load
from render3d.scenes import Mesh, Texture
from render3d.view_sets import ViewSet, read_views

VIEWS, SIZE = 10, (60, 75)


@pytest.fixture(scope="module")
def taken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Photographs of a teapot, which `OpenGL` rendered."""
    folder = tmp_path_factory.mktemp("photographs") / "teapot"
    mesh, cameras = placed(teapot()), cameras_round(VIEWS, SIZE)
    shading = Shading(background=(0.0, 0.0, 0.0), samples_per_pixel=16)
    store(folder, mesh, cameras, OpenGL(shading)(mesh, cameras, ("rgb", "alpha")))
    return folder


def test_objects_stand_upright_where_they_are_to() -> None:
    vertices, tall = placed(teapot()).vertices - torch.tensor(CENTER), teapot().normalized().vertices
    assert float(vertices.norm(dim=-1).max()) == pytest.approx(RADIUS, rel=1e-4)
    torch.testing.assert_close(vertices[:, 2], RADIUS * tall[:, 1], rtol=0, atol=1e-5)


def test_no_view_cuts_the_object_off_and_none_looks_at_its_middle() -> None:
    cameras = cameras_round(40, (400, 500))
    ball = torch.tensor(CENTER) + RADIUS * Mesh.icosphere(3).vertices
    pixels = cameras.project(ball)
    assert bool((pixels > 0).all() and (pixels < torch.tensor([500.0, 400.0])).all())
    off = (cameras.project(torch.tensor([CENTER]))[:, 0] - torch.tensor([250.0, 200.0])).norm(dim=-1)
    assert float(off.max()) > 10


def test_a_mask_is_wrong_by_pixels() -> None:
    """The area between both edges, over the length of the edge, is the mean of the absolute error."""
    rows, columns = np.mgrid[:400, :400]
    disc = (np.hypot(rows - 200, columns - 200) < 120).astype(np.float32)
    areas = [np.abs(wrong_mask(disc, np.random.default_rng(seed)) - disc).sum() for seed in range(8)]
    assert np.mean(areas) / (2 * np.pi * 120) == pytest.approx(1.5 * np.sqrt(2 / np.pi), rel=0.15)


def test_photographs_are_read_with_their_cameras(taken: Path) -> None:
    views, truth = read_views(taken / PHOTOGRAPHS), Mesh.load(taken / TRUTH)
    assert len(views) == VIEWS and views.cameras.image_size == SIZE and views.rgb is not None
    coverage = OpenGL()(truth, views.cameras, ("alpha",)).alpha
    # A pixel and a half is much where the whole object has forty.
    assert 0.75 < float(silhouette_iou(coverage, views.alpha).mean()) < 0.99
    behind = views.rgb.where(views.alpha == 0, torch.nan)
    assert float(behind.flatten(2).nanquantile(0.9, -1).mean()) > 0.3  # clutter, and not black


def test_a_fit_is_judged_by_the_truth_beside_the_hull(taken: Path) -> None:
    fitting = Fitting(settings=FitSettings(quality="draft", until="shape"), held_out=2)
    found = compare({"teapot": taken}, fitting)
    hull, fit = found.tables[0].rows
    assert (hull["surface"], fit["surface"], fit["object"]) == ("visual hull", "fit", "teapot")
    chamfer, overlap = found.comparisons
    assert chamfer.ratio == pytest.approx(float(hull["chamfer"] or 0) / float(fit["chamfer"] or 0))
    assert overlap.ratio == pytest.approx((1 - float(hull["IoU*"] or 0)) / (1 - float(fit["IoU*"] or 0)), rel=0.01)
    assert (chamfer.floor, overlap.floor) == (1, 1)
    assert (taken / "fit-opengl-draft" / "report.html").is_file()


def test_meshes_of_other_sources_are_compared_with_the_first(taken: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fits that find a ball which is larger, and farther from the truth, where photographs are not nerfstudio's."""
    larger = {"fit-of-colmap-text": 1.01, "fit-of-distorted": 1.1}

    def run(_self: Fitting, _views: ViewSet, _truth: Mesh, out: Path) -> FitFigures:
        found = Mesh.icosphere(1, larger.get(out.name, 1.0))
        out.mkdir()
        found.save(out / "mesh.glb")
        accuracy = SurfaceAccuracy(chamfer=0.01 * larger.get(out.name, 1.0), f1_1_percent=0.5, f1_3_5_percent=0.5)
        measure = Measure(training_iou=0.9, held_out_iou=0.9, held_out_disagreement=0.1)
        return FitFigures(
            {"fit": measure}, truth={"fit": SurfaceComparison(radius=1, whole=accuracy, visible=accuracy)}
        )

    monkeypatch.setattr(Fitting, "run", run)
    found = compare_sources(taken, Fitting())
    first, binary, text, bent = found.tables[0].rows
    names = [row["source"] for row in found.tables[0].rows]
    assert names == ["nerfstudio", "colmap-binary", "colmap-text", "distorted"]
    assert float(str(first["from the first"])) < 1e-6 and float(str(binary["from the first"])) < 1e-6
    assert text["from the first"] == "0.01" and bent["from the first"] == "0.1"
    assert [each.is_slow for each in found.comparisons] == [False, True, True]


def test_other_sources_have_the_same_photographs(taken: Path) -> None:
    views = read_views(taken / PHOTOGRAPHS)
    folders = written(taken)
    assert (folders["colmap-text"] / "sparse/0/images.txt").is_file()
    assert views.rgb is not None
    for name in ("colmap-binary", "colmap-text"):
        found = read_views(folders[name])
        torch.testing.assert_close(found.rgb, views.rgb, rtol=0, atol=1e-6)
        torch.testing.assert_close(found.alpha, views.alpha, rtol=0, atol=1e-6)
        torch.testing.assert_close(found.cameras.world_to_camera, views.cameras.world_to_camera, rtol=0, atol=1e-6)
        torch.testing.assert_close(found.cameras.intrinsics, views.cameras.intrinsics)


def test_photographs_are_distorted_as_they_say(taken: Path, tmp_path: Path) -> None:
    """By Brown's formula, which takes each pixel of the pinhole camera to the one that it came from."""
    matrix = np.array([[500.0, 0, 260], [0, 500, 190], [0, 0, 1]])
    height, width = 400, 500
    x, y = sources.undistorted(matrix, (height, width)).astype(np.float64)
    x, y = (x + 0.5 - 260) / 500, (y + 0.5 - 190) / 500
    k1, p1 = sources.LENS["k1"], sources.LENS["p1"]
    square = x * x + y * y
    across, down = (1 + k1 * square) * x + 2 * p1 * x * y, (1 + k1 * square) * y + p1 * (square + 2 * y * y)
    rows, columns = np.mgrid[:height, :width]
    assert np.abs(500 * across + 260 - 0.5 - columns).max() < 1e-3
    assert np.abs(500 * down + 190 - 0.5 - rows).max() < 1e-3
    sources.distort(taken / PHOTOGRAPHS, tmp_path)
    facts = json.loads((tmp_path / "transforms.json").read_text())
    assert {name: facts[name] for name in ("k1", "p1", "camera_model")} == {**sources.LENS, "camera_model": "OPENCV"}
    assert read_views(tmp_path).cameras.image_size == SIZE


def test_a_vertex_is_as_far_from_a_surface_as_it_is() -> None:
    mesh = Mesh.icosphere(2)
    assert distances(mesh, mesh).max() < 1e-6
    moved = mesh.vertices.clone()
    moved[0] *= 1.1
    assert distances(mesh.with_vertices(moved), mesh).max() == pytest.approx(0.1, rel=1e-3)


def test_the_path_tracer_sees_the_colours_of_a_mesh_where_it_is() -> None:
    """The upper half of the image is red; it is wrapped round, so that the upper half of the ball is."""
    try:
        load("llvm_ad_rgb")
    except RendererError as error:
        pytest.skip(str(error))
    ball = placed(Mesh.icosphere(3))
    image = torch.tensor([[[0.8, 0.05, 0.05]], [[0.05, 0.05, 0.8]]]).repeat_interleave(16, 0)
    up = (ball.vertices[:, 2] - CENTER[2]) / RADIUS
    uv = torch.stack([torch.zeros_like(up), 0.5 + 0.45 * up], -1)
    textured = Mesh(ball.vertices, ball.faces, texture=Texture(image, uv))
    above = up[ball.faces].mean(-1, keepdim=True) > 0
    of_faces = Mesh(ball.vertices, ball.faces, face_colors=torch.where(above, image[0, 0], image[-1, 0]))
    cameras = cameras_round(2, (40, 50))
    for mesh in (textured, of_faces):
        seen, alpha = traced(mesh, cameras, 8), OpenGL(Shading(samples_per_pixel=16))(ball, cameras, ("alpha",)).alpha
        assert float((seen.alpha - alpha).abs().mean()) < 0.01
        red, _, blue = seen.rgb[1].where(alpha[1] > 0.99, torch.nan)  # seen from fifteen degrees above
        assert float(red[:18].nanmean()) > 2 * float(blue[:18].nanmean())
        assert float(blue[28:].nanmean()) > 2 * float(red[28:].nanmean())
