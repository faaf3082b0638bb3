"""Euler numbers, components and crossings of surfaces of known topology."""

import math
from fractions import Fraction

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from render3d import Mesh
from render3d.data import bunny
from render3d.errors import ShapeError
from render3d.metrics import crossing_faces, mesh_topology

TILT = torch.tensor([[2.0, -1, 2], [2, 2, -1], [-1, 2, 2]]) / 3  # so that nothing is parallel to an axis


def tube(curve: torch.Tensor, radius: float = 0.2, sides: int = 10) -> Mesh:
    """Round a closed curve ``[N, 3]`` that is never parallel to z."""
    along = torch.nn.functional.normalize(curve.roll(-1, 0) - curve.roll(1, 0), dim=-1)
    across = torch.nn.functional.normalize(torch.linalg.cross(along, torch.tensor([[0.0, 0, 1]])), dim=-1)
    up = torch.linalg.cross(across, along)
    angle = (torch.arange(sides) + 0.3)[:, None] * 2 * math.pi / sides
    ring = curve[:, None] + radius * (angle.cos() * across[:, None] + angle.sin() * up[:, None])
    number = torch.arange(len(curve) * sides).reshape(len(curve), sides)
    a, b, c, d = number, number.roll(-1, 1), number.roll((-1, -1), (0, 1)), number.roll(-1, 0)
    faces = torch.cat([torch.stack(three, -1).reshape(-1, 3) for three in ((a, b, c), (a, c, d))])
    return Mesh(ring.reshape(-1, 3) @ TILT.T, faces)


def eight(height: float) -> torch.Tensor:
    """A figure of eight whose branches pass each other at twice this height."""
    t = torch.arange(60) * 2 * math.pi / 60
    return torch.stack([1.5 * t.sin(), (2 * t).sin(), height * t.cos()], -1)


def two(subdivisions: int, shift: list[float]) -> Mesh:
    ball = Mesh.icosphere(subdivisions)
    both = torch.cat([ball.vertices, ball.vertices * 0.9 @ TILT.T + torch.tensor(shift)])
    return Mesh(both, torch.cat([ball.faces, ball.faces + len(ball.vertices)]))


def slowly_crossing(mesh: Mesh) -> NDArray[np.bool_]:
    """Pair by pair, in fractions: where the line of an edge meets the plane of a face, in its own coordinates."""
    points = [[Fraction(float(x)) for x in vertex] for vertex in mesh.vertices]
    faces = mesh.faces.tolist()
    low, high = mesh.vertices[mesh.faces].amin(1).numpy(), mesh.vertices[mesh.faces].amax(1).numpy()
    found = np.zeros(len(faces), bool)
    near = (low[:, None] <= high[None]).all(-1) & (low[None] <= high[:, None]).all(-1)
    for one, other in np.argwhere(near & ~np.eye(len(faces), dtype=bool)):
        for k in range(3):
            edge = [faces[one][k], faces[one][k - 1]]
            corners = faces[other]
            if not {*edge} & {*corners} and pierces([points[e] for e in edge], [points[c] for c in corners]):
                found[[one, other]] = True
    return found


def pierces(segment: list[list[Fraction]], triangle: list[list[Fraction]]) -> bool:
    """Cramer's rule for ``start + t direction = a + u (b - a) + v (c - a)``."""
    (start, end), (a, b, c) = segment, triangle
    columns = [minus(start, end), minus(b, a), minus(c, a)]
    right = minus(start, a)
    whole = determinant(columns)
    if not whole:
        return False
    t, u, v = (determinant([right if k == n else column for k, column in enumerate(columns)]) / whole for n in range(3))
    return 0 < t < 1 and u > 0 and v > 0 and u + v < 1


def minus(first: list[Fraction], second: list[Fraction]) -> list[Fraction]:
    return [x - y for x, y in zip(first, second, strict=True)]


def determinant(columns: list[list[Fraction]]) -> Fraction:
    (a, b, c), (d, e, f), (g, h, i) = columns
    return a * (e * i - f * h) - b * (d * i - f * g) + c * (d * h - e * g)


def counts(mesh: Mesh) -> tuple[int, int, int]:
    found = mesh_topology(mesh)
    return found.euler_number, found.components, found.crossing_faces


