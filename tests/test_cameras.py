"""Cameras: closed forms of where they stand and what they see, inverses, group laws, gradients and messages."""

import dataclasses
import math
import pickle

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from render3d.cameras import Cameras, rigid
from render3d.errors import ShapeError

examples = settings(max_examples=40, deadline=None)
ORIGIN = torch.zeros(1, 3)


def random_cameras(seed: int, *leading: int, orthographic: bool = False) -> Cameras:
    """Off-centre cameras of 30 x 40 pixels, float64, that look roughly at the origin from a distance of 3 to 5."""
    generator = torch.Generator().manual_seed(seed)

    def uniform(low: float, high: float, *shape: int) -> Tensor:
        return low + (high - low) * torch.rand(*leading, *shape, generator=generator, dtype=torch.float64)

    direction = torch.nn.functional.normalize(uniform(-1, 1, 3), dim=-1)
    cameras = Cameras.look_at(
        direction * uniform(3, 5, 1), uniform(-0.2, 0.2, 3), uniform(-1, 1, 3), image_size=(30, 40), near=0.5, far=9.0
    )
    matrix = torch.zeros(*leading, 3, 3, dtype=torch.float64)
    matrix[..., 0, 0], matrix[..., 1, 1] = uniform(20, 60), uniform(20, 60)
    matrix[..., 0, 2], matrix[..., 1, 2], matrix[..., 2, 2] = uniform(5, 35), uniform(5, 25), 1
    return dataclasses.replace(cameras, intrinsics=matrix, projection="orthographic" if orthographic else "perspective")


def random_points(seed: int, count: int = 6) -> Tensor:
    return torch.rand(count, 3, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) - 0.5


# Where cameras stand


@given(
    position=st.tuples(*[st.floats(-5, 5)] * 3).filter(lambda p: math.hypot(*p) > 0.1),
    up=st.tuples(*[st.floats(-1, 1)] * 3).filter(lambda u: math.hypot(*u) > 0.1),
)
@examples
def test_look_at_stands_at_its_position_and_centres_its_target(
    position: tuple[float, ...], up: tuple[float, ...]
) -> None:
    eye = torch.tensor(position, dtype=torch.float64)
    cameras = Cameras.look_at(eye, up=up, image_size=(30, 40))
    torch.testing.assert_close(cameras.position, eye[None])
    torch.testing.assert_close(
        cameras.to_camera_space(ORIGIN.double())[0, 0], torch.stack([eye.new_zeros(()), eye.new_zeros(()), eye.norm()])
    )
    torch.testing.assert_close(cameras.project(ORIGIN.double())[0, 0], eye.new_tensor([20.0, 15.0]))
    assert_rotation(cameras.rotation)


def assert_rotation(rotation: Tensor) -> None:
    identity = torch.eye(3, dtype=rotation.dtype).expand_as(rotation)
    tolerance = 1e-5 if rotation.dtype == torch.float32 else 1e-10
    torch.testing.assert_close(rotation @ rotation.mT, identity, rtol=0, atol=tolerance)
    torch.testing.assert_close(torch.linalg.det(rotation), identity[..., 0, 0], rtol=0, atol=tolerance)


def test_up_is_up_and_right_is_right() -> None:
    """From +Z towards the origin: world +Y is up in the image, world +X to the right, world +Z nearer."""
    cameras = Cameras.look_at((0.0, 0.0, 3.0), image_size=(30, 40))
    above, right = torch.tensor([[0.0, 0.5, 0.0]]), torch.tensor([[0.5, 0.0, 0.0]])
    x, y = cameras.project(above)[0, 0].tolist()
    assert (x, y < 15) == (20.0, True)
    x, y = cameras.project(right)[0, 0].tolist()
    assert (x > 20, y) == (True, 15.0)
    assert cameras.to_camera_space(torch.tensor([[0.0, 0.0, 1.0]]))[0, 0].tolist() == [0.0, 0.0, 2.0]


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_straight_down_and_up(sign: float) -> None:
    """The default up is parallel to the line of sight; another axis takes its place."""
    cameras = Cameras.look_at((0.0, sign * 3, 0.0))
    assert_rotation(cameras.rotation)
    torch.testing.assert_close(cameras.project(ORIGIN)[0, 0], torch.tensor([64.0, 64.0]))
    torch.testing.assert_close(cameras.rotation[0, 2], torch.tensor([0.0, -sign, 0.0]))


