"""The fine fit, at its coarsest size and few steps: what it writes is what it found."""

import json
from pathlib import Path

import pytest
import torch
from fine_fit import LEVELS, divided, fit_finely, main, pixel_loss

import render3d as r3
from render3d.data import bunny
from render3d.metrics import chamfer_distance


def test_dividing_leaves_the_surface_as_it_is() -> None:
    ball = r3.Mesh.icosphere(1, 0.8)
    fine = divided(ball)
    assert (len(fine.vertices), len(fine.faces)) == (162, 320)
    apart = chamfer_distance(ball, fine)  # of points that are drawn anew
    assert apart < 0.5 * chamfer_distance(ball, ball.with_vertices(1.03 * ball.vertices))


@pytest.mark.parametrize("target", ["silhouettes", "depth", "colour"])
def test_each_target_is_least_for_the_truth(target: str) -> None:
    cameras = r3.Cameras.sphere(3, 3.0, image_size=(32, 32))
    truth, opengl = bunny().normalized(), r3.renderers.OpenGL()
    outputs = ("alpha", "depth", "rgb")
    loss = pixel_loss(target, opengl(truth, cameras, outputs))
    assert float(loss(opengl(truth, cameras, outputs)).sum()) == pytest.approx(0, abs=1e-6)
    moved = truth.with_vertices(truth.vertices + torch.tensor([0.0, 0.0, 0.02]))
    assert float(loss(opengl(moved, cameras, outputs)).sum()) > 1
    assert loss(opengl(moved, cameras, outputs)).shape == (3, 32, 32)


@pytest.mark.parametrize("target", ["depth", "colour"])
def test_a_few_steps_come_nearer(target: str) -> None:
    found = fit_finely(target, (LEVELS[0]._replace(pixels=32, updates=120),), views=8, held_out=4, samples=4)
    assert found.course[0][3] > 0.8  # of a sphere it is at most 0.68
    assert found.course[0][4] < 0.6 * chamfer_distance(r3.Mesh.icosphere(3, 0.6), bunny().normalized())


def test_the_command_writes_all_it_promises(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fine_fit.LEVELS", (LEVELS[0]._replace(pixels=24, updates=3),))
    main(out=tmp_path, targets=("silhouettes",), views=4, held_out=2, levels=1)
    course = json.loads((tmp_path / "metrics.json").read_text())["course"]["silhouettes"]
    assert course[0][:2] == [24, 642]
    assert f"held-out IoU {course[0][3]:.4f}" in capsys.readouterr().out
    assert f"{course[0][3]:.4f}" in (tmp_path / "report.html").read_text(encoding="utf-8")
    assert len(r3.Mesh.load(tmp_path / "silhouettes.ply").vertices) == 642
