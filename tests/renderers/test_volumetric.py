"""Emission-absorption and maximum projection: closed forms, a plain twin, and the cameras of the mesh renderers."""

import dataclasses
import math
import warnings

import pytest
import torch
from torch import Tensor

import render3d as r3
from render3d.cameras import Projection
from render3d.data import bunny
from render3d.errors import CapabilityError, DeviceError, ShapeError, VolumeError
from render3d.metrics import silhouette_iou
from render3d.renderers import EmissionAbsorption, EmptyViewWarning, MaxProjection, OpenGL
from render3d.renderers.volumetric import emission, marching, maximum
from render3d.renderers.volumetric.planes import AT_CENTRES, Rule, evenly
from render3d.testing.scenes import asymmetric_mesh, uneven_cameras

ALL = emission._LIGHT[True, True]


def bumps(*, size: tuple[int, int, int] = (9, 12, 14), channels: int = 4, batch: tuple[int, ...] = ()) -> r3.Volume:
    """Random smooth densities and colours, unlike along every axis, of 64-bit floats."""
    generator = torch.Generator().manual_seed(1)
    coarse = torch.rand(math.prod(batch), channels, 4, 4, 4, dtype=torch.float64, generator=generator)
    fine = torch.nn.functional.interpolate(coarse, size, mode="trilinear", align_corners=True)
    return r3.Volume(fine.reshape(*batch, channels, *size), extent=0.8)


def cameras_of(views: int = 5, *, dtype: torch.dtype = torch.float64) -> r3.Cameras:
    """All round, not square, with the principal point off the centre."""
    cameras = r3.Cameras.sphere(views, 2.6, vertical_fov_degrees=46, image_size=(9, 12))
    shift = torch.tensor([[0, 0, 1.3], [0, 0, -0.7], [0, 0, 0]])
    return r3.Cameras(
        cameras.world_to_camera.to(dtype), (cameras.intrinsics + shift).to(dtype), cameras.image_size, near=0.1, far=10
    )


def plainly(volume: r3.Volume, cameras: r3.Cameras, points: int = 2000) -> tuple[Tensor, Tensor, Tensor]:
    """Alpha, colour over black, and depth times alpha, from many even points on every ray: the slow twin."""
    origins, directions = cameras.rays()
    along = directions @ cameras.rotation[..., None, 2, :, None]
    begin, end = cameras.near / along, (cameras.far / along).clamp(max=6.0)
    step = (end - begin) / points
    distance = begin + (torch.arange(points) + 0.5) * step  # [V, H, W, N]
    places = (origins[..., None, :] + distance[..., None] * directions[..., None, :]) / volume.extent
    grid = places.flatten(0, 2)[None, None]

    def sample(values: Tensor, beyond: str) -> Tensor:
        found = torch.nn.functional.grid_sample(values[None], grid, padding_mode=beyond, align_corners=False)
        return found[0, :, 0].reshape(len(values), *distance.shape)

    depth = sample(volume.values[:1], "zeros")[0] * step
    before = torch.exp(-(depth.cumsum(-1) - depth))
    weights = before * -torch.expm1(-depth)
    color = (weights * sample(volume.values[1:], "border")).sum(-1).movedim(0, 1)
    return weights.sum(-1), color, (weights * distance * along).sum(-1)


def integral(volume: r3.Volume, cameras: r3.Cameras, wanted: marching.Integral, rule: Rule) -> Tensor:
    """Of a volume and cameras ``[V]``: ``[V, channels, H, W]``."""
    return marching.integrate(r3.Volume(volume.values[None], volume.extent), cameras[None], wanted, rule)[0]


def test_a_homogeneous_cube_absorbs_by_the_length_of_the_way_through_it() -> None:
    volume = r3.Volume(torch.full((1, 6, 6, 6), 0.7), extent=1.5)
    cameras = r3.Cameras.look_at((0.0, 0.0, 5.0), image_size=(3, 5)).to_orthographic(1.0)
    rendering = EmissionAbsorption()(volume, cameras, ("alpha", "depth", "rgb"))
    torch.testing.assert_close(rendering.alpha, torch.full((1, 1, 3, 5), 1 - math.exp(-0.7 * 3.0)))
    grey_over_white = 0.6 * rendering.alpha + (1 - rendering.alpha)
    torch.testing.assert_close(rendering.rgb, grey_over_white.expand(1, 3, 3, 5))


