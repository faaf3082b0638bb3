"""Surfaces against true ones whose distances are known."""

import math

import pytest
import torch

from render3d import Cameras, Mesh
from render3d.errors import ShapeError
from render3d.metrics import SurfaceAccuracy, chamfer_distance, compare_surfaces


def rectangle(left: float, right: float) -> Mesh:
    """Of height 1, in the plane z = 0."""
    corners = torch.tensor([[left, 0.0, 0], [right, 0, 0], [right, 1, 0], [left, 1, 0]])
    return Mesh(corners, torch.tensor([[0, 1, 2], [0, 2, 3]]))


def together(*meshes: Mesh) -> Mesh:
    starts = torch.tensor([0, *(len(mesh.vertices) for mesh in meshes)]).cumsum(0)
    faces = [mesh.faces + start for mesh, start in zip(meshes, starts, strict=False)]
    return Mesh(torch.cat([mesh.vertices for mesh in meshes]), torch.cat(faces))


def test_the_chamfer_distance_of_two_balls_is_that_of_their_radii() -> None:
    small, large = Mesh.icosphere(4, 0.7), Mesh.icosphere(4, 0.8)
    assert chamfer_distance(small, large) == pytest.approx(0.1, abs=0.003)
    assert chamfer_distance(small, small) == 0
    assert chamfer_distance(large, small) == pytest.approx(chamfer_distance(small, large))


def test_the_chamfer_distance_looks_both_ways() -> None:
    """A part is near the whole, but the whole is not near the part."""
    ball = Mesh.icosphere(5)
    cap = Mesh(ball.vertices, ball.faces[(ball.vertices[ball.faces][..., 1] > 0).all(-1)])
    # Half of the ball's points lie on the cap. The others are as far from its rim as chords of their latitude are long.
    chords = (2**0.5 / 3 + 2**0.5 - 4 / 3) / 2
    assert 2 * chamfer_distance(cap, ball) == pytest.approx(chords, abs=0.03)


def test_the_chamfer_distance_is_that_of_two_meshes() -> None:
    ball = Mesh.icosphere(1)
    with pytest.raises(ShapeError, match=r"second must be one mesh; got a batch of shape \[2\]"):
        chamfer_distance(ball, ball.with_vertices(ball.vertices.expand(2, -1, -1)))


def test_a_ball_in_a_ball_is_as_far_from_it_as_their_radii_say() -> None:
    """The radius is half the diagonal of a box, the square root of 3 for a ball of radius 1."""
    found = compare_surfaces(Mesh.icosphere(4, 0.98), Mesh.icosphere(4))
    assert found.radius == pytest.approx(math.sqrt(3), abs=1e-6)
    assert found.visible is None
    assert found.whole.chamfer == pytest.approx(0.02 / math.sqrt(3), abs=3e-4)
    assert (found.whole.f1_1_percent, found.whole.f1_3_5_percent) == (0, 1)
    assert compare_surfaces(Mesh.icosphere(2), Mesh.icosphere(2), radius=0.5).radius == 0.5


def test_f1_counts_what_is_missing_and_what_is_wrong() -> None:
    """A square that is moved by 0.3 in its plane: 0.7 of either lie on the other, and a threshold more."""
    truth, radius = rectangle(0, 1), math.sqrt(0.5)
    moved = compare_surfaces(rectangle(0.3, 1.3), truth).whole
    assert moved.f1_1_percent == pytest.approx(0.7 + 0.01 * radius, abs=0.01)
    assert moved.f1_3_5_percent == pytest.approx(0.7 + 0.035 * radius, abs=0.01)
    assert moved.chamfer == pytest.approx(0.3**2 / 2 / radius, abs=2e-3)
    half = compare_surfaces(rectangle(0, 0.5), truth).whole
    recall = 0.5 + 0.01 * radius
    assert half.f1_1_percent == pytest.approx(2 * recall / (1 + recall), abs=0.01)
    assert half.chamfer == pytest.approx(0.5**2 / 2 / 2 / radius, abs=2e-3)


def test_what_no_camera_sees_may_be_missing() -> None:
    """The smaller ball in the truth has a fifth of its area, and lies deep in the larger one."""
    shell = Mesh.icosphere(3)
    truth = together(shell, Mesh.icosphere(3, 0.5))
    cameras = Cameras.sphere(8, 4.0, vertical_fov_degrees=40, image_size=(60, 90))
    found = compare_surfaces(shell, truth, cameras)
    assert found.whole.chamfer == pytest.approx(0.5 / 5 / 2 / found.radius, abs=0.003)
    assert found.visible is not None
    assert found.visible.chamfer < 0.004
    assert found.visible.f1_1_percent > 0.999


def test_one_camera_sees_the_side_that_it_looks_at() -> None:
    ball = Mesh.icosphere(4)
    camera = Cameras.look_at((0.0, 0.0, 10.0), vertical_fov_degrees=30, image_size=(40, 40))
    front = Mesh(ball.vertices, ball.faces[(ball.vertices[ball.faces][..., 2] > -0.1).all(-1)])
    found = compare_surfaces(front, ball, camera)
    assert found.visible is not None
    assert found.visible.f1_1_percent > 0.999
    assert found.whole.f1_3_5_percent < 0.8
    away = Cameras.look_at((0.0, 0.0, 10.0), (0.0, 0.0, 20.0), image_size=(40, 40))
    assert compare_surfaces(front, ball, away).visible is None


def test_a_surface_is_as_good_as_points_tell() -> None:
    ball = Mesh.icosphere(3)
    found = compare_surfaces(ball, ball).whole
    assert found == SurfaceAccuracy(chamfer=pytest.approx(0, abs=3e-3), f1_1_percent=1, f1_3_5_percent=1)


def test_surfaces_that_cannot_be_compared_are_an_error() -> None:
    ball = Mesh.icosphere(1)
    with pytest.raises(ShapeError, match=r"truth must be one mesh; got a batch of shape \[2\]"):
        compare_surfaces(ball, ball.with_vertices(ball.vertices.expand(2, -1, -1)))
    with pytest.raises(ShapeError, match="found must be a surface; got a mesh without faces"):
        compare_surfaces(Mesh(ball.vertices, ball.faces[:0]), ball)
    with pytest.raises(ShapeError, match=r"cameras must be \[views\]; got \[2, 1\]"):
        compare_surfaces(ball, ball, Cameras.sphere(2, 3.0)[:, None])
