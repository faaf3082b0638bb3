"""The learned projection: what its warps see, where its gradients go, and that it learns."""

import dataclasses

import pytest
import safetensors.torch
import torch
from torch import Tensor

import render3d as r3
from render3d.data import bunny
from render3d.errors import CameraError, CapabilityError, VolumeError
from render3d.metrics import silhouette_iou
from render3d.renderers import LearnedProjection, MaxProjection, OpenGL
from render3d.renderers.volumetric.warps import Warp, warp_to_view


def off_centre(views: int = 4, size: tuple[int, int] = (48, 64)) -> r3.Cameras:
    cameras = r3.Cameras.sphere(views, 3.0, vertical_fov_degrees=46, image_size=size)
    shift = torch.tensor([[0, 0, 5.0], [0, 0, -3.0], [0, 0, 0]])
    return dataclasses.replace(cameras, intrinsics=cameras.intrinsics + shift)


def coverage_of(warped: Tensor) -> Tensor:
    """Most occupied cell along every column of the warped grid."""
    return warped.amax(-3)


@pytest.mark.parametrize(
    ("kind", "parallel", "least"), [("frustum", False, 0.95), ("frustum", True, 0.95), ("affine", True, 0.95)]
)
def test_the_columns_of_a_warp_are_the_pixels_of_the_mesh(kind: Warp, parallel: bool, least: float) -> None:
    mesh = bunny().normalized()
    volume = r3.Volume.from_mesh(mesh, 64)
    cameras = off_centre().to_orthographic(2.2) if parallel else off_centre()
    wanted = OpenGL()(mesh, cameras, ("alpha",)).alpha
    seen = warp_to_view(r3.Volume(volume.occupancy, volume.extent), cameras, 64, kind)
    assert float(silhouette_iou(coverage_of(seen), wanted).min()) > least


def test_the_affine_warp_is_weak_perspective() -> None:
    """From far away it is the picture itself; close by, it is wrong, as it must be."""
    mesh = bunny().normalized()
    volume = r3.Volume.from_mesh(mesh, 64)
    seen = r3.Volume(volume.occupancy, volume.extent)
    far = r3.Cameras.sphere(3, 30.0, vertical_fov_degrees=4.2, image_size=(48, 64))
    wanted = OpenGL()(mesh, far, ("alpha",)).alpha
    assert float(silhouette_iou(coverage_of(warp_to_view(seen, far, 64, "affine")), wanted).min()) > 0.95
    near = r3.Cameras.sphere(3, 2.0, vertical_fov_degrees=75, image_size=(48, 64))
    wanted = OpenGL()(mesh, near, ("alpha",)).alpha
    assert float(silhouette_iou(coverage_of(warp_to_view(seen, near, 64, "affine")), wanted).min()) < 0.9
    assert float(silhouette_iou(coverage_of(warp_to_view(seen, near, 64, "frustum")), wanted).min()) > 0.94


@pytest.mark.parametrize("kind", ["affine", "frustum"])
def test_planes_run_from_near_to_far(kind: Warp) -> None:
    occupancy = torch.zeros(32, 8, 8)
    occupancy[24:] = 1.0  # the side of high z
    volume = r3.Volume(torch.as_tensor(occupancy)[None])
    for position, first in (((0.0, 0.0, 4.0), True), ((0.0, 0.0, -4.0), False)):
        grid = warp_to_view(volume, r3.Cameras.look_at(position, image_size=(7, 9)), 20, kind)[0, 0, :, 3, 4]
        assert (float(grid[:10].sum()) > float(grid[10:].sum())) is first


def test_of_parallel_rays_both_warps_make_the_same() -> None:
    """Also where near and far cut the volume, or leave nothing of it."""
    volume = r3.Volume(torch.rand(1, 5, 6, 7, generator=torch.Generator().manual_seed(0)))
    cameras = off_centre().to_orthographic(2.2)
    for near, far in ((0.01, 100.0), (2.5, 3.1), (2.8, 100.0), (6.0, 7.0)):
        cut = dataclasses.replace(cameras, near=near, far=far)
        affine, frustum = (warp_to_view(volume, cut, 9, kind) for kind in ("affine", "frustum"))
        torch.testing.assert_close(affine, frustum, atol=1e-4, rtol=0)
        assert bool(affine.any()) is (near < 5)


@pytest.mark.parametrize("kind", ["affine", "frustum"])
def test_what_is_behind_a_camera_of_parallel_rays_is_not_seen(kind: Warp) -> None:
    occupancy = torch.zeros(16, 4, 4)
    occupancy[12:] = 1.0  # the side of high z
    volume = r3.Volume(occupancy[None])
    for target, seen in (((0.0, 0.0, 1.0), True), ((0.0, 0.0, -1.0), False)):
        within = r3.Cameras.look_at((0.0, 0.0, 0.1), target, image_size=(3, 3)).to_orthographic(1.0)
        assert bool(warp_to_view(volume, within, 30, kind)[..., 1, 1].any()) is seen


