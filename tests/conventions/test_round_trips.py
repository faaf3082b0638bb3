"""Every converter is undone by its inverse, in value and in gradient, on random cameras."""

import dataclasses
import json
from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from render3d import conventions
from render3d.cameras import Cameras

PERSPECTIVE = {"projections": ("perspective",)}
ORTHOGRAPHIC = {"projections": ("orthographic",)}
ROUND_TRIPS: dict[str, tuple[Callable[[Cameras], Cameras], dict[str, object]]] = {
    "opengl": (lambda c: conventions.from_opengl(conventions.to_opengl(c)), {}),
    "opencv": (lambda c: conventions.from_opencv(conventions.to_opencv(c)), PERSPECTIVE),
    "opencv, corner": (lambda c: conventions.from_opencv(conventions.to_opencv(c, pixel_center=0.5)), PERSPECTIVE),
    "pytorch3d": (lambda c: conventions.from_pytorch3d(conventions.to_pytorch3d(c)), {}),
    "kaolin": (lambda c: conventions.from_kaolin(conventions.to_kaolin(c)), PERSPECTIVE),
    "mitsuba": (
        lambda c: conventions.from_mitsuba(conventions.to_mitsuba(c)),
        {**PERSPECTIVE, "square_pixels": True},
    ),
    "nvdiffrast": (lambda c: conventions.from_nvdiffrast(conventions.to_nvdiffrast(c)), PERSPECTIVE),
    "colmap": (lambda c: conventions.from_colmap(conventions.to_colmap(c)), PERSPECTIVE),
}
SIDEWAYS = {"mitsuba": ROUND_TRIPS["mitsuba"][0], "nvdiffrast": ROUND_TRIPS["nvdiffrast"][0]}

examples = settings(max_examples=30, deadline=None)


def assert_equal(actual: Cameras, expected: Cameras, *, ranges: bool = True) -> None:
    assert actual.leading_shape == expected.leading_shape
    assert actual.image_size == expected.image_size
    assert actual.projection == expected.projection
    torch.testing.assert_close(actual.world_to_camera, expected.world_to_camera, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(actual.intrinsics, expected.intrinsics, rtol=1e-6, atol=1e-6)
    if ranges:
        assert (actual.near, actual.far) == (expected.near, expected.far)


@pytest.mark.parametrize("system", ROUND_TRIPS)
@given(data=st.data())
@examples
def test_back_and_forth(system: str, data: st.DataObject, random_cameras) -> None:
    convert, limits = ROUND_TRIPS[system]
    cameras = data.draw(random_cameras(**limits))
    assert_equal(convert(cameras), cameras)


@pytest.mark.parametrize("system", SIDEWAYS)
@given(data=st.data())
@examples
def test_orthographic_cameras_without_a_principal_point_see_the_same(
    system: str, data: st.DataObject, random_cameras, points: Tensor
) -> None:
    cameras = data.draw(random_cameras(**ORTHOGRAPHIC))
    back = SIDEWAYS[system](cameras)
    height, width = cameras.image_size
    center = torch.tensor([width / 2, height / 2], dtype=torch.float64)
    torch.testing.assert_close(back.intrinsics[..., :2, 2], center.expand(*cameras.leading_shape, 2))
    torch.testing.assert_close(back.project(points), cameras.project(points), rtol=1e-6, atol=1e-5)
    depth, expected = (c.to_camera_space(points)[..., 2] for c in (back, cameras))
    torch.testing.assert_close(depth, expected, rtol=1e-6, atol=1e-6)
    assert (back.near, back.far, back.projection) == (cameras.near, cameras.far, "orthographic")


@pytest.mark.parametrize("system", ROUND_TRIPS)
def test_gradients_pass_unchanged(system: str, off_centre: Cameras) -> None:
    """Back and forth is the identity, so it is its own derivative, along the rigid motions and the intrinsics."""
    convert, limits = ROUND_TRIPS[system]
    cameras = _square(off_centre) if "square_pixels" in limits else off_centre
    weights = torch.randn(4, 4, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))

    def gradients(function: Callable[[Cameras], Cameras]) -> tuple[Tensor, ...]:
        twist = torch.zeros(4, 6, dtype=torch.float64, requires_grad=True)
        matrix = cameras.intrinsics.clone().requires_grad_()
        moved = function(dataclasses.replace(cameras, intrinsics=matrix).retract(twist))
        value = (moved.world_to_camera * weights).sum() + (moved.intrinsics[:, :2] * weights[:, :2, :3]).sum()
        twist_gradient, matrix_gradient = torch.autograd.grad(value, (twist, matrix))
        focal = matrix_gradient.diagonal(dim1=-2, dim2=-1)[:, :2]
        # A system of square pixels knows the sum of the two focal gradients only.
        return twist_gradient, matrix_gradient[:, :2, 2], focal.sum(-1) if "square_pixels" in limits else focal

    for actual, expected in zip(gradients(convert), gradients(lambda same: same), strict=True):
        torch.testing.assert_close(actual, expected)


