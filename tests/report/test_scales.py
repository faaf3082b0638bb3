import re

import pytest
import torch

from render3d.color import linear_to_srgb
from render3d.report import Scale

EVERYWHERE = torch.ones(1, 1, 1, dtype=torch.bool)


def hexadecimal(scale: Scale, value: float) -> str:
    encoded = linear_to_srgb(scale.colors(torch.full((1, 1, 1), value), EVERYWHERE))[:, 0, 0]
    return "#" + "".join(f"{round(float(channel) * 255):02x}" for channel in encoded)


def bar(scale: Scale) -> tuple[list[str], list[str]]:
    markup = scale.bar()
    return re.findall("#[0-9a-f]{6}", markup), re.findall("<span>(.*?)</span>", markup)


@pytest.mark.parametrize(
    ("scale", "middle"),
    [(Scale(low=-1, high=3), 1.0), (Scale(low=1e-6, high=1e-2, logarithmic=True), 1e-4)],
)
def test_the_ends_and_the_middle_have_the_colours_of_the_bar(scale, middle):
    colors, labels = bar(scale)
    assert [hexadecimal(scale, value) for value in (scale.low, middle, scale.high)] == [colors[0], colors[4], colors[8]]
    assert [float(label) for label in labels] == pytest.approx([scale.low, middle, scale.high])


def test_what_lies_beyond_has_the_colour_of_the_end():
    scale = Scale(low=1e-3, high=1e-1, logarithmic=True)
    assert hexadecimal(scale, 0.0) == hexadecimal(scale, 1e-3) == "#440154"
    assert hexadecimal(scale, 7.0) == hexadecimal(scale, 0.1) == "#fde725"


def test_between_two_colours_of_the_bar_it_is_their_mean():
    colors, _ = bar(Scale(low=0, high=8))
    (a, b) = (torch.tensor([int(color[at : at + 2], 16) for at in (1, 3, 5)]) for color in colors[2:4])
    found = hexadecimal(Scale(low=0, high=8), 2.5)
    mean = (a + b) / 2
    assert torch.tensor([int(found[at : at + 2], 16) for at in (1, 3, 5)]).sub(mean).abs().max() <= 0.5


def test_images_keep_their_shape_and_are_white_where_there_is_nothing():
    values = torch.rand(2, 1, 3, 5, generator=torch.Generator().manual_seed(0))
    where = values > 0.5
    found = Scale(low=0, high=1).colors(values, where)
    assert found.shape == (2, 3, 3, 5)
    assert bool(((found == 1).all(1, keepdim=True) == ~where).all())


def test_logarithmic_labels_are_powers_of_ten():
    assert bar(Scale(low=1e-3, high=1e-2, logarithmic=True))[1] == ["0.001", "0.01"]


def test_a_scale_without_a_span_has_a_colour():
    assert hexadecimal(Scale(low=2, high=2), 2.0) == "#440154"