def test_from_inside_the_frustum_sees_what_is_in_front() -> None:
    """A wall with a hole in it: the ray through the hole is free, and behind the camera is another wall."""
    occupancy = torch.zeros(20, 20, 20)
    occupancy[:2] = occupancy[-2:] = 1.0
    occupancy[-2:, 8:12, 8:12] = 0.0
    inside = r3.Cameras.look_at((0.0, 0.0, -0.2), (0.0, 0.0, 1.0), vertical_fov_degrees=60, image_size=(5, 5))
    seen = coverage_of(warp_to_view(r3.Volume(occupancy[None]), inside, 60, "frustum"))[0, 0]
    wall = torch.ones(5, 5)
    wall[2, 2] = 0.0
    torch.testing.assert_close((seen > 0.5).float(), wall)


@pytest.mark.parametrize("kind", ["affine", "frustum"])
def test_a_voxel_is_a_tent_for_a_pixel(kind: Warp) -> None:
    straight = r3.Cameras.look_at((0.0, 0.0, 3.0), image_size=(1, 1)).to_orthographic(1.0)
    voxel = r3.Volume(torch.full((1, 1, 1, 1), 0.8))
    assert float(warp_to_view(voxel, straight, 1, kind)) == pytest.approx(0.8)
    # Two planes lie a half of the radius of the ball, sqrt(3) / 2 units, from the middle; the tent ends at 2.
    torch.testing.assert_close(
        warp_to_view(voxel, straight, 2, kind).flatten(), torch.full((2,), 0.8 * (1 - 3**0.5 / 4)), atol=1e-5, rtol=0
    )