@given(angle=st.floats(1e-7, 1e-2))
@examples
def test_nearly_straight_down(angle: float) -> None:
    eye = torch.tensor([[3 * math.sin(angle), 3 * math.cos(angle), 0.0]])
    cameras = Cameras.look_at(eye)
    assert_rotation(cameras.rotation)
    torch.testing.assert_close(cameras.position, eye, rtol=0, atol=1e-5)


def test_look_at_broadcasts_and_is_differentiable() -> None:
    eye = torch.tensor([[[0.0, 1, 3], [2, 0, 1]], [[1, 1, 1], [0, -2, 2]]], dtype=torch.float64, requires_grad=True)
    cameras = Cameras.look_at(eye, target=(0.1, 0.0, 0.0), up=torch.tensor([0.0, 0.0, 1.0]))
    assert cameras.leading_shape == (2, 2)
    assert cameras.dtype == torch.float64
    assert cameras.requires_grad
    torch.autograd.gradcheck(lambda e: Cameras.look_at(e).world_to_camera, eye)


def test_orbit_is_a_circle_round_y() -> None:
    cameras = Cameras.orbit(4, 2.0, elevation_degrees=30.0)
    radius, height = 2 * math.cos(math.pi / 6), 1.0
    expected = [[0, height, radius], [radius, height, 0], [0, height, -radius], [-radius, height, 0]]
    torch.testing.assert_close(cameras.position, torch.tensor(expected))
    torch.testing.assert_close(cameras.project(ORIGIN), torch.full((4, 1, 2), 64.0))
    turned = Cameras.orbit(1, 2.0, elevation_degrees=0.0, start_degrees=90.0)
    torch.testing.assert_close(turned.position, torch.tensor([[2.0, 0.0, 0.0]]))


@pytest.mark.parametrize("views", [1, 2, 7, 200])
def test_sphere_stands_at_its_distance_and_is_balanced(views: int) -> None:
    cameras = Cameras.sphere(views, 3.0)
    assert cameras.views == views
    torch.testing.assert_close(cameras.position.norm(dim=-1), torch.full((views,), 3.0))
    torch.testing.assert_close(cameras.project(ORIGIN), torch.full((views, 1, 2), 64.0), rtol=0, atol=1e-3)
    assert_rotation(cameras.rotation)
    # Equal areas: heights are evenly spaced.
    heights = cameras.position[:, 1] / 3
    torch.testing.assert_close(heights, 1 - (2 * torch.arange(views) + 1) / views)


def test_sphere_leaves_no_gap() -> None:
    """Every direction is within 1.8 radii of a camera's even share of the sphere."""
    directions = torch.nn.functional.normalize(torch.randn(2000, 3, generator=torch.Generator().manual_seed(0)), dim=-1)
    cameras = Cameras.sphere(100, 1.0)
    angle = torch.arccos((directions @ cameras.position.T).clamp(-1, 1).amax(dim=1))
    share = math.acos(1 - 2 / 100)
    assert float(angle.max()) < 1.8 * share


# What they see


@given(fov=st.floats(1, 179), height=st.integers(1, 500), width=st.integers(1, 500))
@examples
def test_field_of_view_is_the_angle_between_top_and_bottom(fov: float, height: int, width: int) -> None:
    eye = torch.tensor([0.0, 0.0, 1.0], dtype=torch.float64)
    cameras = Cameras.look_at(eye, vertical_fov_degrees=fov, image_size=(height, width))
    top = math.tan(math.radians(fov / 2))
    edge = torch.tensor([[0.0, top, 0.0], [0.0, -top, 0.0], [top * width / height, 0.0, 0.0]], dtype=torch.float64)
    expected = torch.tensor([[width / 2, 0], [width / 2, height], [width, height / 2]], dtype=torch.float64)
    torch.testing.assert_close(cameras.project(edge)[0], expected, rtol=1e-9, atol=1e-9)


