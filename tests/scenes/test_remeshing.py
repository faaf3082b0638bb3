"""Isotropic remeshing: the same surface, of the same topology, in triangles of the size that was asked for."""

import dataclasses
import math

import pytest
import torch
import trimesh
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from render3d import Mesh
from render3d.errors import ShapeError
from render3d.fitting.hulls import volumes_of_parts
from render3d.metrics import mesh_topology
from render3d.scenes.remeshing import remeshed
from render3d.scenes.topology import edges_of, is_closed

LARGE, SMALL = 0.6, 0.25
"""Radii of the torus: round its hole, and of its tube."""


def torus() -> Mesh:
    """Of long thin triangles: nine times as many round the tube as along it would need."""
    found = trimesh.creation.torus(LARGE, SMALL, major_sections=90, minor_sections=16)
    return Mesh(torch.tensor(found.vertices, dtype=torch.float32), torch.tensor(found.faces))


def distance_to_torus(vertices: Tensor) -> Tensor:
    """Signed, from the closed form."""
    return ((vertices[:, :2].norm(dim=-1) - LARGE).square() + vertices[:, 2].square()).sqrt() - SMALL


def lengths(mesh: Mesh) -> Tensor:
    ends = mesh.vertices[edges_of(mesh.faces).ends]
    return (ends[:, 0] - ends[:, 1]).norm(dim=-1)


def volume(mesh: Mesh) -> float:
    return float(volumes_of_parts(mesh)[1].sum())


@pytest.mark.parametrize("edge", [0.06, 0.15, 0.3])
def test_a_sphere_stays_a_closed_sphere_of_triangles_of_the_size(edge: float) -> None:
    ball = Mesh.icosphere(4)
    found = remeshed(ball, edge)
    assert is_closed(found.faces)
    topology = mesh_topology(found)
    assert (topology.euler_number, topology.components, topology.crossing_faces) == (2, 1, 0)
    share = lengths(found) / edge
    assert float(((share > 0.5) & (share < 1.7)).float().mean()) > 0.99
    # A chord of this length lies edge^2 / 8 below the unit sphere, and a triangle edge^2 / 6.
    assert float((found.vertices.norm(dim=-1) - 1).abs().max()) < edge**2 / 2 + 0.003
    assert volume(found) == pytest.approx(4 / 3 * math.pi, rel=edge**2 + 0.01)


def test_the_number_of_triangles_is_that_of_regular_ones() -> None:
    found = remeshed(Mesh.icosphere(4), 0.1)
    assert len(found.faces) == pytest.approx(4 * math.pi / (math.sqrt(3) / 4 * 0.1**2), rel=0.25)
    a, b, c = found.vertices[found.faces].unbind(1)
    sides = torch.stack([(a - b).norm(dim=-1), (b - c).norm(dim=-1), (c - a).norm(dim=-1)])
    area = torch.linalg.cross(b - a, c - a).norm(dim=-1) / 2
    roundness = 4 * math.sqrt(3) * area / sides.square().sum(0)  # 1 of a regular triangle
    assert float(roundness.mean()) > 0.95
    assert float(roundness.min()) > 0.5


def test_a_torus_keeps_its_hole_its_surface_and_its_volume() -> None:
    before = torus()
    found = remeshed(before, 0.08)
    assert is_closed(found.faces)
    topology = mesh_topology(found)
    assert (topology.euler_number, topology.components, topology.crossing_faces) == (0, 1, 0)
    assert float(distance_to_torus(found.vertices).abs().max()) < 0.015
    assert volume(found) == pytest.approx(volume(before), rel=0.02)
    share = lengths(found) / 0.08
    assert float(((share > 0.5) & (share < 1.7)).float().mean()) > 0.98


def test_coarse_triangles_close_no_hole() -> None:
    found = remeshed(torus(), 0.3)  # as wide as the tube
    assert is_closed(found.faces)
    assert mesh_topology(found).euler_number == 0


def test_two_parts_stay_two() -> None:
    ball = Mesh.icosphere(3)
    vertices = torch.cat([ball.vertices, 0.5 * ball.vertices + torch.tensor([2.0, 0.0, 0.0])])
    found = remeshed(Mesh(vertices, torch.cat([ball.faces, ball.faces + len(ball.vertices)])), 0.15)
    assert is_closed(found.faces)
    assert (mesh_topology(found).euler_number, mesh_topology(found).components) == (4, 2)
    assert volumes_of_parts(found)[1].sort().values.tolist() == pytest.approx(
        [4 / 3 * math.pi / 8, 4 / 3 * math.pi], rel=0.08
    )


