"""What the nouns have in common, on a small noun of its own and on cameras."""

import copy
import dataclasses
import pickle
from typing import ClassVar

import pytest
import torch
from torch import Tensor

from render3d.batches import Batched, broadcast_shapes, check_same_device, check_shape
from render3d.errors import DeviceError, ShapeError


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Palette(Batched):
    """A shared noun inside another."""

    event_dims: ClassVar[dict[str, int]] = {"swatch": 1}

    swatch: Tensor


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Cloud(Batched):
    """Points with optional weights, a shared tensor, a shared noun and a plain setting."""

    event_dims: ClassVar[dict[str, int]] = {"points": 2, "weights": 1}

    points: Tensor
    weights: Tensor | None = None
    axes: Tensor | None = None
    palette: Palette | None = None
    name: str = "cloud"


def make_cloud(*leading: int) -> Cloud:
    count = torch.Size(leading).numel()
    points = torch.arange(count * 12, dtype=torch.float32).reshape(*leading, 4, 3)
    return Cloud(points, points[..., 0] * 10, torch.eye(3), Palette(torch.ones(2)))


@pytest.fixture
def clouds() -> Cloud:
    return make_cloud(2, 3, 5)


MASK = torch.tensor([[True, False, True], [False, False, True]])


@pytest.mark.parametrize(
    "index",
    [
        0,
        -1,
        slice(1, None),
        slice(None, None, 2),
        None,
        ...,
        (0, 1),
        (0, 1, 2),
        (..., 0),
        (..., None),
        (None, ..., None),
        (slice(None), 1, slice(1, 4)),
        (0, ..., slice(2)),
        MASK,
        (MASK, 0),
        torch.tensor([1, 0, 1]),
        (slice(None), [2, 0]),
        (torch.tensor([0, 1]), torch.tensor([2, 0]), ...),
        (slice(0, 0),),
        torch.zeros(2, dtype=torch.bool),
    ],
    ids=repr,
)
def test_indexing_is_that_of_the_leading_dimensions(index, clouds: Cloud) -> None:
    numbers = torch.arange(30).reshape(2, 3, 5)[index]
    part = clouds[index]
    assert part.leading_shape == numbers.shape
    torch.testing.assert_close(part.points, clouds.points.reshape(30, 4, 3)[numbers])
    assert part.weights is not None
    torch.testing.assert_close(part.weights, part.points[..., 0] * 10)
    assert part.axes is clouds.axes
    assert part.palette is clouds.palette


@pytest.mark.parametrize("index", [(0, 0, 0, 0), (..., 0, 0, 0, 0), 2, torch.ones(2, 3, 5, 4, dtype=torch.bool)])
def test_indices_cannot_reach_into_an_element(index, clouds: Cloud) -> None:
    with pytest.raises(IndexError):
        clouds[index]


def test_indexing_is_differentiable(clouds: Cloud) -> None:
    points = clouds.points.clone().requires_grad_()
    part = dataclasses.replace(clouds, points=points)[1, ..., 2]
    assert part.requires_grad
    (gradient,) = torch.autograd.grad(part.points.sum(), points)
    expected = torch.zeros_like(points)
    expected[1, :, 2] = 1
    torch.testing.assert_close(gradient, expected)


def test_none_fields_stay_none() -> None:
    bare = Cloud(torch.zeros(3, 4, 3))
    assert bare[0].weights is None
    assert Cloud.cat([bare, bare]).weights is None
    assert Cloud.stack([bare, bare]).leading_shape == (2, 3)
    assert bare.detach().weights is None


@pytest.mark.parametrize("dim", [0, 1, 2, -1, -2, -3])
def test_cat_counts_leading_dimensions_only(dim: int, clouds: Cloud) -> None:
    joined = Cloud.cat([clouds, clouds], dim)
    expected = [2, 3, 5]
    expected[dim] *= 2
    assert joined.leading_shape == torch.Size(expected)
    half = joined[tuple(slice(size) for size in (2, 3, 5))]
    torch.testing.assert_close(half.points, clouds.points)


def test_cat_joins_views_by_default(clouds: Cloud) -> None:
    joined = Cloud.cat([clouds, clouds[..., :2], clouds[..., 4:]])
    assert joined.leading_shape == (2, 3, 8)
    torch.testing.assert_close(joined.points[..., 5:7, :, :], clouds.points[..., :2, :, :])


def test_stack_is_undone_by_indexing(clouds: Cloud) -> None:
    stacked = Cloud.stack([clouds[0], clouds[1]])
    torch.testing.assert_close(stacked.points, clouds.points)
    torch.testing.assert_close(stacked[1].points, clouds[1].points)


def test_to_and_detach_reach_every_tensor(clouds: Cloud) -> None:
    moved = clouds.to("meta")
    assert moved.palette is not None
    assert moved.axes is not None
    assert {moved.device.type, moved.axes.device.type, moved.palette.device.type} == {"meta"}
    cut = dataclasses.replace(clouds, points=clouds.points.clone().requires_grad_()).detach()
    assert not cut.requires_grad