def test_a_ball_a_ring_and_two_balls() -> None:
    t = torch.arange(40) * 2 * math.pi / 40
    ring = tube(torch.stack([t.cos(), t.sin(), 0 * t], -1))
    assert counts(Mesh.icosphere(2)) == (2, 1, 0)
    assert counts(ring) == (0, 1, 0)
    assert counts(two(2, [2.0, 0.3, 0.2])) == (4, 2, 0)
    assert counts(two(2, [0.02, 0.01, 0.03])) == (4, 2, 0)  # one within the other
    assert counts(Mesh(ring.vertices, ring.faces[:0])) == (0, 0, 0)


def test_seams_of_a_texture_tear_nothing() -> None:
    ball = Mesh.icosphere(2)
    split = Mesh(ball.vertices[ball.faces].reshape(-1, 3), torch.arange(3 * len(ball.faces)).reshape(-1, 3))
    assert counts(split) == (2, 1, 0)


def test_the_bunny_does_not_cross_itself() -> None:
    assert counts(bunny()) == (2, 1, 0)


def test_balls_that_overlap_cross_where_a_slow_twin_says() -> None:
    mesh = two(1, [0.83, 0.21, -0.34])
    found = crossing_faces(mesh)
    assert 20 < found.sum() < 100
    assert np.array_equal(found.numpy(), slowly_crossing(mesh))


def test_random_triangles_some_of_which_share_vertices_cross_where_a_slow_twin_says() -> None:
    generator = torch.Generator().manual_seed(1)
    vertices = torch.rand(40, 3, generator=generator)
    faces = torch.stack([torch.randperm(40, generator=generator)[:3] for _ in range(40)])
    sizes = torch.rand(20, 1, 1, generator=generator) ** 3  # very different ones
    corners = vertices[faces[:20]].mean(1, keepdim=True) + sizes * (torch.rand(20, 3, 3, generator=generator) - 0.5)
    mesh = Mesh(torch.cat([vertices, corners.reshape(-1, 3)]), torch.cat([faces, 40 + torch.arange(60).reshape(-1, 3)]))
    found = crossing_faces(mesh).numpy()
    assert 0 < found.sum() < len(found)
    assert np.array_equal(found, slowly_crossing(mesh))


def test_a_figure_of_eight_crosses_itself_where_its_branches_meet_and_only_if_they_do() -> None:
    assert counts(tube(eight(0.3))) == (0, 1, 0)
    flat = tube(eight(0.0))
    found = crossing_faces(flat)
    assert mesh_topology(flat).euler_number == 0
    assert found.sum() > 20
    assert flat.vertices[flat.faces[found]].norm(dim=-1).max() < 0.8  # the crossing is at the origin


def test_faces_that_share_a_vertex_cross_if_they_meet_elsewhere_too() -> None:
    corners = [[0.0, 0, 0], [2, -1, 0], [2, 1, 0], [1, 0.1, -1], [1, 0.2, 1]]
    assert crossing_faces(Mesh(torch.tensor(corners), torch.tensor([[0, 1, 2], [0, 3, 4]]))).all()
    corners[3:] = [[-1, 0.1, -1], [-1, 0.2, 1]]
    assert not crossing_faces(Mesh(torch.tensor(corners), torch.tensor([[0, 1, 2], [0, 3, 4]]))).any()


def test_bodies_that_touch_do_not_cross() -> None:
    """Two cubes on one another: faces in one plane, and edges that end on it."""
    x = [0.0, 1.0]
    cube = torch.tensor([[a, b, c] for a in x for b in x for c in x])
    quads = [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)]
    faces = torch.tensor([three for a, b, c, d in quads for three in ((a, b, c), (a, c, d))])
    shifted = cube + torch.tensor([0.25, 1.0, 0.125])
    assert counts(Mesh(torch.cat([cube, shifted]), torch.cat([faces, faces + 8]))) == (4, 2, 0)
    sunk = shifted - torch.tensor([0, 0.1, 0])
    assert mesh_topology(Mesh(torch.cat([cube, sunk]), torch.cat([faces, faces + 8]))).crossing_faces > 0


def test_a_batch_has_no_one_topology() -> None:
    ball = Mesh.icosphere(1)
    with pytest.raises(ShapeError, match=r"mesh must be one mesh; got a batch of shape \[2\]"):
        mesh_topology(ball.with_vertices(ball.vertices.expand(2, -1, -1)))


def test_faces_that_are_lines_change_nothing() -> None:
    """Marching cubes leaves some where two vertices fall on one place."""
    ball = Mesh.icosphere(2)
    vertices = ball.vertices.clone()
    first, second, _ = ball.faces[7].tolist()
    vertices[first] = vertices[second]
    found = mesh_topology(Mesh(vertices, ball.faces))
    assert (found.euler_number, found.components) == (2, 1)
