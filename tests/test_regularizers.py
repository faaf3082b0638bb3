import math

import pytest
import torch

from render3d import Mesh, Volume
from render3d.errors import MeshError
from render3d.regularizers import (
    laplacian_energy,
    normal_consistency,
    sparsity,
    total_variation,
)


@pytest.fixture
def hinge() -> Mesh:
    """Two right triangles of one edge, the second folded up by 60 degrees."""
    angle = math.radians(60)
    vertices = [[0, 0, 0], [0, 1, 0], [-1, 0, 0], [math.cos(angle), 0, math.sin(angle)]]
    return Mesh(torch.tensor(vertices, dtype=torch.float64), torch.tensor([[0, 1, 2], [1, 0, 3]]))


def test_laplacian_energy_is_the_sum_of_squared_edges(hinge: Mesh):
    assert laplacian_energy(hinge).item() == pytest.approx(1 + 1 + 1 + 2 + 2)


def test_normal_consistency_of_a_hinge_is_one_minus_the_cosine_of_its_fold(hinge: Mesh):
    assert normal_consistency(hinge).item() == pytest.approx(1 - math.cos(math.radians(60)))


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


def box(*resolution: int, extent: float = 1.5) -> Volume:
    """A solid box of 1 x 1.5 x 0.75 (z, y, x) of 3 in the middle of the cube, for grids that its faces lie between."""
    places = [(torch.arange(cells) + 0.5) / cells * 3 - 1.5 for cells in resolution]
    inside = [place.abs() < side / 2 for place, side in zip(places, (1.0, 1.5, 0.75), strict=True)]
    occupancy = inside[0][:, None, None] & inside[1][:, None] & inside[2]
    return Volume.from_occupancy(occupancy.double(), extent=extent)


@pytest.mark.parametrize("resolution", [(12, 12, 16), (24, 24, 24), (36, 12, 32)])
def test_total_variation_of_a_box_is_its_area_whatever_the_resolution(resolution: tuple[int, int, int]):
    area = 2 * (1 * 1.5 + 1.5 * 0.75 + 0.75 * 1)
    assert total_variation(box(*resolution)).item() == pytest.approx(area, rel=1e-3)  # occupancies end at 1 - 2^-14
    assert total_variation(box(*resolution, extent=3.0)).item() == pytest.approx(4 * area, rel=1e-3)


def test_total_variation_of_half_a_box_is_half_and_what_fills_the_cube_has_none():
    half = Volume.from_occupancy(0.5 * box(12, 12, 16).occupancy[0], extent=1.5)
    assert total_variation(half).item() == pytest.approx(total_variation(box(12, 12, 16)).item() / 2, rel=1e-3)
    assert total_variation(Volume.from_occupancy(torch.ones(3, 4, 5))).item() == 0


@pytest.mark.parametrize("resolution", [(12, 12, 16), (36, 12, 32)])
def test_sparsity_is_the_share_of_the_cube_that_is_occupied(resolution: tuple[int, int, int]):
    assert sparsity(box(*resolution)).item() == pytest.approx(1 * 1.5 * 0.75 / 27, rel=1e-3)
    assert sparsity(Volume.from_occupancy(torch.full((2, 3, 4), 0.25))).item() == pytest.approx(0.25)


def test_a_batch_of_volumes_has_one_number_each_and_colours_do_not_count():
    first, second = box(12, 12, 16), box(12, 12, 16, extent=3.0)
    batch = Volume.stack([first, Volume.from_occupancy(second.occupancy[0], extent=1.5)])
    colored = Volume(torch.cat([batch.values, torch.rand(2, 3, 12, 12, 16)], dim=1), 1.5)
    for prior in (total_variation, sparsity):
        assert prior(batch).tolist() == pytest.approx([prior(first).item()] * 2)
        assert torch.equal(prior(colored), prior(batch))


def test_gradients_of_volumes_agree_with_differences():
    logits = torch.randn(2, 3, 4, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    for prior in (total_variation, sparsity):
        torch.autograd.gradcheck(lambda x, p=prior: p(Volume.from_logits(x, extent=1.7)), logits.requires_grad_())
