import pytest
import torch

from render3d.errors import ShapeError
from render3d.metrics import psnr, silhouette_disagreement, silhouette_iou, ssim


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


def test_ssim_of_two_even_images_is_that_of_their_luminances() -> None:
    a, b = 0.3, 0.5
    found = ssim(torch.full((3, 12, 14), a), torch.full((3, 12, 14), b))
    assert found.item() == pytest.approx((2 * a * b + 0.01**2) / (a * a + b * b + 0.01**2), abs=1e-6)


def slow_ssim(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    """The map of one channel by the formula of the paper, a window at a time."""
    x = torch.arange(-5.0, 6, dtype=torch.float64)
    line = (-(x**2) / (2 * 1.5**2)).exp()
    weight = line[:, None] * line / line.sum() ** 2
    height, width = first.shape
    found = torch.empty(height - 10, width - 10, dtype=torch.float64)
    for row in range(height - 10):
        for column in range(width - 10):
            a, b = (image[row : row + 11, column : column + 11].double() for image in (first, second))
            mean_a, mean_b = (weight * a).sum(), (weight * b).sum()
            variance_a, variance_b = (weight * (a - mean_a) ** 2).sum(), (weight * (b - mean_b) ** 2).sum()
            covariance = (weight * (a - mean_a) * (b - mean_b)).sum()
            found[row, column] = ((2 * mean_a * mean_b + 1e-4) * (2 * covariance + 9e-4)) / (
                (mean_a**2 + mean_b**2 + 1e-4) * (variance_a + variance_b + 9e-4)
            )
    return found


def test_ssim_is_that_of_the_paper_and_each_image_has_its_number() -> None:
    one, many = torch.rand(2, 15, 13, generator=torch.Generator().manual_seed(0)), torch.rand(3, 1, 2, 15, 13)
    many[1, 0] = one
    found = ssim(one, many)
    assert found.shape == (3, 1)
    assert found[1].item() == 1
    twin = torch.stack([slow_ssim(one[channel], many[0, 0, channel]) for channel in range(2)]).mean(0)
    assert found[0].item() == pytest.approx(twin.mean().item(), abs=1e-6)
    where = torch.zeros(1, 15, 13, dtype=torch.bool)
    where[:, 6:8, 5:7] = True
    assert ssim(one, many, where=where)[0].item() == pytest.approx(twin[1:3, 0:2].mean().item(), abs=1e-6)
    assert ssim(one, many, where=torch.zeros_like(where)).isnan().all()


def test_images_must_hold_a_window_of_ssim() -> None:
    with pytest.raises(ShapeError, match=r"at least 11 pixels a side, the window of SSIM; got \[3, 10, 20\]"):
        ssim(torch.zeros(3, 10, 20), torch.zeros(3, 10, 20))
    with pytest.raises(ShapeError, match="Images must be of one size"):
        ssim(torch.zeros(3, 12, 20), torch.zeros(3, 12, 21))