def test_a_thin_opaque_sheet_has_its_own_depth_and_color() -> None:
    density = torch.zeros(1, 9, 5, 5)
    density[0, 6] = 1e4
    colors = torch.tensor([0.2, 0.5, 0.9])[:, None, None, None].expand(3, 9, 5, 5)
    volume = r3.Volume(torch.cat([density, colors]))
    cameras = r3.Cameras.look_at((0.0, 0.0, 4.0), image_size=(4, 4)).to_orthographic(0.5)
    rendering = EmissionAbsorption()(volume, cameras, ("rgb", "alpha", "depth"))
    sheet = 2 * 6.5 / 9 - 1
    half_a_voxel = 1.01 / 9
    torch.testing.assert_close(rendering.depth, torch.full((1, 1, 4, 4), 4 - sheet), atol=half_a_voxel, rtol=0)
    torch.testing.assert_close(rendering.rgb[0, :, 0, 0], torch.tensor([0.2, 0.5, 0.9]))
    from_behind = r3.Cameras.look_at((0.0, 0.0, -4.0), image_size=(4, 4)).to_orthographic(0.5)
    depth = EmissionAbsorption()(volume, from_behind, ("depth",)).depth
    torch.testing.assert_close(depth, torch.full((1, 1, 4, 4), 4 + sheet), atol=half_a_voxel, rtol=0)


@pytest.mark.parametrize("inside", [False, True])
def test_values_are_those_of_many_points_on_every_ray(inside: bool) -> None:
    volume, cameras = bumps(), cameras_of()
    if inside:  # near the corner of the cube, with near and far cutting it
        eye = torch.tensor([[0.3, 0.5, -0.4]], dtype=torch.float64)
        cameras = r3.Cameras.look_at(
            eye, (-0.2, 0.0, 0.1), vertical_fov_degrees=80, image_size=(9, 12), near=0.15, far=0.7
        )
    alpha, color, depth = plainly(volume, cameras)
    found = integral(volume, cameras, ALL, evenly(6))
    torch.testing.assert_close(found[:, 0], alpha, atol=2e-3, rtol=0)
    torch.testing.assert_close(found[:, 1:4], color, atol=3e-3, rtol=0)
    torch.testing.assert_close(found[:, 4], depth, atol=5e-3, rtol=0)
    alone = integral(volume, cameras, emission._OPTICAL_DEPTH, evenly(6))
    torch.testing.assert_close(1 - torch.exp(-alone[:, 0]), found[:, 0])
    assert 0.2 < float(alpha.mean()) < 0.9


def test_gradients_are_those_of_many_points_on_every_ray() -> None:
    volume, cameras = bumps(), cameras_of(3)
    values = volume.values.clone().requires_grad_()
    twist = torch.zeros(3, 6, dtype=torch.float64, requires_grad=True)
    weights = torch.randn(3, 5, 9, 12, dtype=torch.float64, generator=torch.Generator().manual_seed(2))

    def gradients(plain: bool) -> tuple[Tensor, ...]:
        seen, moved = dataclasses.replace(volume, values=values), cameras.retract(twist)
        if plain:
            alpha, color, depth = plainly(seen, moved, points=12_000)
            sums = torch.cat([alpha[:, None], color, depth[:, None]], 1)
        else:
            sums = integral(seen, moved, ALL, evenly(32))
        return torch.autograd.grad((sums * weights).sum(), (values, twist))

    for ours, theirs in zip(gradients(False), gradients(True), strict=True):
        assert float((ours - theirs).norm() / theirs.norm()) < 0.03  # kinks make both rough


@pytest.mark.parametrize("per_voxel", [1.0, 1.5, 3.0])
def test_the_way_for_gpus_crosses_the_same_planes(per_voxel: float) -> None:
    volume = bumps(size=(19, 24, 28), batch=(2,))  # large enough for several blocks of planes
    every = r3.Cameras.stack([cameras_of(), cameras_of().retract(torch.full((5, 6), 0.1, dtype=torch.float64))])
    largest = dataclasses.replace(volume, values=volume.density)
    for cameras in (every, dataclasses.replace(every, near=2.4, far=2.9)):
        rays = marching.rays_of(cameras, torch.float64)
        for seen, what, rule in ((volume, ALL, evenly(per_voxel)), (largest, maximum._LARGEST, AT_CENTRES)):
            at_once = marching.integrate_at_once(seen, rays, what, rule)
            torch.testing.assert_close(marching.integrate_by_slices(seen, rays, what, rule), at_once)


