import pytest
import torch

from render3d import Mesh
from render3d.errors import ShapeError
from render3d.metrics import chamfer_distance, psnr, silhouette_disagreement, silhouette_iou


def rectangle(rows: slice, columns: slice) -> torch.Tensor:
    image = torch.zeros(1, 8, 8)
    image[:, rows, columns] = 1
    return image


def test_iou_of_overlapping_rectangles_is_the_ratio_of_their_areas():
    first, second = rectangle(slice(0, 4), slice(0, 4)), rectangle(slice(2, 6), slice(0, 4))
    assert silhouette_iou(first, second).item() == pytest.approx(8 / 24)
    assert silhouette_disagreement(first, second).item() == pytest.approx(16 / 64)


def test_equal_silhouettes_agree_wholly_and_disjoint_ones_not_at_all():
    first, second = rectangle(slice(0, 4), slice(0, 8)), rectangle(slice(4, 8), slice(0, 8))
    assert silhouette_iou(first, first).item() == 1
    assert silhouette_iou(first, second).item() == 0
    assert silhouette_disagreement(first, second).item() == 1


def test_two_empty_silhouettes_agree_and_an_empty_one_disagrees_with_any_other():
    empty, full = torch.zeros(1, 8, 8), torch.ones(1, 8, 8)
    assert silhouette_iou(empty, empty).item() == 1
    assert silhouette_iou(empty, full).item() == 0


def test_leading_dimensions_broadcast_and_each_image_has_its_number():
    one = rectangle(slice(0, 4), slice(0, 4))
    many = torch.stack([one, torch.zeros_like(one), torch.ones_like(one)]).expand(2, 3, 1, 8, 8)
    torch.testing.assert_close(silhouette_iou(one, many), torch.tensor([[1, 0, 0.25]] * 2))


def test_coverage_counts_above_the_threshold_only():
    faint = torch.full((1, 8, 8), 0.4)
    assert silhouette_iou(faint, torch.ones(1, 8, 8)).item() == 0
    assert silhouette_iou(faint, torch.ones(1, 8, 8), threshold=0.3).item() == 1


def test_images_of_different_sizes_are_an_error():
    with pytest.raises(ShapeError, match=r"of one size; got \[1, 8, 8\] and \[1, 8, 4\]"):
        silhouette_iou(torch.zeros(1, 8, 8), torch.zeros(1, 8, 4))


def test_colours_are_an_error():
    with pytest.raises(ShapeError, match=r"must be \[..., 1, H, W\]"):
        silhouette_iou(torch.zeros(3, 8, 8), torch.zeros(3, 8, 8))


def test_psnr_of_a_known_difference():
    """Off by 0.1 in one of three channels of half the pixels: a mean square of 0.01 / 6."""
    first, second = torch.zeros(2, 3, 4, 6), torch.zeros(3, 4, 6)
    first[1, 0, :2] = 0.1
    found = psnr(first, second)
    assert found[0] == torch.inf
    assert found[1].item() == pytest.approx(27.78, abs=0.01)
    top = torch.zeros(1, 4, 6, dtype=torch.bool)
    top[:, :2] = True
    assert psnr(first, second, where=top)[1].item() == pytest.approx(24.77, abs=0.01)
    assert psnr(first, second, where=~top)[1] == torch.inf
    with pytest.raises(ShapeError, match="Images must be of one size"):
        psnr(first, second[:, :, :3])


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
