"""``render3d pose``, as it is typed: where a known mesh stands in posed photographs."""

import json
from pathlib import Path

import pytest
import torch

import render3d as r3
from render3d import cli
from render3d.renderers import OpenGL
from render3d.view_sets import write_views


def box() -> r3.Mesh:
    """Of three unlike sides, each in its colours, so that no turn leaves it as it is."""
    ball = r3.Mesh.icosphere(3)
    vertices = ball.vertices.sign() * ball.vertices.abs() ** 0.3 * torch.tensor([0.9, 0.45, 0.25])
    return r3.Mesh(vertices, ball.faces, colors=0.5 + 0.4 * (3 * vertices + torch.tensor([0.0, 1.0, 2.0])).sin())


@pytest.fixture
def views(tmp_path: Path) -> Path:
    """Views of the box, wider than high and with a principal point off the middle, and ``box.ply`` as it stands."""
    cameras = r3.Cameras.sphere(4, 3.0, image_size=(56, 80)).crop(3, 8, 48, 64)
    write_views(tmp_path / "views", cameras, OpenGL(r3.Shading.unlit())(box(), cameras, ("rgb", "alpha")))
    box().save(tmp_path / "box.ply")
    return tmp_path / "views"


def rough(views: Path) -> tuple[Path, torch.Tensor]:
    """The box turned by 13 degrees and moved a little, and the matrix that does that."""
    move = torch.eye(4)
    spin = torch.tensor([[0.0, 0.05, 0.2], [-0.05, 0.0, -0.1], [-0.2, 0.1, 0.0]])
    move[:3, :3], move[:3, 3] = torch.linalg.matrix_exp(spin), torch.tensor([0.05, -0.04, 0.03])
    mesh = box()
    path = views.parent / "rough.ply"
    mesh.with_vertices(mesh.vertices @ move[:3, :3].T + move[:3, 3]).save(path)
    return path, move


def run(*words: object) -> int:
    return cli.main(["pose", *map(str, words)])


def test_the_mesh_is_put_where_the_photographs_show_it(views: Path) -> None:
    path, move = rough(views)
    out = views.parent / "out"
    assert run(path, views, "--out", out, "--pixels", 64) == 0
    facts = json.loads((out / "pose.json").read_text())
    assert facts["iou"] > 0.97 > 0.9 > facts["rough_iou"]
    both = torch.tensor(facts["mesh_to_world"]) @ move  # there and back
    assert float((both - torch.eye(4)).abs().max()) < 0.03
    assert float((r3.Mesh.load(out / "mesh.glb").vertices - box().vertices).abs().max()) < 0.03
    page = (out / "report.html").read_text()
    assert "The pose of a mesh" in page and "rough pose" in page


def test_a_mesh_of_other_units_is_centred_first(views: Path, capsys: pytest.CaptureFixture[str]) -> None:
    large = box().with_vertices(1000 * box().vertices + 500)
    large.save(views.parent / "large.ply")
    out = views.parent / "out"
    assert run(views.parent / "large.ply", views, "--out", out, "--centred", "--pixels", 64, "--json") == 0
    facts = json.loads(capsys.readouterr().out)
    moved = large.vertices @ torch.tensor(facts["mesh_to_world"])[:3, :3].T
    moved = moved + torch.tensor(facts["mesh_to_world"])[:3, 3]
    assert torch.allclose(moved, r3.Mesh.load(out / "mesh.glb").vertices, atol=1e-3)
    assert facts["iou"] > 0.9


def test_a_mesh_at_coordinates_of_maps_is_centred_first(views: Path, capsys: pytest.CaptureFixture[str]) -> None:
    far = box().vertices.double() + torch.tensor([500123.4, 4649777.1, 320.0], dtype=torch.float64)
    r3.Mesh(far, box().faces).save(views.parent / "far.obj")
    out = views.parent / "out"
    assert run(views.parent / "far.obj", views, "--out", out, "--centred", "--pixels", 64, "--json") == 0
    move = torch.tensor(json.loads(capsys.readouterr().out)["mesh_to_world"], dtype=torch.float64)
    moved = far @ move[:3, :3].T + move[:3, 3]
    found = r3.Mesh.load(out / "mesh.glb").vertices.double()
    assert float((moved - found).abs().max()) < 1e-3


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--most-views", 0), "--most-views must be at least 1"),
        (("--pixels", 1), "--pixels"),
        (("--renderer", "maxprojection"), "MaxProjection"),
        (("--format", "r2n2"), "rendering/renderings.txt: no such file"),
    ],
)
def test_bad_flags_fail_in_one_line_and_leave_no_folder(
    views: Path, flags: tuple[object, ...], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    out = views.parent / "out"
    assert run(views.parent / "box.ply", views, "--out", out, *flags) != 0
    error = capsys.readouterr().err
    assert message in error and len(error.strip().splitlines()) == 1
    assert not out.exists()


def test_a_mesh_that_is_not_there_fails_in_one_line(views: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(views.parent / "none.ply", views, "--out", views.parent / "out") == 1
    assert "none.ply: no such file" in capsys.readouterr().err