@pytest.mark.parametrize("kind", ["affine", "frustum"])
def test_gradients_of_warps_pass_finite_differences(kind: Warp) -> None:
    values = torch.rand(2, 3, 4, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).requires_grad_()
    cameras = off_centre(2, (2, 3))
    cameras = r3.Cameras(cameras.world_to_camera.double(), cameras.intrinsics.double(), (2, 3))
    twist = torch.full((2, 6), 0.03, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(
        lambda v, t: warp_to_view(r3.Volume(v), cameras.retract(t), 3, kind), (values, twist)
    )


@pytest.mark.parametrize("warp", ["affine", "frustum", "none"])
def test_every_view_goes_through_the_same_parameters(warp: Warp) -> None:
    torch.manual_seed(0)
    projection = LearnedProjection(3, outputs=("rgb", "alpha", "depth"), features=4, planes=6, warp=warp)
    volumes = r3.Volume(torch.rand(2, 3, 6, 5, 4))
    cameras = r3.Cameras.stack([off_centre(3, (6, 9)), off_centre(5, (6, 9))[:3]])
    together = projection(volumes, cameras, ("rgb", "alpha", "depth"))
    assert together.rgb.shape == (2, 3, 3, 6, 9)
    alone = projection(volumes[1], cameras[1][2:], ("rgb", "alpha", "depth"))
    for name in ("rgb", "alpha", "depth"):
        torch.testing.assert_close(together[1, 2:].stored(name), alone.stored(name))
    repeated = projection(volumes[0], cameras, ("alpha",)).alpha
    torch.testing.assert_close(repeated[0], together.alpha[0])


def test_gradients_reach_volume_parameters_and_inferred_cameras() -> None:
    torch.manual_seed(0)
    projection = LearnedProjection(features=4, planes=6)
    values = torch.rand(1, 6, 6, 6, requires_grad=True)
    twist = torch.zeros(2, 6, requires_grad=True)
    projection(r3.Volume(values), off_centre(2, (6, 6)).retract(twist)).alpha.square().sum().backward()
    reached = [values.grad, twist.grad, *(parameter.grad for parameter in projection.parameters())]
    assert all(gradient is not None and float(gradient.abs().sum()) > 0 for gradient in reached)


@pytest.mark.parametrize("warp", ["affine", "frustum", "none"])
@pytest.mark.parametrize("resolution", [(1, 1, 1), (1, 1, 6), (1, 5, 1), (4, 1, 1), (4, 5, 6)])
def test_grids_of_any_size_with_nothing_in_them_have_pictures_and_gradients(
    warp: Warp, resolution: tuple[int, int, int]
) -> None:
    torch.manual_seed(0)
    projection = LearnedProjection(outputs=("rgb", "alpha", "depth"), features=2, planes=1, warp=warp)
    for cameras in (off_centre(2, (1, 3)), off_centre(2, (1, 3)).to_orthographic(2.0)):
        values = torch.zeros(1, *resolution, requires_grad=True)
        found = projection(r3.Volume(values), cameras, ("rgb", "alpha", "depth")).as_dict()
        assert {name: image.shape[:-3] for name, image in found.items()} == dict.fromkeys(found, (2,))
        assert all(bool(image.isfinite().all()) for image in found.values())
        (gradient,) = torch.autograd.grad(found["alpha"].sum(), values)
        assert gradient.isfinite().all()


def test_a_new_one_shows_next_to_nothing() -> None:
    torch.manual_seed(0)
    volume = r3.Volume.from_occupancy((torch.rand(8, 8, 8) < 0.1).float())
    for outputs in (("alpha",), ("rgb", "depth"), ("depth", "alpha", "rgb")):
        rendering = LearnedProjection(outputs=outputs, features=4)(volume, off_centre(), (*outputs, "alpha")).detach()
        assert 0.01 < float(rendering.alpha.mean()) < 0.15
        if "rgb" in outputs:
            assert 0.3 < float(rendering.rgb.mean()) < 0.7


def test_its_convolutions_are_those_of_torch_and_its_parameters_can_be_saved() -> None:
    torch.manual_seed(0)
    projection = LearnedProjection(4, features=3, planes=5)
    ours = projection.space[0]
    plain = torch.nn.Conv3d(4, 3, 3, padding=1)
    plain.load_state_dict(ours.state_dict())
    values = torch.rand(2, 4, 5, 6, 7)
    torch.testing.assert_close(ours(values), plain(values))
    restored = safetensors.torch.load(safetensors.torch.save(projection.state_dict()))
    assert all(torch.equal(restored[name], value) for name, value in projection.state_dict().items())


def corner_boxes() -> r3.Volume:
    """Four boxes of different sizes in one corner of the cube."""
    corner = torch.zeros(4, 8, 8, 8)
    for number in range(4):
        corner[number, 2 : 5 + (number & 1), 2 : 5 + (number >> 1), 3:6] = 1
    return r3.Volume.from_occupancy(corner)


def train(projection: LearnedProjection, volumes: r3.Volume, cameras: r3.Cameras, updates: int) -> tuple[Tensor, float]:
    """The silhouettes it has learnt to draw, and their squared error as a share of that of the best constant."""
    target = MaxProjection()(volumes, cameras).alpha
    optimiser = torch.optim.Adam(projection.parameters(), 1e-2)
    for _ in range(updates):
        optimiser.zero_grad()
        loss = torch.nn.functional.binary_cross_entropy(projection(volumes, cameras).alpha, target)
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    with torch.no_grad():
        found = projection(volumes, cameras).alpha
    return found, float((found - target).square().mean() / target.var(correction=0))


def test_it_learns_the_camera_of_an_analytic_projection() -> None:
    torch.manual_seed(0)
    volumes, cameras = corner_boxes(), r3.Cameras.sphere(6, 3.0, image_size=(12, 12))
    found, share = train(LearnedProjection(features=6, planes=8), volumes, cameras, 60)
    assert float(silhouette_iou(found, MaxProjection()(volumes, cameras).alpha).mean()) > 0.75
    assert share < 0.3


def test_without_a_warp_it_learns_the_view_of_the_volumes_own_frame() -> None:
    """Nothing in it can turn a volume, but where rows and columns of the image are those of the grid, it need not."""
    torch.manual_seed(0)
    own = r3.Cameras.look_at((0.0, 0.0, -3.0), up=(0.0, -1.0, 0.0), image_size=(12, 12)).to_orthographic(2.0)
    _, share = train(LearnedProjection(features=6, planes=8, warp="none"), corner_boxes(), own, 60)
    assert share < 0.3


def test_what_it_cannot_take_is_an_error_that_says_what_to_do() -> None:
    volume, cameras = r3.Volume(torch.rand(2, 4, 4, 4)), off_centre(1, (4, 4))
    with pytest.raises(VolumeError, match="takes volumes of 1 channels; got 2. Make one with channels=2"):
        LearnedProjection()(volume, cameras)
    with pytest.raises(CapabilityError, match="LearnedProjection has no output 'rgb'"):
        LearnedProjection(2)(volume, cameras, ("rgb",))
    behind = r3.Cameras.look_at((0.0, 0.0, 2.0), (0.0, 0.0, 3.0), image_size=(4, 4))
    inside = r3.Cameras.look_at((0.3, 0.0, 0.9), image_size=(4, 4))
    for unfit in (behind, inside, r3.Cameras.cat([off_centre(1, (4, 4)), inside])):
        with pytest.raises(CameraError, match="Use warp='frustum', or move the camera back"):
            LearnedProjection(2)(volume, unfit)
    assert LearnedProjection(2, warp="frustum")(volume, inside).alpha.isfinite().all()
    for broken, message in ((torch.nan, "finite"), (torch.inf, "finite"), (-1.0, "must not be negative")):
        with pytest.raises(VolumeError, match=message):
            LearnedProjection()(r3.Volume(torch.full((1, 4, 4, 4), broken)), cameras)
    features = torch.zeros(2, 4, 4, 4)
    features[1, 0, 0, 0] = torch.nan
    with pytest.raises(VolumeError, match="finite"):
        LearnedProjection(2)(r3.Volume(features), cameras)
    with pytest.raises(ValueError, match="warp must be"):
        LearnedProjection(warp="orthographic")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="at least 1"):
        LearnedProjection(planes=0)
    with pytest.raises(ValueError, match="outputs may hold"):
        LearnedProjection(outputs=("normal",))  # type: ignore[arg-type]
