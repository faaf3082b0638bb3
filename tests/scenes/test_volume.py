"""The noun: shapes, batches, and what densities mean."""

import pickle
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import render3d
from render3d import Volume, collate
from render3d.errors import DeviceError, ShapeError, VolumeError


def example(*batch: int, channels: int = 4) -> Volume:
    values = torch.rand(*batch, channels, 2, 3, 4, generator=torch.Generator().manual_seed(0))
    return Volume(values, 1.5, torch.eye(4).expand(*batch, 4, 4))


def test_the_axes_are_z_y_x_and_the_channels_density_and_colour() -> None:
    volume = example(5, 6)
    assert volume.batch_shape == (5, 6)
    assert volume.resolution == (2, 3, 4)
    assert volume.channels == 4
    assert torch.equal(volume.density, volume.values[..., :1, :, :, :])
    assert volume.colors is not None
    assert torch.equal(volume.colors, volume.values[..., 1:, :, :, :])
    assert example(channels=3).colors is None
    assert volume.voxel_side == pytest.approx((3 / 2 * 3 / 3 * 3 / 4) ** (1 / 3))


def test_the_batch_is_indexed_and_the_voxels_are_not() -> None:
    volume = example(5, 6)
    assert torch.equal(volume[3, ..., 1:].values, volume.values[3, 1:])
    assert volume[3].to_source is not None
    assert volume[3].to_source.shape == (6, 4, 4)
    assert volume[3, 2].batch_shape == ()
    with pytest.raises(IndexError):
        volume[3, 2, 0]


def test_joining_and_collating() -> None:
    volume = example(2)
    assert torch.equal(Volume.cat([volume, volume]).values, torch.cat([volume.values] * 2))
    assert Volume.stack([volume, volume]).to_source.shape == (2, 2, 4, 4)  # type: ignore[union-attr]
    batch = collate([{"volume": volume[0], "label": 0}, {"volume": volume[1], "label": 1}])
    assert torch.equal(batch["volume"].values, volume.values)
    assert batch["volume"].extent == 1.5
    with pytest.raises(ShapeError, match="must agree on 'extent'"):
        collate([volume, Volume(volume.values, 1.0, volume.to_source)])


def test_the_batch_of_the_transform_broadcasts() -> None:
    volume = Volume(torch.ones(3, 1, 2, 2, 2), 1.0, torch.eye(4).expand(2, 1, 4, 4))
    assert volume.batch_shape == (2, 3)
    assert volume.values.shape == (2, 3, 1, 2, 2, 2)
    with pytest.raises(ShapeError, match="values .* to_source"):
        Volume(torch.ones(3, 1, 2, 2, 2), 1.0, torch.eye(4).expand(2, 4, 4))


def test_repr_pickle_and_devices() -> None:
    volume = example(2)
    assert repr(volume) == "Volume(values=[2, 4, 2, 3, 4], extent=1.5, to_source=[2, 4, 4], device='cpu')"
    again = pickle.loads(pickle.dumps(volume))
    assert torch.equal(again.values, volume.values)
    assert torch.equal(again.to_source, torch.eye(4).expand(2, 4, 4))
    assert again.extent == 1.5
    assert volume.to("meta").values.device.type == "meta"
    assert render3d.Volume is Volume


