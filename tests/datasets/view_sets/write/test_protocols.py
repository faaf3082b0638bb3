"""Where cameras stand: closed forms, and statistics of those that are random."""

import dataclasses
import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import stats

from render3d import Cameras
from render3d.conventions import to_nerf, to_r2n2
from render3d.datasets.view_sets.write.protocols import PROTOCOLS, Given, Orbit, R2N2Cameras, Random, Sphere
from render3d.errors import CameraError, DatasetError, ViewSetError
from render3d.view_sets.transforms import camera_transforms


def generator() -> np.random.Generator:
    return np.random.default_rng(5)


def same(first: Cameras, second: Cameras) -> None:
    torch.testing.assert_close(first.world_to_camera, second.world_to_camera, atol=1e-6, rtol=0)
    torch.testing.assert_close(first.intrinsics, second.intrinsics)
    assert (first.image_size, first.near, first.far) == (second.image_size, second.near, second.far)
    assert first.projection == second.projection


def test_an_orbit_is_level_and_evenly_spaced() -> None:
    cameras = Orbit(views=8, distance=2.0, elevation_degrees=30.0, image_size=(10, 20), near=0.5, far=4.0)(generator())
    x, y, z = cameras.position.double().unbind(-1)
    torch.testing.assert_close(y, torch.full((8,), 1.0, dtype=torch.float64))
    turns = torch.rad2deg(torch.atan2(x, z)) % 360
    torch.testing.assert_close(turns, torch.arange(8).double() * 45, atol=1e-4, rtol=0)
    assert (cameras.image_size, cameras.near, cameras.far) == ((10, 20), 0.5, 4.0)


def test_a_sphere_has_no_heavy_side() -> None:
    cameras = Sphere(views=100, distance=3.0)(generator())
    torch.testing.assert_close(cameras.position.norm(dim=-1), torch.full((100,), 3.0))
    assert float(cameras.position.mean(0).norm()) < 0.05


def test_the_cameras_of_r2n2_are_drawn_as_theirs() -> None:
    """Kolmogorov-Smirnov, 2,400 cameras; a right sampler fails once in a thousand seeds for each of the three."""
    rows = to_r2n2(R2N2Cameras(views=2400)(generator())).double().numpy()
    azimuth, elevation, in_plane, ratio, fov = rows.T
    for values, low, high in ((azimuth, 0, 360), (elevation, 25, 30), (ratio, 0.65, 1)):
        assert values.min() >= low - 1e-4
        assert values.max() <= high + 1e-4
        assert stats.kstest(values, "uniform", args=(low, high - low)).pvalue > 1e-3
    np.testing.assert_allclose(in_plane, 0, atol=1e-3)
    assert (fov == 25).all()


def test_r2n2_images_are_137_pixels_and_24_a_model() -> None:
    cameras = R2N2Cameras()(generator())
    assert (cameras.image_size, cameras.views) == ((137, 137), 24)
    assert float(cameras.position.norm(dim=-1).max()) <= 1.75 + 1e-6


@pytest.mark.parametrize("kind", [Random, R2N2Cameras])
def test_random_cameras_are_a_function_of_the_generator(kind: type[Random] | type[R2N2Cameras]) -> None:
    protocol = kind(views=3)
    same(protocol(generator()), protocol(generator()))
    assert not torch.equal(protocol(generator()).position, protocol(np.random.default_rng(6)).position)


def test_random_cameras_keep_to_their_zone() -> None:
    cameras = Random(views=500, distance=2.0, elevation_degrees=(10.0, 20.0), far=7.0)(generator())
    height = torch.rad2deg(torch.asin(cameras.position[:, 1] / 2))
    assert 10 - 1e-3 <= float(height.min()) <= float(height.max()) <= 20 + 1e-3
    assert cameras.far == 7.0


@pytest.mark.parametrize("orthographic", [False, True])
def test_given_cameras_come_back_from_file_and_settings(tmp_path: Path, orthographic: bool) -> None:
    cameras = Cameras.sphere(3, 2.0, image_size=(8, 12), near=0.25, far=6.0).crop(1, 2, 6, 9)
    cameras = cameras.to_orthographic(2.0) if orthographic else cameras
    (tmp_path / "transforms.json").write_text(json.dumps(camera_transforms(cameras)))
    for path in (tmp_path, tmp_path / "transforms.json"):
        same(Given.read(path)(generator()), cameras)
    same(Given(**json.loads(json.dumps(dataclasses.asdict(Given.of(cameras)))))(generator()), cameras)


def test_a_camera_file_must_tell_the_size_of_images(tmp_path: Path) -> None:
    (tmp_path / "transforms.json").write_text(json.dumps(to_nerf(Cameras.sphere(2, 2.0))))
    with pytest.raises(ViewSetError, match="'h' and 'w', the size of its images"):
        Given.read(tmp_path)
    with pytest.raises(ViewSetError, match="no such file"):
        Given.read(tmp_path / "none.json")


@pytest.mark.parametrize(
    ("kind", "values", "error", "message"),
    [
        (Orbit, {"views": 0}, DatasetError, "views must be at least 1"),
        (Sphere, {"distance": -1.0}, DatasetError, "distance must be"),
        (Sphere, {"distance": math.nan}, DatasetError, "distance must be"),
        (Sphere, {"near": 5.0, "far": 2.0}, CameraError, "near must be less than far"),
        (Random, {"elevation_degrees": (20.0, 10.0)}, DatasetError, "elevation_degrees must be"),
        (Orbit, {"image_size": (0, 5)}, CameraError, "image_size"),
        (R2N2Cameras, {"views": 0}, DatasetError, "views must be at least 1"),
        (R2N2Cameras, {"near": 0.0}, CameraError, "near must be positive"),
    ],
)
def test_what_no_camera_can_be_is_refused_at_once(kind, values, error, message) -> None:
    with pytest.raises(error, match=message):
        kind(**values)


def test_each_protocol_has_its_name() -> None:
    assert set(PROTOCOLS) == {"orbit", "sphere", "random", "r2n2", "given"}
    assert all(kind.name == name for name, kind in PROTOCOLS.items())
