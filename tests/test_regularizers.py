import math

import pytest
import torch

from render3d import Mesh
from render3d.errors import MeshError
from render3d.regularizers import face_pairs, laplacian_energy, normal_consistency, unique_edges


@pytest.fixture
def hinge() -> Mesh:
    """Two right triangles of one edge, the second folded up by 60 degrees."""
    angle = math.radians(60)
    vertices = [[0, 0, 0], [0, 1, 0], [-1, 0, 0], [math.cos(angle), 0, math.sin(angle)]]
    return Mesh(torch.tensor(vertices, dtype=torch.float64), torch.tensor([[0, 1, 2], [1, 0, 3]]))


def test_each_edge_is_counted_once(hinge: Mesh):
    assert unique_edges(hinge.faces).tolist() == [[0, 1], [0, 2], [0, 3], [1, 2], [1, 3]]
    assert len(unique_edges(Mesh.icosphere(2).faces)) == 3 * 320 // 2


def test_laplacian_energy_is_the_sum_of_squared_edges(hinge: Mesh):
    assert laplacian_energy(hinge).item() == pytest.approx(1 + 1 + 1 + 2 + 2)


def test_normal_consistency_of_a_hinge_is_one_minus_the_cosine_of_its_fold(hinge: Mesh):
    assert normal_consistency(hinge).item() == pytest.approx(1 - math.cos(math.radians(60)))


def test_neighbours_share_an_edge_and_every_inner_edge_has_one_pair():
    faces = Mesh.icosphere(1).faces
    pairs = face_pairs(faces)
    assert len(pairs) == 3 * len(faces) // 2
    assert all(len(set(faces[a].tolist()) & set(faces[b].tolist())) == 2 for a, b in pairs.tolist())


def test_edges_of_three_faces_take_no_part():
    fan = torch.tensor([[0, 1, 2], [1, 0, 3], [0, 1, 4]])
    assert len(face_pairs(fan)) == 0


def test_a_batch_has_one_number_each(hinge: Mesh):
    batch = hinge.with_vertices(torch.stack([hinge.vertices, 2 * hinge.vertices]))
    assert laplacian_energy(batch).tolist() == pytest.approx([7, 28])
    assert normal_consistency(batch).tolist() == pytest.approx([0.5, 0.5])


def test_gradients_agree_with_differences(hinge: Mesh):
    vertices = (hinge.vertices + 0.1 * torch.arange(12).reshape(4, 3).sin()).requires_grad_()
    torch.autograd.gradcheck(lambda v: laplacian_energy(hinge.with_vertices(v)), vertices)
    torch.autograd.gradcheck(lambda v: normal_consistency(hinge.with_vertices(v)), vertices)


def test_faces_that_share_no_edge_are_an_error(hinge: Mesh):
    with pytest.raises(MeshError, match="needs faces that share an edge"):
        normal_consistency(Mesh(hinge.vertices, hinge.faces[:1]))
