"""The comparison of poses, at a tiny size."""

import json
from pathlib import Path

import pose
import pytest
import torch

from render3d.fitting import PoseSettings
from render3d.renderers import OpenGL


@pytest.mark.parametrize("name", ["cube", "teapot"])
def test_problems_are_as_far_off_as_they_say_and_fair(name: str) -> None:
    made = pose.make_problems(name, OpenGL(), 5, 50, 16, seed=3)
    assert made.errors(made.rough).tolist() == pytest.approx([50] * 5, abs=0.01)
    assert made.errors(made.true).max() < 0.1
    assert made.losses(OpenGL(), torch.zeros(5, 6)).min() > 0
    place = made.true.position[:, 0]
    assert place.norm(dim=-1).tolist() == pytest.approx([3] * 5, abs=1e-4)
    faces = OpenGL()(made.mesh, made.true.resize(64, 64), ("face_index",)).face_index.flatten(1) // 2
    if name == "cube":
        assert all(len(set(seen.tolist()) - {-1}) == 3 for seen in faces)
    else:
        assert place[:, 1].min() > 0 and place[:, 1].max() < 2.6  # 3 sin 60


def test_the_sides_of_the_cube_face_outwards() -> None:
    mesh = pose.cube()
    corners = mesh.vertices[mesh.faces]
    normals = torch.linalg.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    assert ((normals * corners.mean(1)).sum(-1) > 0).all()


def test_cma_is_not_given_more_renders_than_it_is_said_to_have() -> None:
    made = pose.make_problems("cube", OpenGL(), 2, 20, 16, seed=3)

    class Counting:
        count = 0

        def __call__(self, *args: object, **options: object) -> object:
            images = OpenGL()(*args, **options)  # type: ignore[arg-type]
            self.count += images.leading_shape.numel()
            return images

    renderer = Counting()
    few, many = pose.by_cma(made, renderer, (100, 200), 0, 9, 0.3)
    assert 2 * 191 < renderer.count <= 2 * 200
    assert (made.losses(OpenGL(), many) <= made.losses(OpenGL(), few)).all()


def test_the_interval_is_that_of_wilson() -> None:
    assert pose.interval(45, 50) == "90 (79-96)"  # by hand: centre 0.8715, half 0.0851
    assert pose.interval(0, 50) == "0 (0-7)"


def test_the_command_writes_a_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pose, "ANGLES", (20,))
    monkeypatch.setattr(pose, "BUDGETS", (PoseSettings(candidates=16, starts=2, levels=2, updates=2),))
    monkeypatch.setattr(pose, "REPEATS", 40)
    monkeypatch.setattr(pose, "STRATEGIES", ((9, 0.3),))
    pose.main(out=tmp_path / "new", problems=2, size=32)
    metrics = json.loads((tmp_path / "new/metrics.json").read_text())
    assert len(metrics["errors"]) == 4 and all(len(errors) == 2 for errors in metrics["errors"].values())
    relative = metrics["relative variance"]["teapot"]
    assert relative["pose, regression"] < relative["pose, leave-one-out"] < relative["vertices, leave-one-out"]
    page = (tmp_path / "new/report.html").read_text()
    assert page.count("<svg") == 2 and "95 % Wilson" in page
