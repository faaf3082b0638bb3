import base64
import io
import re
from html import unescape

import numpy as np
import pytest
import torch
from PIL import Image, ImageSequence

from render3d.errors import ShapeError
from render3d.report import animation, gallery, silhouette_difference
from render3d.report.pictures import difference_key, image_of

WHITE, BOTH, MISSING, EXTRA = (255, 255, 255), (0xC9, 0xCE, 0xD6), (0x1F, 0x6F, 0xD1), (0xE8, 0x71, 0x0A)


def pictures(markup: str) -> list[Image.Image]:
    sources = re.findall(r'src="data:image/\w+;base64,([^"]+)"', markup)
    return [Image.open(io.BytesIO(base64.b64decode(source))) for source in sources]


@pytest.mark.parametrize(
    ("linear", "encoded"),
    [(0.0, 0), (1.0, 255), (0.5, 188), (0.001, 3), (-1.0, 0), (7.0, 255)],
    ids=["black", "white", "half the light", "the straight part of sRGB", "clamped below", "clamped above"],
)
def test_linear_light_becomes_srgb(linear, encoded):
    assert image_of(torch.full((3, 1, 2), linear)).getpixel((1, 0)) == (encoded,) * 3
    assert image_of(torch.full((1, 1, 2), linear)).getpixel((1, 0)) == encoded


def test_rows_and_columns_and_channels_keep_their_places():
    image = torch.zeros(3, 2, 4)
    image[0, 0, 3] = image[1, 1, 0] = image[2, 1, 2] = 1
    picture = np.asarray(image_of(image))
    assert np.array_equal(picture, (image.movedim(0, -1) * 255).byte().numpy())


def test_the_difference_of_two_silhouettes_has_a_colour_for_each_case():
    target = torch.tensor([[[1.0, 1.0, 0.0, 0.0], [0.51, 0.49, 0.51, 0.5]]])
    found = torch.tensor([[[1.0, 0.0, 1.0, 0.0], [0.9, 0.9, 0.4, 0.5]]])
    picture = np.asarray(image_of(silhouette_difference(target, found)))
    expected = [[BOTH, MISSING, EXTRA, WHITE], [BOTH, EXTRA, MISSING, WHITE]]
    assert picture.tolist() == np.array(expected).tolist()


def test_differences_of_a_batch_are_those_of_its_elements():
    target, found = (torch.rand(2, 3, 1, 4, 5, generator=torch.Generator().manual_seed(seed)) for seed in (0, 1))
    batch = silhouette_difference(target, found)
    assert batch.shape == (2, 3, 3, 4, 5)
    assert torch.equal(batch[1, 2], silhouette_difference(target[1, 2], found[1, 2]))


def test_the_key_names_the_colours_of_the_picture():
    found = re.findall(r"background:#(\w{6})\"></i>([^<]+)<", difference_key())
    colors = [(tuple(bytes.fromhex(color)), name) for color, name in found]
    assert colors == [(BOTH, "both"), (MISSING, "target only"), (EXTRA, "fit only")]


def test_a_gallery_has_a_column_for_each_caption_with_a_picture_of_each_row():
    grey, color = torch.rand(2, 1, 3, 4), torch.rand(2, 3, 5, 6)
    markup = gallery({"mask": grey, "photo": color}, ["first", "second"])
    columns = re.findall(r"<figure>(.*?)</figure>", markup)
    assert len(columns) == 2
    for number, (column, caption) in enumerate(zip(columns, ("first", "second"), strict=True)):
        assert re.findall(r'alt="([^"]+)"', column) == [f"{caption}: mask", f"{caption}: photo"]
        assert f"<figcaption>{caption}</figcaption>" in column
        mask, photo = pictures(column)
        assert np.array_equal(np.asarray(mask), np.asarray(image_of(grey[number])))
        assert np.array_equal(np.asarray(photo), np.asarray(image_of(color[number])))


def test_captions_and_names_are_escaped():
    markup = gallery({'<r>"': torch.zeros(1, 1, 2, 2)}, ['<b>&"x"'])
    assert "<b>" not in markup
    assert "<r>" not in markup
    (alt,) = re.findall(r'alt="([^"]*)"', markup)
    assert unescape(alt) == '<b>&"x": <r>"'
    assert 'alt="&lt;&quot;"' in animation(torch.zeros(1, 3, 2, 2), '<"')


@pytest.mark.parametrize("shape", [(3, 1, 4, 4), (1, 4, 4)])
def test_a_gallery_of_other_than_one_picture_a_caption_is_an_error(shape):
    with pytest.raises(ShapeError, match=rf"'mask' must be 2 images, one a caption; got \[{shape[0]}, "):
        gallery({"mask": torch.zeros(shape)}, ["a", "b"])


def ramp(count: int) -> torch.Tensor:
    """Frames that get brighter."""
    return torch.linspace(0.1, 0.9, count)[:, None, None, None].expand(-1, 3, 16, 16)


@pytest.mark.parametrize("count", [1, 2, 7])
def test_an_animation_has_all_its_frames_in_order_and_runs_for_ever(count):
    (picture,) = pictures(animation(ramp(count), "turning"))
    frames = [np.asarray(frame.convert("RGB")).mean() for frame in ImageSequence.Iterator(picture)]
    expected = [np.asarray(image_of(frame)).mean() for frame in ramp(count)]
    assert frames == pytest.approx(expected, abs=4)  # WebP loses a little
    if count > 1:
        assert picture.info["loop"] == 0


def test_the_speed_of_an_animation_is_as_asked():
    (picture,) = pictures(animation(ramp(4), "turning", frames_per_second=5.0))
    durations = []
    for frame in ImageSequence.Iterator(picture):
        frame.load()
        durations.append(frame.info["duration"])
    assert durations == [200] * 4


def test_frames_that_are_no_colour_images_are_an_error():
    with pytest.raises(ShapeError, match=r"frames must have shape \[N, 3, H, W\]; got \[3, 4, 4\]"):
        animation(torch.zeros(3, 4, 4), "turning")
