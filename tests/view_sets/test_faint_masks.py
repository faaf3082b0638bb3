"""Masks of 0 and 1 are refused by their cause; views of something thin are not."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from render3d import Cameras, Rendering, Volume
from render3d.errors import ViewSetError
from render3d.renderers import EmissionAbsorption
from render3d.view_sets import read_views, write_views

CAMERAS = Cameras.sphere(3, 3.0, image_size=(16, 20))


def masked(folder: Path, *masks: np.ndarray) -> Path:
    """Three views in RGB, with masks in files of their own, by the format of COLMAP."""
    rendering = Rendering({"rgb": torch.full((3, 3, 16, 20), 0.5), "alpha": torch.ones(3, 1, 16, 20)})
    write_views(folder, CAMERAS, rendering, format="colmap")
    for number, mask in enumerate(masks):
        Image.fromarray(mask).save(folder / "masks" / f"{number:04d}.png.png")
    return folder


def disc(value: int, dtype: type = np.uint8) -> np.ndarray:
    rows, columns = np.mgrid[:16, :20]
    return (value * (np.hypot(rows - 8, columns - 10) < 5)).astype(dtype)


@pytest.mark.parametrize(
    "mask", [disc(1), disc(1, np.uint16), disc(255, np.uint16), np.stack([disc(1)] * 3, -1)], ids=str
)
def test_masks_of_which_none_is_white_are_refused(tmp_path: Path, mask: np.ndarray) -> None:
    with pytest.raises(
        ViewSetError, match=r"0000.png.png: its largest value is .* of white, .*no other mask has more. If 1 is meant"
    ):
        read_views(masked(tmp_path / "views", mask, mask, mask))


def test_a_view_that_shows_next_to_nothing_beside_others_that_show_more_is_read(tmp_path: Path) -> None:
    views = read_views(masked(tmp_path / "views", disc(1), disc(255), disc(200)))
    assert views.alpha.flatten(1).amax(1).tolist() == pytest.approx([1 / 255, 1, 200 / 255])


@pytest.mark.parametrize("format", ["nerfstudio", "colmap"])
def test_what_is_written_of_a_thin_volume_is_read(tmp_path: Path, format: str) -> None:
    values = torch.full((1, 8, 8, 8), 0.002)
    values[..., 4:] = 0.004
    rendering = EmissionAbsorption()(Volume(values, 1.0), CAMERAS, ("alpha",))
    assert 0 < float(rendering.alpha[0].max()) < 0.01
    rendering = Rendering({"rgb": torch.zeros(3, 3, 16, 20), "alpha": rendering.alpha})
    write_views(tmp_path / "views", CAMERAS, rendering, format=format)
    found = read_views(tmp_path / "views").alpha
    torch.testing.assert_close(found, rendering.alpha, atol=0.5 / 255 + 1e-6, rtol=0)