def test_orthographic_height_is_what_is_visible() -> None:
    cameras = Cameras.orbit(3, 5.0, elevation_degrees=0.0, image_size=(20, 50)).to_orthographic(4.0)
    points = torch.tensor([[0.0, 2.0, 0.0], [0.0, -2.0, 0.0], [0.0, 0.0, 0.0]])
    expected = torch.tensor([[25.0, 0.0], [25.0, 20.0], [25.0, 10.0]]).expand(3, 3, 2)
    torch.testing.assert_close(cameras.project(points), expected)
    assert cameras.projection == "orthographic"


@pytest.mark.parametrize("orthographic", [False, True])
@given(seed=st.integers(0, 2**31), depth=st.floats(0.5, 9))
@examples
def test_rays_are_the_inverse_of_project(orthographic: bool, seed: int, depth: float) -> None:
    cameras = random_cameras(seed, 2, orthographic=orthographic)
    rays = cameras.rays()
    assert rays.origins.shape == rays.directions.shape == (2, 30, 40, 3)
    torch.testing.assert_close(rays.directions.norm(dim=-1), torch.ones(2, 30, 40, dtype=torch.float64))
    hit = (rays.origins + depth * rays.directions).flatten(1, 2)
    row, column = torch.meshgrid(torch.arange(30), torch.arange(40), indexing="ij")
    centers = torch.stack([column, row], dim=-1).reshape(-1, 2) + 0.5
    for view in range(2):
        pixels = cameras[view : view + 1].project(hit[view])[0]
        torch.testing.assert_close(pixels, centers.double(), rtol=1e-8, atol=1e-8)
        if orthographic:
            at_depth = cameras[view : view + 1].to_camera_space(hit[view])[0, :, 2]
            torch.testing.assert_close(at_depth, torch.full_like(at_depth, depth))


@pytest.mark.parametrize("orthographic", [False, True])
def test_rays_pass_through_any_point_of_the_image(orthographic: bool) -> None:
    cameras = random_cameras(3, 2, orthographic=orthographic)
    pixels = torch.rand(2, 5, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) * 60 - 10
    rays = cameras.rays_through(pixels)
    for view in range(2):
        found = cameras[view : view + 1].project((rays.origins + 2.5 * rays.directions)[view])[0]
        torch.testing.assert_close(found, pixels[view], rtol=1e-8, atol=1e-8)
    with pytest.raises(ShapeError, match="pixels"):
        cameras.rays_through(pixels[..., :1])


def test_perspective_rays_start_at_the_camera() -> None:
    cameras = random_cameras(1, 3)
    expected = cameras.position[:, None, None].expand(3, 30, 40, 3)
    torch.testing.assert_close(cameras.rays().origins, expected)


def test_orthographic_rays_are_parallel_and_start_on_the_camera_plane() -> None:
    cameras = random_cameras(1, 3, orthographic=True)
    rays = cameras.rays()
    torch.testing.assert_close(rays.directions, cameras.rotation[:, None, None, 2].expand(3, 30, 40, 3))
    for view in range(3):
        plane = cameras[view : view + 1].to_camera_space(rays.origins[view].reshape(-1, 3))[0, :, 2]
        torch.testing.assert_close(plane, torch.zeros_like(plane))


def test_camera_to_world_is_the_inverse() -> None:
    cameras = random_cameras(2, 2, 3)
    product = cameras.camera_to_world @ cameras.world_to_camera
    torch.testing.assert_close(product, torch.eye(4, dtype=torch.float64).expand(2, 3, 4, 4))
    moved = cameras.position[..., None, :] @ cameras.rotation.mT + cameras.translation[..., None, :]
    torch.testing.assert_close(moved, torch.zeros_like(moved))


def test_batches_of_points_and_cameras_broadcast() -> None:
    cameras, points = random_cameras(3, 4, 2), random_points(0, 4 * 5).reshape(4, 5, 3)
    pixels = cameras.project(points)
    assert pixels.shape == (4, 2, 5, 2)
    torch.testing.assert_close(pixels[3, 1], cameras[3, 1:].project(points[3])[0])
    assert cameras[0].project(points).shape == (4, 2, 5, 2)
    torch.testing.assert_close(cameras.to_pixels(cameras.to_camera_space(points)), pixels)


