"""How good a mesh is: colours against a twin, on every background, and never a number that JSON lacks."""

import dataclasses
import json
import math

import pytest
import torch

from render3d import Mesh
from render3d.color import linear_to_srgb
from render3d.fitting import FitFigures, Measure, measure
from render3d.fitting.measures import on_white
from render3d.metrics import compare_surfaces, mesh_topology
from render3d.renderers import OpenGL, Shading
from render3d.view_sets import ViewSet

UNLIT = OpenGL(Shading.unlit())
BLUE = OpenGL(Shading.unlit(background=(0.1, 0.2, 0.9)))


def darker(mesh: Mesh) -> Mesh:
    assert mesh.colors is not None
    return dataclasses.replace(mesh, colors=0.8 * mesh.colors)


def test_the_object_itself_has_no_difference(photographs: ViewSet, cup: Mesh) -> None:
    found = measure(cup, photographs, photographs.select([0, 1, 2]), UNLIT)
    assert (found.training_iou, found.held_out_iou, found.held_out_disagreement) == (1, 1, 0)
    assert (found.held_out_psnr, found.held_out_psnr_on_white) == (100, 100)
    assert found.held_out_ssim == pytest.approx(1) == found.held_out_ssim_on_white


def test_colours_are_compared_as_a_twin_does(photographs: ViewSet, cup: Mesh) -> None:
    held_out = photographs.select([1, 4, 7])
    mesh = darker(cup).with_vertices(cup.vertices * 0.97)
    found = measure(mesh, photographs, held_out, UNLIT)
    rendering = UNLIT(mesh, held_out.cameras, ("rgb", "alpha"))
    inside, whole = [], []
    assert held_out.rgb is not None
    for view in range(3):
        ours, theirs = (linear_to_srgb(image[view]) for image in (rendering.rgb, held_out.rgb))
        both = (rendering.alpha[view, 0] > 0.999) & (held_out.alpha[view, 0] > 0.999)
        inside.append(-10 * math.log10(float((ours - theirs)[:, both].square().mean())))
        theirs = theirs.where(held_out.alpha[view] > 0.5, torch.ones(()))
        whole.append(-10 * math.log10(float((ours - theirs).square().mean())))
    assert found.held_out_psnr == pytest.approx(sum(inside) / 3, abs=1e-3)
    assert found.held_out_psnr_on_white == pytest.approx(sum(whole) / 3, abs=1e-3)
    assert 0 < found.held_out_ssim_on_white < 1 and 0 < found.held_out_ssim < 1


def test_images_smaller_than_the_window_of_ssim_have_no_such_figure(photographs: ViewSet, cup: Mesh) -> None:
    cameras = photographs.cameras.crop(20, 20, 10, 12)
    images = UNLIT(cup, cameras, ("rgb", "alpha"))
    small = ViewSet(cameras, images.alpha, images.rgb, photographs.names)
    found = measure(cup, small, small, UNLIT)
    assert found.held_out_psnr_on_white == 100
    assert found.held_out_ssim is None and found.held_out_ssim_on_white is None


@pytest.mark.parametrize("renderer", [BLUE, OpenGL(Shading.unlit(background=torch.tensor([0.1, 0.2, 0.9])))])
def test_the_background_of_the_renderer_does_not_count(photographs: ViewSet, cup: Mesh, renderer: OpenGL) -> None:
    held_out = photographs.select([1, 4, 7])
    mesh = darker(cup).with_vertices(cup.vertices * 0.97)
    by_white, by_blue = (measure(mesh, photographs, held_out, each) for each in (UNLIT, renderer))
    assert dataclasses.astuple(by_blue) == pytest.approx(dataclasses.astuple(by_white), rel=1e-4)
    found, wanted = on_white(mesh, held_out, renderer)
    outside = held_out.alpha.expand_as(found) == 0
    assert bool((wanted[outside] == 1).all())
    torch.testing.assert_close(found, UNLIT(mesh, held_out.cameras, ("rgb",)).rgb, atol=2e-4, rtol=0)


def test_meshes_without_colours_and_views_without_are_compared_by_silhouettes(photographs: ViewSet, cup: Mesh) -> None:
    colorless = dataclasses.replace(photographs, rgb=None)
    for mesh, held_out in ((cup.without_colors(), photographs), (cup, colorless), (cup, None)):
        found = measure(mesh, photographs, held_out, UNLIT)
        assert (found.held_out_psnr, found.held_out_ssim) == (None, None)
        assert (found.held_out_psnr_on_white, found.held_out_ssim_on_white) == (None, None)


def test_a_view_without_a_common_pixel_has_no_say_and_none_gives_no_figure(photographs: ViewSet, cup: Mesh) -> None:
    away = photographs.alpha.clone()
    away[0] = 0
    away[0, 0, :2, :2] = 1  # in a corner, where the mesh is not
    one = dataclasses.replace(photographs, alpha=away).select([0, 1])
    mesh = darker(cup)
    assert measure(mesh, photographs, one, UNLIT).held_out_psnr == pytest.approx(
        measure(mesh, photographs, photographs.select([1]), UNLIT).held_out_psnr, rel=1e-5
    )
    found = measure(mesh, photographs, one.select([0]), UNLIT)
    assert (found.held_out_psnr, found.held_out_ssim) == (None, None)
    assert found.held_out_psnr_on_white is not None


def test_figures_are_json(photographs: ViewSet, cup: Mesh) -> None:
    measures = {"fit": measure(cup, photographs, photographs.select([0]), UNLIT)}
    truth = {"fit": compare_surfaces(cup, cup, photographs.cameras)}
    figures = FitFigures(measures, mesh_topology(cup), truth, 0.25, ("A remark.",))
    facts = json.loads(json.dumps(figures.facts, allow_nan=False))
    assert Measure(**facts["fit"]) == measures["fit"]
    assert facts["topology"]["components"] == 2
    assert (facts["unseen"], facts["remarks"]) == (0.25, ["A remark."])
    assert set(facts["truth"]["fit"]) == {"radius", "visible", "whole"}
    assert json.loads(json.dumps(FitFigures(measures).facts, allow_nan=False))["topology"] is None
