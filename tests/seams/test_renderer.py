"""A renderer from elsewhere goes wherever those of the package go, by ``module:Class``."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import render3d as r3
from render3d.cli import main
from render3d.comparison import scenes
from render3d.view_sets import read_views, write_views
from tests.seams.renderer_parts import Mine

pytestmark = pytest.mark.usefixtures("small_turntables")

MINE = "renderer_parts:Mine"
CAMERAS = r3.Cameras.sphere(4, 3.0, image_size=(12, 16))


@pytest.fixture
def egg(tmp_path: Path) -> Path:
    ball = r3.Mesh.icosphere(1)
    ball.with_vertices(ball.vertices * torch.tensor([0.9, 0.5, 0.6])).save(tmp_path / "egg.obj")
    return tmp_path / "egg.obj"


def run(*words: object) -> None:
    """A command that must succeed, in this process."""
    assert main([*map(str, words)]) == 0


def started(*words: object) -> None:
    """A command that must succeed, in a process of its own; the parts are on its path."""
    here = str(Path(__file__).parent)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([here, os.environ.get("PYTHONPATH", "")])}
    command = [sys.executable, "-m", "render3d", *map(str, words)]
    answer = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert answer.returncode == 0, answer.stderr


def test_it_keeps_the_protocol_and_is_given_a_gradient() -> None:
    mine = Mine()
    assert isinstance(mine, r3.renderers.Renderer)
    ball = r3.Mesh.icosphere(1)
    vertices = ball.vertices.clone().requires_grad_()
    smooth = r3.differentiable(mine, r3.estimators.leave_one_out(samples=8, scale=0.05))
    smooth(ball.with_vertices(vertices), CAMERAS[:1], ("alpha",)).alpha.sum().backward()
    assert vertices.grad is not None and bool(vertices.grad.abs().sum() > 0)


def test_views_are_made_through_it(egg: Path, tmp_path: Path) -> None:
    out = tmp_path / "views"
    started("views", egg, "--out", out, "--renderer", MINE, "--views", 2, "--size", 16, "--workers", 1)
    config = json.loads((out / "config.json").read_text(encoding="utf-8"))
    assert MINE in json.dumps(config)
    (made,) = (read_views(path) for path in out.rglob("transforms.json"))
    expected = r3.renderers.OpenGL()(r3.Mesh.load(egg).normalized(), made.cameras, ("alpha",))
    assert torch.equal(made.alpha, expected.alpha)


def test_a_scene_is_compared_and_fitted_through_it(
    egg: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    memory_of = scenes.memory_of  # of its own alone, for that takes a process each
    monkeypatch.setattr(
        scenes, "memory_of", lambda work, name, *rest: memory_of(work, name, *rest) if name == MINE else 1.0
    )
    small = ("--size", 12, 16, "--rounds", 1, "--json")
    out = tmp_path / "compared"
    run("compare", egg, "--out", out, "--views", 2, "--renderers", "opengl", MINE, *small)
    rows = json.loads(capsys.readouterr().out)
    assert rows["renderers"][MINE]["iou"] == 1
    assert rows["renderers"][MINE]["licence"] == "WTFPL"
    assert rows["renderers"]["opengl"]["peak_mib"] == 1 < rows["renderers"][MINE]["peak_mib"]
    write_views(tmp_path / "views", CAMERAS, r3.renderers.OpenGL()(r3.Mesh.load(egg), CAMERAS))
    quick = ("--template", egg, "--updates", 2, "--samples", 2, "--evaluate-every", 2)
    run("fit", tmp_path / "views", "--out", tmp_path / "fitted", "--renderer", MINE, *quick)
    assert (tmp_path / "fitted" / "mesh.obj").exists()


def test_a_model_of_meshes_is_trained_through_it(tmp_path: Path) -> None:
    data = ("--size", 8, "--train", 4, "--validation", 2, "--test", 2)
    model = ("--renderer", MINE, "--orientation", "of_state", "--samples", 2, "--state", 16, "--hidden", 16)
    quick = ("--updates", 1, "--batch-size", 2, "--validation-examples", 2, "--evaluation-samples", 1)
    run("train", "meshes", "--out", tmp_path / "run", "--device", "cpu", *data, *model, *quick)
    config = json.loads((tmp_path / "run" / "config.json").read_text(encoding="utf-8"))
    assert config["settings"]["experiment"]["renderer"] == MINE