def test_shifted_planes_are_more_exact_than_those_half_way() -> None:
    """Through a bump that the voxels resolve; seen for three widths of it on three grids: 0.46 to 0.66."""
    axis = (2 * torch.arange(24, dtype=torch.float64) + 1) / 24 - 1
    z, y, x = torch.meshgrid(axis, axis, axis, indexing="ij")
    volume = r3.Volume(torch.exp(-8 * (x**2 + y**2 + z**2))[None])

    def error(rule: Rule) -> float:
        found, truth = (integral(volume, cameras_of(12), emission._OPTICAL_DEPTH, each) for each in (rule, evenly(64)))
        return float((found - truth).square().mean().sqrt())

    assert error(evenly(1)) < 0.8 * error(Rule(1, 0.5))
    assert error(evenly(2)) < 0.8 * error(Rule(2, 0.5))
    assert error(evenly(2)) < 0.4 * error(evenly(1))


def test_gradients_pass_finite_differences() -> None:
    cameras = cameras_of(2)
    cameras = cameras.resize(2, 3)
    values = bumps(size=(3, 2, 4)).values.requires_grad_()
    twist = (0.01 * torch.randn(2, 6, dtype=torch.float64)).requires_grad_()

    def sums(v: Tensor, t: Tensor) -> Tensor:
        return integral(r3.Volume(v, 0.8), cameras.retract(t), ALL, evenly(2))

    assert torch.autograd.gradcheck(sums, (values, twist))


@pytest.mark.parametrize("resolution", [(1, 1, 1), (1, 5, 2), (7, 1, 1)])
def test_axes_of_one_voxel_are_tents(resolution: tuple[int, int, int]) -> None:
    volume = r3.Volume(torch.full((1, *resolution), 0.9, dtype=torch.float64))
    cameras = cameras_of(4)
    padded = r3.Volume(torch.cat([volume.values, torch.zeros(3, *resolution)]))
    alpha, _, _ = plainly(padded, cameras)
    found = integral(volume, cameras, emission._OPTICAL_DEPTH, evenly(32))
    torch.testing.assert_close(1 - torch.exp(-found[:, 0]), alpha, atol=3e-3, rtol=0)


def test_the_voxelised_bunny_covers_the_pixels_of_its_mesh() -> None:
    mesh = bunny().normalized()
    volume = r3.Volume.from_mesh(mesh, 128)
    cameras = r3.Cameras.sphere(6, 3.0, vertical_fov_degrees=46, image_size=(96, 128))
    shift = torch.tensor([[0, 0, 9.0], [0, 0, -5.0], [0, 0, 0]])
    cameras = dataclasses.replace(cameras, intrinsics=cameras.intrinsics + shift)
    for seen in (cameras, cameras.to_orthographic(2.4)):
        wanted = OpenGL()(mesh, seen, ("alpha", "depth"))
        found = EmissionAbsorption()(volume, seen, ("alpha", "depth"))
        assert float(silhouette_iou(found.alpha, wanted.alpha).min()) > 0.95
        both = (found.alpha > 0.99) & (wanted.alpha > 0)
        assert float((found.depth - wanted.depth)[both].abs().median()) < 0.02
        brightest = MaxProjection()(volume, seen).alpha
        assert float(silhouette_iou(brightest, wanted.alpha).min()) > 0.95


@pytest.mark.parametrize("projection", ["perspective", "orthographic"])
def test_an_asymmetric_object_keeps_its_sides(projection: Projection) -> None:
    mesh, cameras = asymmetric_mesh(), uneven_cameras(projection)
    volume = r3.Volume.from_mesh(mesh, 96, kind="filled")
    wanted = OpenGL()(mesh, cameras, ("alpha",)).alpha
    found = EmissionAbsorption()(volume, cameras, ("alpha",)).alpha
    assert float(silhouette_iou(found, wanted).min()) > 0.9
    assert float(silhouette_iou(found.flip(-1), wanted).max()) < 0.85


def test_the_maximum_is_the_occupancy_of_the_most_opaque_voxel() -> None:
    occupancy = torch.zeros(5, 5, 5)
    occupancy[1, 2, 2], occupancy[3, 2, 2] = 0.3, 0.8
    cameras = r3.Cameras.look_at((0.0, 0.0, 4.0), image_size=(5, 5)).to_orthographic(2.0)
    alpha = MaxProjection()(r3.Volume.from_occupancy(occupancy), cameras).alpha[0, 0]
    assert float(alpha[2, 2]) == pytest.approx(0.8, abs=1e-5)
    assert float(alpha[0, 0]) == 0