# Changes


@pytest.mark.parametrize("orthographic", [False, True])
@given(
    seed=st.integers(0, 2**31),
    corner=st.tuples(st.integers(-50, 50), st.integers(-50, 50)),
    size=st.tuples(st.integers(1, 90), st.integers(1, 90)),
)
@examples
def test_crop_and_resize_move_pixels(
    orthographic: bool, seed: int, corner: tuple[int, int], size: tuple[int, int]
) -> None:
    (top, left), (height, width) = corner, size
    cameras, points = random_cameras(seed, 2, orthographic=orthographic), random_points(seed)
    pixels = cameras.project(points)
    cropped = cameras.crop(top, left, height, width)
    assert cropped.image_size == (height, width)
    torch.testing.assert_close(cropped.project(points), pixels - torch.tensor([left, top]))
    resized = cameras.resize(height, width)
    assert resized.image_size == (height, width)
    factor = torch.tensor([width / 40, height / 30], dtype=torch.float64)
    torch.testing.assert_close(resized.project(points), pixels * factor)
    torch.testing.assert_close(resized.resize(30, 40).intrinsics, cameras.intrinsics)


@given(seed=st.integers(0, 2**31), scale=st.floats(0, 2))
@examples
def test_retract_obeys_the_laws_of_the_group(seed: int, scale: float) -> None:
    cameras = random_cameras(seed, 2)
    twist = scale * (random_points(seed, 4).reshape(2, 6) * 2)
    still, moved = cameras.retract(torch.zeros(2, 6, dtype=torch.float64)), cameras.retract(twist)
    torch.testing.assert_close(still.world_to_camera, cameras.world_to_camera)
    assert_rotation(moved.rotation)
    assert bool((moved.world_to_camera[..., 3, :] == torch.tensor([0.0, 0, 0, 1]).double()).all())
    torch.testing.assert_close(moved.retract(-twist).world_to_camera, cameras.world_to_camera)
    twice = cameras.retract(2 * twist).world_to_camera
    torch.testing.assert_close(moved.retract(twist).world_to_camera, twice)


@pytest.mark.parametrize("axis", range(3))
def test_retract_moves_in_camera_axes(axis: int) -> None:
    """A translation adds to points in camera space; a rotation turns them by the right-hand rule."""
    cameras, points = random_cameras(5, 1), random_points(5)
    before = cameras.to_camera_space(points)
    twist = torch.zeros(1, 6, dtype=torch.float64)
    twist[0, axis] = 0.3
    torch.testing.assert_close(cameras.retract(twist).to_camera_space(points), before + twist[:, None, :3])
    quarter = torch.zeros(1, 6, dtype=torch.float64)
    quarter[0, 3 + axis] = math.pi / 2
    turned = cameras.retract(quarter).to_camera_space(points)
    following, last = (axis + 1) % 3, (axis + 2) % 3
    torch.testing.assert_close(turned[..., last], before[..., following])
    torch.testing.assert_close(turned[..., following], -before[..., last])
    torch.testing.assert_close(turned[..., axis], before[..., axis])


def test_retract_keeps_dtype_and_broadcasts() -> None:
    cameras = Cameras.orbit(3, 2.0)
    moved = cameras.retract(torch.zeros(5, 1, 6))
    assert moved.leading_shape == (5, 3)
    assert moved.dtype == torch.float32


# Gradients


def test_gradient_at_zero_twist() -> None:
    """At zero the derivative of ``exp(twist) @ E`` is the generator times E, and finite differences agree."""
    cameras, points = random_cameras(6, 2), random_points(6)
    zero = torch.zeros(2, 6, dtype=torch.float64, requires_grad=True)
    torch.autograd.gradcheck(lambda twist: cameras.retract(twist).world_to_camera, zero)
    torch.autograd.gradcheck(lambda twist: cameras.retract(twist).project(points), zero)
    (gradient,) = torch.autograd.grad(cameras.retract(zero).world_to_camera[..., :3, 3].sum(), zero)
    assert bool(gradient.abs().sum() > 0)
    torch.testing.assert_close(gradient[:, :3], torch.ones(2, 3, dtype=torch.float64))


