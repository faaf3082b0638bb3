"""The same fit through several renderers, at a tiny size: each is made, measured and written."""

import importlib
import json
from pathlib import Path

import photographs
import pytest
import torch

import render3d as r3
from render3d.fitting.levels import Level
from render3d.renderers import OpenGL
from render3d.view_sets import write_views


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """A few updates, and a hull of large cubes."""
    shape = Level(stage="shape", pixels=32, updates=3)
    colour = Level(stage="colour", pixels=32, updates=1, rounds=1, smoothness=4.0, rgb=1.0)
    monkeypatch.setattr(importlib.import_module("render3d.fitting.levels"), "_LEVELS", {"draft": (shape, colour)})
    fit = importlib.import_module("render3d.fitting.fit")  # the package has a function of that name
    hull = fit.visual_hull
    monkeypatch.setattr(fit, "visual_hull", lambda views: hull(views, resolution=24))


@pytest.mark.usefixtures("quick")
def test_the_table_has_a_row_for_each_renderer(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ball = r3.Mesh.icosphere(3)
    vertices = ball.vertices * torch.tensor([0.9, 0.5, 0.6])
    egg = r3.Mesh(vertices, ball.faces, colors=0.5 + 0.4 * (4 * vertices).sin())
    cameras = r3.Cameras.sphere(12, 3.0, image_size=(24, 32))
    write_views(tmp_path / "views", cameras, OpenGL(r3.Shading.unlit())(egg, cameras))
    rows = photographs.photographs(
        tmp_path / "views", out=tmp_path / "out", renderers=("opengl", "images-alone"), quality="draft"
    )
    assert [row["gradient"] for row in rows.values()] == ["edges", "local_credit"]
    for name, row in rows.items():
        assert row["IoU"] > 0.85  # type: ignore[operator]
        assert (tmp_path / "out" / name / "mesh.glb").is_file()
    assert json.loads((tmp_path / "out" / "metrics.json").read_text()) == rows
    assert "images-alone" in capsys.readouterr().out