@given(data=st.data())
@examples
def test_nerf_back_and_forth_through_json(data: st.DataObject, random_cameras) -> None:
    cameras = data.draw(random_cameras(**PERSPECTIVE, square_pixels=True, batches=((),)))
    height, width = cameras.image_size
    matrix = cameras.intrinsics[0].clone()
    matrix[:2, 2] = torch.tensor([width / 2, height / 2])
    cameras = dataclasses.replace(cameras, intrinsics=matrix)
    transforms = json.loads(json.dumps(conventions.to_nerf(cameras)))
    back = conventions.from_nerf(transforms, cameras.image_size, dtype=torch.float64)
    assert_equal(back, cameras, ranges=False)


@given(data=st.data())
@examples
def test_nerfstudio_back_and_forth_through_json(data: st.DataObject, random_cameras) -> None:
    cameras = data.draw(random_cameras(**PERSPECTIVE, batches=((),)))
    transforms = json.loads(json.dumps(conventions.to_nerfstudio(cameras)))
    assert_equal(conventions.from_nerfstudio(transforms, dtype=torch.float64), cameras, ranges=False)


def test_nerfstudio_intrinsics_may_stand_at_the_top(off_centre: Cameras) -> None:
    transforms = conventions.to_nerfstudio(off_centre)
    for name in ("fl_x", "fl_y", "cx", "cy", "w", "h"):
        transforms[name] = {frame.pop(name) for frame in transforms["frames"]}.pop()
    assert_equal(conventions.from_nerfstudio(transforms, dtype=torch.float64), off_centre, ranges=False)


def test_json_tensors_are_float32_unless_told(off_centre: Cameras) -> None:
    assert conventions.from_nerfstudio(conventions.to_nerfstudio(off_centre)).dtype == torch.float32


@given(
    rows=st.lists(
        st.tuples(st.floats(0, 359.9), st.floats(-89, 89), st.floats(-179, 179), st.floats(0.3, 1.0), st.just(25.0)),
        min_size=1,
        max_size=4,
    )
)
@examples
def test_r2n2_back_and_forth(rows: list[tuple[float, ...]]) -> None:
    given_rows = torch.tensor(rows, dtype=torch.float64)
    cameras = conventions.from_r2n2(given_rows)
    back = conventions.to_r2n2(cameras)
    turn = (back[:, 0] - given_rows[:, 0] + 180) % 360 - 180
    torch.testing.assert_close(turn, torch.zeros_like(turn), rtol=0, atol=1e-6)
    torch.testing.assert_close(back[:, 1:], given_rows[:, 1:], rtol=1e-6, atol=1e-6)
    assert_equal(conventions.from_r2n2(back), cameras)


def test_r2n2_keeps_batches_and_gradients() -> None:
    rows = torch.tensor([[30.0, 25, 0, 0.8, 25], [200, -10, 0, 0.6, 25]], dtype=torch.float64)
    assert conventions.from_r2n2(rows.expand(3, 2, 5)).leading_shape == (3, 2)
    assert conventions.to_r2n2(conventions.from_r2n2(rows.expand(3, 2, 5))).shape == (3, 2, 5)
    torch.autograd.gradcheck(lambda r: conventions.from_r2n2(r).world_to_camera, rows.requires_grad_())


@given(data=st.data())
@examples
def test_colmap_quaternions_are_unit_and_have_positive_w(data: st.DataObject, random_cameras) -> None:
    quaternion = conventions.to_colmap(data.draw(random_cameras(**PERSPECTIVE))).qvec
    torch.testing.assert_close(quaternion.norm(dim=-1), torch.ones_like(quaternion[..., 0]))
    assert bool((quaternion[..., 0] >= 0).all())


@pytest.mark.parametrize("axis", range(3))
def test_colmap_half_turns(axis: int, off_centre: Cameras) -> None:
    """Where w is 0 the usual formula divides by zero."""
    half_turn = -torch.eye(4, dtype=torch.float64)
    half_turn[axis, axis] = half_turn[3, 3] = 1
    cameras = dataclasses.replace(off_centre, world_to_camera=half_turn)
    expected = torch.zeros(4, dtype=torch.float64)
    expected[1 + axis] = 1
    torch.testing.assert_close(conventions.to_colmap(cameras).qvec[0].abs(), expected)
    assert_equal(conventions.from_colmap(conventions.to_colmap(cameras)), cameras)


def _square(cameras: Cameras) -> Cameras:
    matrix = cameras.intrinsics.clone()
    matrix[..., 1, 1] = matrix[..., 0, 0]
    return dataclasses.replace(cameras, intrinsics=matrix)