@pytest.mark.parametrize("resolution", [(4, 4, 4), (2, 3, 5), (1, 1, 1)])
def test_crossing_a_voxel_takes_the_sigmoid_of_its_logit(resolution: tuple[int, int, int]) -> None:
    logits = 3 * torch.randn(2, *resolution, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    volume = Volume.from_logits(logits, extent=0.7)
    taken = 1 - torch.exp(-volume.density * volume.voxel_side)
    torch.testing.assert_close(taken[:, 0], torch.sigmoid(logits))
    torch.testing.assert_close(volume.occupancy, taken)


def test_the_other_links_give_the_optical_depth() -> None:
    logits = torch.linspace(-2, 2, 8).reshape(2, 2, 2)
    for link, depth in (("exp", logits.exp()), ("relu", logits.clamp(min=0))):
        volume = Volume.from_logits(logits, link=link, extent=3.0)  # type: ignore[arg-type]
        torch.testing.assert_close(volume.density[0] * 3.0, depth)  # a voxel is 3 wide


@settings(max_examples=50, deadline=None)
@given(st.floats(0, 1 - 2**-14), st.floats(1e-3, 1e3))
def test_occupancy_returns(share: float, extent: float) -> None:
    occupancy = torch.full((2, 3, 2, 4), share, dtype=torch.float64, requires_grad=True)
    volume = Volume.from_occupancy(occupancy, extent=extent)
    torch.testing.assert_close(volume.occupancy[:, 0], occupancy)
    (gradient,) = torch.autograd.grad(volume.occupancy.sum(), occupancy)
    torch.testing.assert_close(gradient, torch.ones_like(gradient))


@pytest.mark.parametrize("dtype", [torch.bool, torch.uint8, torch.float32])
def test_full_voxels_are_opaque_in_eight_bits_and_finite(dtype: torch.dtype) -> None:
    volume = Volume.from_occupancy(torch.tensor([[[0, 1]]]).to(dtype))
    assert volume.values.isfinite().all()
    assert volume.occupancy.flatten().mul(255).round().tolist() == [0, 255]
    volume.check_values()


def test_colours_join_the_density() -> None:
    occupancy, colors = torch.rand(2, 3, 4), torch.rand(5, 3, 2, 3, 4)
    volume = Volume.from_occupancy(occupancy, colors)
    assert volume.batch_shape == (5,)
    assert volume.colors is not None
    torch.testing.assert_close(volume.colors, colors)
    torch.testing.assert_close(volume.occupancy[2, 0], occupancy, atol=1e-4, rtol=0)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((torch.ones(2, 2, 2),), ShapeError, r"values must have shape \[\*batch, C, D, H, W\]; got \[2, 2, 2\]"),
        ((torch.ones(1, 2, 0, 2),), ShapeError, r"a channel and a voxel along each axis; got \[1, 2, 0, 2\]"),
        ((torch.ones(1, 2, 2, 2, dtype=torch.bool),), VolumeError, r"torch\.bool\. Binary voxels: .*from_occupancy"),
        ((torch.ones(1, 2, 2, 2), 0.0), VolumeError, "extent must be positive and finite.*got 0.0"),
        ((torch.ones(1, 2, 2, 2), float("nan")), VolumeError, "extent must be positive and finite.*got nan"),
        ((torch.ones(1, 2, 2, 2), 1.0, torch.eye(3)), ShapeError, "to_source must have shape"),
        ((torch.ones(1, 2, 2, 2), 1.0, torch.eye(4, device="meta")), DeviceError, "to_source on meta"),
    ],
)
def test_what_no_volume_is_made_of(arguments: tuple[Any, ...], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        Volume(*arguments)


def test_what_no_occupancy_is() -> None:
    for value in (-0.1, 1.1, float("nan")):
        with pytest.raises(VolumeError, match=r"occupancy must lie in 0-1\. Logits"):
            Volume.from_occupancy(torch.full((2, 2, 2), value))
    with pytest.raises(VolumeError, match="link must be one of softplus, exp, relu; got 'tanh'"):
        Volume.from_logits(torch.zeros(2, 2, 2), link="tanh")  # type: ignore[arg-type]
    with pytest.raises(ShapeError, match=r"colors must have the voxels of the density, \[2, 2, 2\]"):
        Volume.from_occupancy(torch.zeros(2, 2, 2), torch.zeros(3, 2, 2, 1))


@pytest.mark.parametrize(("value", "message"), [(float("inf"), "must be finite"), (-1.0, "not be negative; got -1")])
def test_values_that_cannot_be_rendered(value: float, message: str) -> None:
    with pytest.raises(VolumeError, match=message):
        Volume(torch.full((1, 2, 2, 2), value)).check_values()
