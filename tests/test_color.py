import torch
from hypothesis import given
from hypothesis import strategies as st

from render3d.color import linear_of_bytes, linear_to_srgb, srgb_bytes, srgb_of_hex, srgb_to_linear, to_bytes


def test_closed_form_points():
    encoded = torch.tensor([0.0, 0.04045, 0.5, 128 / 255, 1.0], dtype=torch.float64)
    linear = torch.tensor([0.0, 0.04045 / 12.92, 0.21404114048223255, 0.21586050011389926, 1.0], dtype=torch.float64)
    torch.testing.assert_close(srgb_to_linear(encoded), linear, rtol=1e-12, atol=0)


def test_both_pieces_meet():
    for function, knee in ((srgb_to_linear, 0.04045), (linear_to_srgb, 0.0031308)):
        below, above = function(torch.tensor([knee * (1 - 1e-9), knee * (1 + 1e-9)], dtype=torch.float64))
        assert abs(above - below) < 1e-7


@given(st.floats(-2, 2))
def test_encoding_undoes_decoding(value):
    # The published constants leave a step of 4e-8 where the pieces meet.
    there = srgb_to_linear(torch.tensor(value, dtype=torch.float64))
    assert abs(linear_to_srgb(there) - value) < 1e-6


def test_gradients_are_right_and_finite_everywhere():
    for function in (srgb_to_linear, linear_to_srgb):
        values = torch.tensor([-1.0, 0.0, 1e-4, 0.02, 0.3, 1.0, 3.0], dtype=torch.float64, requires_grad=True)
        assert torch.autograd.gradcheck(function, values)


def test_bytes_return_and_what_lies_outside_is_clipped():
    every = torch.arange(256, dtype=torch.uint8)
    linear = torch.from_numpy(linear_of_bytes(every.numpy()))
    torch.testing.assert_close(linear, srgb_to_linear(every / 255))
    assert torch.equal(srgb_bytes(linear), every)
    assert to_bytes(torch.tensor([-1.0, 0.0, 0.499, 1.0, 7.0])).tolist() == [0, 0, 127, 255, 255]
    assert to_bytes(every) is every


def test_colours_of_style_sheets():
    torch.testing.assert_close(srgb_of_hex("#c9ff00"), torch.tensor([201 / 255, 1.0, 0.0]))