def test_batches_and_views_broadcast() -> None:
    volumes = bumps(batch=(2, 1)).to("cpu")
    cameras = r3.Cameras.stack([cameras_of(3), cameras_of(3).retract(torch.full((3, 6), 0.05, dtype=torch.float64))])
    found = EmissionAbsorption()(volumes, cameras)
    assert found.rgb.shape == (2, 2, 3, 3, 9, 12)
    alone = EmissionAbsorption()(volumes[1, 0], cameras[0])
    torch.testing.assert_close(found.rgb[1, 0], alone.rgb)
    own = EmissionAbsorption()(bumps(batch=(3,)), cameras_of(3)[:, None], ("alpha",))
    assert own.alpha.shape == (3, 1, 1, 9, 12)


def test_several_samples_a_pixel_are_averaged() -> None:
    volume, cameras = bumps(), cameras_of(2, dtype=torch.float32)
    fine = EmissionAbsorption()(volume, cameras.resize(18, 24), ("alpha",)).alpha
    found = EmissionAbsorption(samples_per_pixel=4)(volume, cameras, ("alpha",)).alpha
    torch.testing.assert_close(found, torch.nn.functional.avg_pool2d(fine, 2))


def test_an_empty_volume_is_background_and_a_warning() -> None:
    with pytest.warns(EmptyViewWarning):
        rendering = EmissionAbsorption(background=(0.1, 0.2, 0.3))(
            r3.Volume(torch.zeros(1, 3, 3, 3)), cameras_of(dtype=torch.float32), ("rgb", "alpha", "depth")
        )
    assert float(rendering.alpha.max()) == 0 and float(rendering.depth.max()) == 0
    torch.testing.assert_close(rendering.rgb[0, :, 0, 0], torch.tensor([0.1, 0.2, 0.3]))


def test_the_gradient_at_an_empty_voxel_is_not_zero() -> None:
    values = torch.zeros(1, 4, 4, 4, requires_grad=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", EmptyViewWarning)
        EmissionAbsorption()(r3.Volume(values), cameras_of(dtype=torch.float32), ("alpha",)).alpha.sum().backward()
    assert values.grad is not None and float(values.grad[0, 2, 2, 2]) > 0


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (torch.full((1, 2, 2, 2), torch.nan), "must be finite"),
        (torch.full((1, 2, 2, 2), torch.inf), "must be finite"),
        (torch.full((1, 2, 2, 2), -1.0), "must not be negative; got -1"),
        (torch.ones(3, 2, 2, 2), "1 channel, density, or 4, density and colour; got 3"),
    ],
)
def test_volumes_that_no_picture_can_be_made_of_are_refused(values: Tensor, message: str) -> None:
    with pytest.raises(VolumeError, match=message):
        EmissionAbsorption()(r3.Volume(values), cameras_of(dtype=torch.float32))


def test_meshes_volumes_and_outputs_are_for_those_who_render_them() -> None:
    volume, cameras = bumps(), cameras_of(dtype=torch.float32)
    with pytest.raises(
        CapabilityError, match=r"renders Volume; got Mesh. These render it: OpenGL, Pyrender.*from_mesh"
    ):
        EmissionAbsorption()(r3.Mesh.icosphere(1), cameras)
    with pytest.raises(
        CapabilityError, match=r"renders Mesh; got Volume. These render it: EmissionAbsorption.*to_mesh"
    ):
        OpenGL()(volume, cameras)
    with pytest.raises(CapabilityError, match="MaxProjection has no output 'rgb'"):
        MaxProjection()(volume, cameras, ("rgb",))
    with pytest.raises(ShapeError, match="do not broadcast"):
        EmissionAbsorption()(bumps(batch=(3,)), r3.Cameras.stack([cameras_of(2)] * 2))
    with pytest.raises(DeviceError, match="scene on meta"):
        EmissionAbsorption()(volume.to("meta"), cameras)
    with pytest.raises(ValueError, match="samples_per_voxel"):
        EmissionAbsorption(samples_per_voxel=0)
    with pytest.raises(ValueError, match="square number"):
        MaxProjection(samples_per_pixel=3)
