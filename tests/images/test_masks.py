"""A mask is a coverage, in whatever type of image it is stored, and never a colour."""

import functools
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from render3d.errors import ViewSetError
from render3d.images.files import read_depth, read_image, read_mask, read_normal

MASK = np.array([[0, 128, 255]], np.uint8)
FULL = np.full((1, 3), 255, np.uint8)
COLORS = [np.array([levels], np.uint8) for levels in ([90, 10, 70], [20, 200, 80], [30, 60, 90])]
HALF = 128 / 255


def channels(*values: NDArray[np.uint8]) -> Image.Image:
    return Image.fromarray(np.stack(values, -1))


def palette(*colors: tuple[int, int, int]) -> Image.Image:
    """The first pixel in the first colour, and so on."""
    image = Image.new("P", (len(colors), 1))
    image.putdata(range(len(colors)))
    image.putpalette([level for color in colors for level in color])
    return image


def stored(tmp_path: Path, pixels: Image.Image | NDArray[np.generic], suffix: str) -> Path:
    path = tmp_path / f"mask.{suffix}"
    (pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)).save(path)
    return path


@pytest.mark.parametrize(
    ("pixels", "suffix", "expected"),
    [
        (MASK, "png", (0, HALF, 1)),
        (channels(MASK, FULL), "png", (0, HALF, 1)),
        (channels(FULL, MASK), "png", (0, HALF, 1)),
        (channels(0 * FULL, MASK), "png", (0, HALF, 1)),
        (channels(MASK, MASK, MASK), "png", (0, HALF, 1)),
        (channels(MASK, MASK, MASK), "bmp", (0, HALF, 1)),
        (channels(MASK, MASK, MASK, FULL), "png", (0, HALF, 1)),
        (channels(*COLORS, MASK), "png", (0, HALF, 1)),  # an object that was cut out
        (palette((0, 0, 0), (128, 128, 128), (255, 255, 255)), "png", (0, HALF, 1)),
        (np.array([[False, True, True]]), "png", (0, 1, 1)),
        (np.array([[0, 13107, 65535]], np.uint16), "png", (0, 0.2, 1)),
        (np.array([[0, 0.25, 1]], np.float32), "tiff", (0, 0.25, 1)),
        (np.array([[0, 13107, 65535]], np.int32), "tiff", (0, 0.2, 1)),
        (np.zeros((1, 3), np.uint8), "png", (0, 0, 0)),
        (channels(0 * FULL, 0 * FULL), "png", (0, 0, 0)),
    ],
)
def test_values_of_every_type(
    tmp_path: Path, pixels: Image.Image | NDArray[np.generic], suffix: str, expected: tuple[float, ...]
) -> None:
    found = read_mask(stored(tmp_path, pixels, suffix))
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, torch.tensor([[expected]], dtype=torch.float32), atol=1e-6, rtol=0)


@pytest.mark.parametrize(
    ("pixels", "suffix", "message"),
    [
        (MASK.astype(np.float32), "tiff", r"values of floats must be from 0 to 1; got 0 to 255"),
        (np.array([[0, np.nan, 1]], np.float32), "tiff", r"values of floats must be from 0 to 1; got nan"),
        (np.array([[-1, 0, 65535]], np.int32), "tiff", r"values of integers must be from 0 to 65535; got -1 to 65535"),
        (channels(*COLORS), "png", r"is coloured, and a mask is grey, white on the object"),
        (palette((0, 0, 0), (128, 0, 0)), "png", r"is coloured, and a mask is grey, white on the object"),
    ],
)
def test_values_that_mean_something_else_are_refused_by_their_cause(
    tmp_path: Path, pixels: Image.Image | NDArray[np.generic], suffix: str, message: str
) -> None:
    with pytest.raises(ViewSetError, match=f"mask.{suffix}: .*{message}"):
        read_mask(stored(tmp_path, pixels, suffix))


def test_the_alpha_channel_of_an_image_is_its_coverage_whatever_it_is(tmp_path: Path) -> None:
    """Also where it is the same everywhere, as in a view that the object fills."""
    for pixels in (channels(*COLORS, MASK), channels(90 * FULL, MASK)):
        _, alpha = read_image(stored(tmp_path, pixels, "png"))
        torch.testing.assert_close(alpha, torch.tensor([[[0, HALF, 1]]]))
    for pixels in (channels(*COLORS, FULL), channels(MASK, FULL)):
        _, alpha = read_image(stored(tmp_path, pixels, "png"))
        torch.testing.assert_close(alpha, torch.ones(1, 1, 3))


@pytest.mark.parametrize("read", [read_mask, read_image, functools.partial(read_depth, unit=1.0), read_normal])
def test_another_size_is_refused_before_the_pixels_are_read(tmp_path: Path, read: Callable[..., object]) -> None:
    """The file is cut off: there are no pixels to read, but its size is there."""
    path = stored(tmp_path, np.zeros((900, 1200), np.uint8), "png")
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(ViewSetError, match=r"mask.png: is 900 x 1200 \(height x width\) and its camera 9 x 12"):
        read(path, image_size=(9, 12))
    with pytest.raises(ViewSetError, match=r"mask.png: cannot be read as an image, broken or truncated"):
        read(path, image_size=(900, 1200))