@pytest.mark.parametrize("orthographic", [False, True])
def test_gradients_of_project_and_rays(orthographic: bool) -> None:
    cameras, points = random_cameras(7, 2, orthographic=orthographic), random_points(7, 2)
    small = cameras.resize(2, 3)

    def changed(pose: Tensor, focal: Tensor) -> Cameras:
        matrix = small.intrinsics + torch.diag_embed(torch.nn.functional.pad(focal, (0, 1)))
        return dataclasses.replace(small, world_to_camera=pose, intrinsics=matrix)

    pose = small.world_to_camera[..., :3, :].clone().requires_grad_()
    focal = torch.zeros(2, 2, dtype=torch.float64, requires_grad=True)
    points.requires_grad_()

    def project(top: Tensor, focal: Tensor, points: Tensor) -> Tensor:
        return changed(rigid(top[..., :3], top[..., 3]), focal).project(points)

    def rays(top: Tensor, focal: Tensor) -> tuple[Tensor, Tensor]:
        return tuple(changed(rigid(top[..., :3], top[..., 3]), focal).rays())

    torch.autograd.gradcheck(project, (pose, focal, points))
    torch.autograd.gradcheck(rays, (pose, focal))


# The noun


def test_shapes_of_a_batch() -> None:
    cameras = random_cameras(8, 2, 3)
    assert (cameras.views, cameras.batch_shape, cameras.leading_shape) == (3, (2,), (2, 3))
    assert cameras[0].leading_shape == (3,)
    assert cameras[..., 0:1].leading_shape == (2, 1)
    assert cameras[:, None].leading_shape == (2, 1, 3)
    assert cameras[..., None].leading_shape == (2, 3, 1)
    mask = torch.tensor([[True, False, True], [False, True, False]])
    torch.testing.assert_close(cameras[mask].world_to_camera, cameras.world_to_camera[mask])
    assert Cameras.cat([cameras, cameras]).leading_shape == (2, 6)
    assert Cameras.cat([cameras, cameras], dim=0).leading_shape == (4, 3)
    assert Cameras.stack([cameras, cameras]).leading_shape == (2, 2, 3)


def test_one_camera_alone_is_one_view() -> None:
    cameras = Cameras(torch.eye(4), torch.eye(3), (4, 5))
    assert cameras.leading_shape == (1,)
    assert random_cameras(0, 3)[1].leading_shape == (1,)


def test_poses_and_intrinsics_broadcast() -> None:
    cameras = Cameras(torch.eye(4).expand(5, 1, 4, 4), torch.eye(3).expand(2, 3, 3), (4, 5))
    assert cameras.intrinsics.shape == (5, 2, 3, 3)
    assert cameras.world_to_camera.shape == (5, 2, 4, 4)


def test_repr_to_and_pickle() -> None:
    cameras = Cameras.orbit(3, 2.0, image_size=(30, 40))
    assert repr(cameras) == (
        "Cameras(world_to_camera=[3, 4, 4], intrinsics=[3, 3, 3], image_size=(30, 40), near=0.01, far=100.0, "
        "projection='perspective', device='cpu')"
    )
    copied = pickle.loads(pickle.dumps(cameras))  # what this test made itself
    torch.testing.assert_close(copied.world_to_camera, cameras.world_to_camera)
    torch.testing.assert_close(copied.intrinsics, cameras.intrinsics)
    assert (copied.image_size, copied.near, copied.far) == (cameras.image_size, cameras.near, cameras.far)
    assert cameras.to("cpu").device.type == "cpu"


def test_detach() -> None:
    eye = torch.tensor([[0.0, 0.0, 3.0]], requires_grad=True)
    assert not Cameras.look_at(eye).detach().requires_grad


def test_points_of_float64_are_seen_by_cameras_of_float32() -> None:
    cameras = Cameras.sphere(3, 3.0, image_size=(20, 30))
    points = torch.randn(7, 3, generator=torch.Generator().manual_seed(0))
    seen = cameras.to_camera_space(points.double())
    assert seen.dtype == torch.float64
    torch.testing.assert_close(seen.float(), cameras.to_camera_space(points))
    assert cameras.to_camera_space(points).dtype == torch.float32