@pytest.mark.parametrize("twin", [lambda cloud: pickle.loads(pickle.dumps(cloud)), copy.deepcopy])
def test_copies_are_equal(twin, clouds: Cloud) -> None:
    copied = twin(clouds)
    torch.testing.assert_close(copied.points, clouds.points)
    assert copied.name == clouds.name


def test_repr_shows_shapes_not_values(clouds: Cloud) -> None:
    assert repr(clouds) == (
        "Cloud(points=[2, 3, 5, 4, 3], weights=[2, 3, 5, 4], axes=[3, 3], "
        "palette=Palette(swatch=[2], device='cpu'), name='cloud', device='cpu')"
    )
    assert "weights" not in repr(Cloud(torch.zeros(4, 3)))


def test_nothing_to_join() -> None:
    with pytest.raises(ShapeError, match="Cloud: nothing to join; got an empty list"):
        Cloud.cat([])
    with pytest.raises(ShapeError, match="nothing to join"):
        Cloud.stack([])


@pytest.mark.parametrize(
    ("field", "value"),
    [("name", "other"), ("axes", torch.zeros(3, 3)), ("axes", torch.eye(4)), ("axes", None), ("weights", None)],
)
def test_joined_items_must_agree(field: str, value, clouds: Cloud) -> None:
    other = dataclasses.replace(clouds, **{field: value})
    with pytest.raises(ShapeError, match=f"Cloud: items to be joined must agree on '{field}', and they differ"):
        Cloud.cat([clouds, other])


def test_equal_shared_tensors_need_not_be_identical(clouds: Cloud) -> None:
    other = dataclasses.replace(clouds, axes=torch.eye(3))
    assert Cloud.cat([clouds, other]).leading_shape == (2, 3, 10)


def test_equal_shared_nouns_need_not_be_identical(clouds: Cloud) -> None:
    other = dataclasses.replace(clouds, palette=Palette(torch.ones(2)))
    assert Cloud.cat([clouds, other]).leading_shape == (2, 3, 10)
    with pytest.raises(ShapeError, match="must agree on 'palette'"):
        Cloud.cat([clouds, dataclasses.replace(clouds, palette=Palette(torch.zeros(2)))])


def test_items_without_a_batch_cannot_be_concatenated() -> None:
    with pytest.raises(ShapeError, match="cat along dim=-1 needs that leading dimension; the items have 0 of them"):
        Cloud.cat([make_cloud(), make_cloud()])
    assert Cloud.stack([make_cloud(), make_cloud()]).leading_shape == (2,)
    with pytest.raises(ShapeError, match="cat along dim=3"):
        Cloud.cat([make_cloud(2, 3, 5)], 3)


@pytest.mark.parametrize("join", [Cloud.cat, Cloud.stack])
def test_joined_sizes_must_fit(join) -> None:
    with pytest.raises(
        ShapeError, match=r"Cloud.points: tensors of shapes \[2, 3, 4, 3\], \[4, 5, 4, 3\] cannot be joined"
    ):
        join([make_cloud(2, 3), make_cloud(4, 5)])


@pytest.mark.parametrize(
    ("shape", "pattern"),
    [((4, 3), "V 3"), ((2, 4, 3), "*batch V 3"), ((4, 3), "*batch V 3"), ((), "*batch"), ((7,), "N")],
)
def test_check_shape_passes(shape: tuple[int, ...], pattern: str) -> None:
    tensor = torch.zeros(shape)
    assert check_shape(tensor, pattern, name="tensor") is tensor


@pytest.mark.parametrize(
    ("shape", "pattern"),
    [((4, 2), "V 3"), ((2, 4, 3), "V 3"), ((3,), "*batch V 3"), ((), "3"), ((3, 4, 4, 2), "*batch 4 4")],
)
def test_check_shape_fails(shape: tuple[int, ...], pattern: str) -> None:
    with pytest.raises(ShapeError, match=r"points must have shape \[.*\]; got \[.*\]"):
        check_shape(torch.zeros(shape), pattern, name="points")


def test_broadcast_shapes() -> None:
    assert broadcast_shapes((5, 1), (3,), names=("a", "b")) == (5, 3)
    assert broadcast_shapes((), (2,), names=("a", "b")) == (2,)
    with pytest.raises(ShapeError, match=r"meshes has batch shape \[2\] and cameras has batch shape \[3\].*cameras\["):
        broadcast_shapes((2,), (3,), names=("meshes", "cameras"))


def test_devices_are_compared_by_name() -> None:
    here, there = torch.zeros(1), torch.zeros(1, device="meta")
    check_same_device(a=here, b=here)
    with pytest.raises(DeviceError, match=r"All must live on one device; got a on cpu, b on meta.*\.to\(device\)"):
        check_same_device(a=here, b=there)


def test_joined_items_share_a_device() -> None:
    with pytest.raises(DeviceError, match=r"Cloud.points of item 0 on cpu, Cloud.points of item 1 on meta"):
        Cloud.cat([make_cloud(2), make_cloud(2).to("meta")])
