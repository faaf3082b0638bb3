import pytest
import torch

from render3d import Volume
from render3d.errors import VolumeError
from render3d.report import gallery
from render3d.report.volumes import slices


def test_slices_show_the_highest_y_on_top_and_the_lowest_x_on_the_left() -> None:
    occupancy = torch.zeros(4, 2, 3)
    occupancy[1, 0, 2] = 1.0
    pictures = slices(Volume.from_occupancy(occupancy), 4)
    assert pictures.shape == (4, 1, 2, 3)
    expected = torch.ones(4, 1, 2, 3)
    expected[1, 0, 1, 2] = 0.0
    torch.testing.assert_close(pictures, expected, atol=1e-4, rtol=0)


@pytest.mark.parametrize(
    ("count", "chosen"), [(1, [4]), (2, [2, 6]), (3, [1, 4, 6]), (12, [0, 1, 1, 2, 3, 3, 4, 5, 5, 6, 7, 7])]
)
def test_slices_stand_in_the_middle_of_equal_parts(count: int, chosen: list[int]) -> None:
    shares = torch.arange(8) / 10
    pictures = slices(Volume.from_occupancy(shares[:, None, None]), count)
    torch.testing.assert_close(1 - pictures.flatten(), shares[chosen])


def test_colours_are_ink_on_white() -> None:
    color = torch.tensor([0.2, 0.4, 0.6])
    volume = Volume.from_occupancy(torch.tensor([[[0.0, 0.5, 1.0]]]), color[:, None, None, None].expand(3, 1, 1, 3))
    pictures = slices(volume, 1)
    expected = torch.stack([torch.ones(3), (1 + color) / 2, color], dim=-1)
    torch.testing.assert_close(pictures[0, :, 0], expected, atol=1e-4, rtol=0)
    assert gallery({"slices": pictures}, ["z"]).count("<img") == 1


def test_what_has_no_slices() -> None:
    volume = Volume.from_occupancy(torch.zeros(2, 2, 2))
    with pytest.raises(VolumeError, match=r"got a batch of shape \[1\]"):
        slices(volume[None])
    with pytest.raises(VolumeError, match="count must be at least 1; got 0"):
        slices(volume, 0)