def test_borders_stay_where_they_are() -> None:
    across = torch.linspace(0, 1, 9)
    vertices = torch.cat([torch.cartesian_prod(across, across), torch.zeros(81, 1)], dim=1)
    corner = (torch.arange(8)[:, None] * 9 + torch.arange(8)).reshape(-1)
    faces = torch.cat(
        [torch.stack(three, 1) for three in ((corner, corner + 9, corner + 10), (corner, corner + 10, corner + 1))]
    )
    for edge in (0.05, 0.4):
        found = remeshed(Mesh(vertices, faces), edge)
        assert float(found.vertices[:, 2].abs().max()) == 0
        table = edges_of(found.faces)
        a, b, c = found.vertices[found.faces].double().unbind(1)
        normal = torch.linalg.cross(b - a, c - a)
        assert float(normal[:, 2].min()) > 0  # none turned over
        assert float(normal[:, 2].sum() / 2) == pytest.approx(1, abs=1e-5)  # all of the square, once
        border = found.vertices[table.ends[torch.bincount(table.of_side) == 1]]
        on_side = ((border - border.round()).abs() < 1e-6)[..., :2].all(1).any(1)
        assert bool(on_side.all())
        old = {tuple(place) for place in vertices.tolist() if {0.0, 1.0} & set(place[:2])}
        assert old <= {tuple(place) for place in found.vertices.tolist()}


def test_edges_of_three_faces_stay_where_they_are() -> None:
    fin = torch.tensor([[0.0, 0, 0], [0, 0, 1], [1, 0, 0.5], [-1, 1, 0.5], [-1, -1, 0.5]])
    found = remeshed(Mesh(fin, torch.tensor([[0, 1, 2], [0, 1, 3], [0, 1, 4]])), 0.2)
    edges = edges_of(found.faces)
    of_three = found.vertices[edges.ends[torch.bincount(edges.of_side) == 3]]
    assert float(of_three[..., :2].abs().max()) == 0
    assert float((of_three[:, 0] - of_three[:, 1]).norm(dim=-1).sum()) == pytest.approx(1)


def test_colours_are_left_out_and_the_rest_stays_as_it_was() -> None:
    ball = Mesh.icosphere(2)
    colored = dataclasses.replace(ball, colors=ball.vertices.abs().clamp(0, 1), vertices=ball.vertices.requires_grad_())
    found = remeshed(colored, 0.3)
    assert found.colors is None and found.face_colors is None and found.texture is None
    assert not found.vertices.requires_grad
    assert (found.vertices.dtype, found.faces.dtype) == (ball.vertices.dtype, ball.faces.dtype)
    assert torch.equal(ball.vertices, Mesh.icosphere(2).vertices)


def test_no_round_leaves_the_mesh_and_the_same_mesh_gives_the_same() -> None:
    ball = Mesh.icosphere(2)
    assert torch.equal(remeshed(ball, 0.1, iterations=0).vertices, ball.vertices)
    first, second = (remeshed(torus(), 0.1) for _ in range(2))
    assert torch.equal(first.vertices, second.vertices) and torch.equal(first.faces, second.faces)


@pytest.mark.parametrize("edge", [0.0, -1.0, math.nan])
def test_a_length_that_is_none_is_an_error(edge: float) -> None:
    with pytest.raises(ValueError, match=f"edge must be a positive length; got {edge}"):
        remeshed(Mesh.icosphere(1), edge)


def test_a_batch_is_an_error() -> None:
    ball = Mesh.icosphere(1)
    with pytest.raises(ShapeError, match=r"mesh must be one mesh; got a batch of shape \[2\]. Index it"):
        remeshed(ball.with_vertices(ball.vertices.expand(2, -1, -1)), 0.1)


@settings(max_examples=12, deadline=None)
@given(
    stretch=st.tuples(*[st.floats(0.2, 2.0)] * 3),
    turn=st.integers(0, 2**31),
    edge=st.floats(0.15, 0.6),
    subdivisions=st.integers(1, 3),
)
def test_ellipsoids_stay_closed_and_no_face_turns_over(stretch, turn: int, edge: float, subdivisions: int) -> None:
    ball = Mesh.icosphere(subdivisions)
    rotation = torch.linalg.qr(torch.randn(3, 3, generator=torch.Generator().manual_seed(turn)))[0]
    rotation = rotation * torch.linalg.det(rotation)
    mesh = ball.with_vertices(ball.vertices * torch.tensor(stretch) @ rotation.T)
    found = remeshed(mesh, edge)
    problems = found.check()
    assert (problems.open_edges, problems.crowded_edges, problems.inconsistent_edges) == (0, 0, 0)
    assert (problems.unreferenced_vertices, problems.duplicate_faces) == (0, 0)
    if not len(found.faces):
        assert edge > min(stretch)
        return
    assert is_closed(found.faces)
    a, b, c = found.vertices[found.faces].double().unbind(1)
    outward = (torch.linalg.cross(b - a, c - a) * (a + b + c)).sum(-1)
    if edge < min(stretch):  # else triangles are larger than the thing
        assert mesh_topology(found).euler_number == 2
    if edge < min(stretch) ** 2 / max(stretch):  # the least radius of curvature
        assert float(outward.min()) > 0
