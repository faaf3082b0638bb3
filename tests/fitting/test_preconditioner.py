import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from render3d import Mesh
from render3d.errors import ShapeError
from render3d.fitting.preconditioner import SmoothCoordinates, combinatorial_laplacian


def dense_matrix(mesh: Mesh, smoothness: float) -> torch.Tensor:
    """The slow twin: I + lambda L entry by entry."""
    count = len(mesh.vertices)
    laplacian = torch.zeros(count, count, dtype=torch.float64)
    for face in mesh.faces.tolist():
        for first in face:
            for second in face:
                if first != second:
                    laplacian[first, second] = -1
    laplacian -= torch.diag(laplacian.sum(1))
    return torch.eye(count, dtype=torch.float64) + smoothness * laplacian


def test_the_laplacian_of_a_tetrahedron_is_known():
    faces = torch.tensor([[0, 1, 2], [0, 3, 1], [0, 2, 3], [1, 3, 2]])
    assert np.array_equal(combinatorial_laplacian(faces, 4).toarray(), 4 * np.eye(4) - np.ones((4, 4)))


def test_a_vertex_of_no_face_stays_alone():
    laplacian = combinatorial_laplacian(torch.tensor([[0, 1, 2]]), 4).toarray()
    assert np.array_equal(laplacian[3], np.zeros(4))


@settings(max_examples=20, deadline=None)
@given(subdivisions=st.integers(0, 2), smoothness=st.floats(0, 100), seed=st.integers(0, 2**31))
def test_values_and_gradients_agree_with_the_dense_twin(subdivisions: int, smoothness: float, seed: int):
    mesh = Mesh.icosphere(subdivisions)
    coordinates = SmoothCoordinates(mesh.faces, len(mesh.vertices), smoothness)
    generator = torch.Generator().manual_seed(seed)
    u = torch.randn(len(mesh.vertices), 3, generator=generator, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(len(mesh.vertices), 3, generator=generator, dtype=torch.float64)
    matrix = dense_matrix(mesh, smoothness)
    v, expected = coordinates.to_vertices(u), torch.linalg.solve(matrix, u)
    torch.testing.assert_close(v, expected)
    torch.testing.assert_close(coordinates.from_vertices(v), u.detach())
    (gradient,) = torch.autograd.grad((v.sin() * weight).sum(), u)
    (expected_gradient,) = torch.autograd.grad((expected.sin() * weight).sum(), u)
    torch.testing.assert_close(gradient, expected_gradient)


def test_no_smoothness_leaves_vertices_as_they_are():
    mesh = Mesh.icosphere(1)
    assert torch.equal(SmoothCoordinates(mesh.faces, 42, 0.0).to_vertices(mesh.vertices), mesh.vertices)


def test_translations_pass_unchanged():
    mesh = Mesh.icosphere(1)
    shift = torch.tensor([1.0, 2.0, 3.0]).expand(42, 3)
    torch.testing.assert_close(SmoothCoordinates(mesh.faces, 42, 50.0).to_vertices(shift), shift)


def test_a_second_derivative_is_an_error():
    mesh = Mesh.icosphere(0)
    u = mesh.vertices.clone().requires_grad_()
    v = SmoothCoordinates(mesh.faces, 12, 1.0).to_vertices(u)
    (gradient,) = torch.autograd.grad(v.pow(3).sum(), u, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        gradient.sum().backward()


def test_vertices_of_another_topology_are_an_error():
    mesh = Mesh.icosphere(0)
    with pytest.raises(ShapeError, match=r"coordinates must have shape \[12, 3\]; got \[42, 3\]"):
        SmoothCoordinates(mesh.faces, 12, 1.0).to_vertices(Mesh.icosphere(1).vertices)
