"""Solids, their poses, and the voxels they fill."""

import math

import numpy as np
import numpy.typing as npt
import pytest
from scipy import stats
from scipy.spatial.transform import Rotation

from render3d.datasets.volumes.poses import ROTATIONS, Pose, random_centre, random_rotation
from render3d.datasets.volumes.solids import (
    Solid,
    fill,
    in_capsule,
    in_cube,
    in_cylinder,
    in_ellipsoid,
    in_pyramid,
    in_wire_cube,
)

SOLIDS: dict[str, tuple[Solid, float]] = {
    "cube": (lambda points: in_cube(points, 70), 70**3),
    "sphere": (lambda points: in_ellipsoid(points, (80, 80, 80)), math.pi / 6 * 80**3),
    "pyramid": (lambda points: in_pyramid(points, 80, 60), 80**2 * 60 / 3),
    "cylinder": (lambda points: in_cylinder(points, 50, 80), math.pi * 25**2 * 80),
    "capsule": (lambda points: in_capsule(points, 40, 90), math.pi * 20**2 * 50 + 4 / 3 * math.pi * 20**3),
    "ellipsoid": (lambda points: in_ellipsoid(points, (40, 90, 60)), math.pi / 6 * 40 * 90 * 60),
    "wire cube": (lambda points: in_wire_cube(points, 70, 15), 12 * 15**2 * (70 - 30) + 8 * 15**3),
}


def turned(seed: int, size: float) -> Pose:
    generator = np.random.default_rng(seed)
    return Pose(random_rotation(generator, "uniform"), size / 2 + generator.uniform(-0.5, 0.5, 3))


@pytest.mark.parametrize("name", SOLIDS)
def test_volumes_and_centres_are_those_of_closed_forms_at_any_orientation(name: str) -> None:
    solid, volume = SOLIDS[name]
    pose = turned(3, 130)
    voxels = fill(solid, pose, 130, reach=62)
    assert voxels.sum() == pytest.approx(volume, rel=5e-3)
    z, y, x = np.nonzero(voxels)
    # The centroid of a pyramid is a quarter of its height above its base.
    centroid = np.array([0, -15, 0]) if name == "pyramid" else np.zeros(3)
    measured = np.array([x.mean(), y.mean(), z.mean()]) + 0.5
    np.testing.assert_allclose(measured, pose.centre + pose.rotation @ centroid, atol=0.1)


@pytest.mark.parametrize("name", SOLIDS)
def test_filling_agrees_with_a_loop_over_voxels_and_cuts_off_what_sticks_out(name: str) -> None:
    solid = SOLIDS[name][0]
    pose = Pose(turned(5, 0).rotation, np.array([2.0, 9.3, 12.0]) * 10)
    shrunk: Solid = lambda points: solid(points * 10)  # noqa: E731
    pose = pose._replace(centre=pose.centre / 10)
    expected = np.zeros((13, 13, 13), dtype=bool)
    back = Rotation.from_matrix(pose.rotation).inv()
    for z, y, x in np.ndindex(13, 13, 13):
        point = back.apply(np.array([x, y, z]) + 0.5 - pose.centre)
        expected[z, y, x] = shrunk(point[None])[0]
    voxels = fill(shrunk, pose, 13, reach=6.2)
    assert expected.any()
    np.testing.assert_array_equal(voxels, expected)


@pytest.mark.parametrize("diameter", [9, 9.3, 10])
def test_no_voxel_within_reach_is_left_out(diameter: float) -> None:
    sphere = (diameter, diameter, diameter)
    for seed in range(20):
        pose = turned(seed, 20)
        near, far = (fill(lambda points: in_ellipsoid(points, sphere), pose, 20, reach) for reach in (diameter / 2, 99))
        np.testing.assert_array_equal(near, far)


def test_a_solid_outside_the_grid_fills_nothing() -> None:
    for place in (-20.0, 40.0):
        pose = Pose(np.eye(3), np.array([15.0, place, 15.0]))
        assert not fill(lambda points: in_cube(points, 10), pose, 30, reach=9).any()


@pytest.mark.parametrize("side", [7, 8])
@pytest.mark.parametrize("centre", [10.0, 10.5])
def test_whole_sides_hold_as_many_voxels_wherever_they_are(side: int, centre: float) -> None:
    pose = Pose(np.eye(3), np.full(3, centre))
    assert fill(lambda points: in_cube(points, side), pose, 20, reach=9).sum() == side**3
    bars = fill(lambda points: in_wire_cube(points, side, 2), pose, 20, reach=9)
    assert bars.sum() == 12 * 4 * (side - 4) + 8 * 8


def test_the_tip_of_an_upright_pyramid_is_at_high_y() -> None:
    voxels = fill(lambda points: in_pyramid(points, 10, 8), Pose(np.eye(3), np.full(3, 10.0)), 20, reach=9)
    widths = voxels.sum(axis=(0, 2))
    # Half the base less a share of the height is the half width of each layer; the last holds no centre of a voxel.
    half = [5 * (8 - (layer + 0.5)) / 8 for layer in range(8)]
    assert widths[6:14].tolist() == [(2 * math.floor(h + 0.5)) ** 2 for h in half]
    assert widths.sum() == widths[6:13].sum()


def cdf_of_angle(angles: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return np.asarray((angles - np.sin(angles)) / math.pi)


def test_rotations_are_uniform_over_all_orientations() -> None:
    # Each test rejects a right sampler with probability 1e-4; the seed is fixed.
    generator = np.random.default_rng(0)
    drawn = np.stack([random_rotation(generator, "uniform") for _ in range(3000)])
    np.testing.assert_allclose(drawn @ drawn.transpose(0, 2, 1), np.broadcast_to(np.eye(3), drawn.shape), atol=1e-12)
    np.testing.assert_allclose(np.linalg.det(drawn), 1)
    for entry in drawn.reshape(-1, 9).T:  # each entry of a uniform rotation is uniform
        assert stats.kstest(entry, stats.uniform(-1, 2).cdf).pvalue > 1e-4
    angles = Rotation.from_matrix(drawn).magnitude()
    assert stats.kstest(angles, cdf_of_angle).pvalue > 1e-4
    fixed = Rotation.from_euler("x", 90, degrees=True).as_matrix()
    shifted = Rotation.from_matrix(fixed @ drawn).magnitude()  # and a rotation more changes nothing
    assert stats.kstest(shifted, cdf_of_angle).pvalue > 1e-4


def test_vertical_rotations_are_uniform_about_y() -> None:
    generator = np.random.default_rng(1)
    drawn = np.stack([random_rotation(generator, "vertical") for _ in range(2000)])
    np.testing.assert_allclose(drawn[:, 1], np.broadcast_to([0.0, 1.0, 0.0], (2000, 3)), atol=1e-12)
    angles = np.arctan2(drawn[:, 0, 2], drawn[:, 0, 0])
    assert stats.kstest(angles, stats.uniform(-math.pi, 2 * math.pi).cdf).pvalue > 1e-4
    np.testing.assert_array_equal(random_rotation(generator, "none"), np.eye(3))


@pytest.mark.parametrize("size", [30, 31])
@pytest.mark.parametrize("translation", [20, 7])
def test_places_cover_their_range_evenly(size: int, translation: int) -> None:
    generator = np.random.default_rng(2)
    whole = np.stack([random_centre(generator, size, translation, whole_voxels=True) for _ in range(4000)])
    lowest = (size - translation) / 2
    values, counts = np.unique(whole[:, 0], return_counts=True)
    np.testing.assert_array_equal(values, lowest + np.arange(translation + 1))
    assert stats.chisquare(counts).pvalue > 1e-4
    free = np.stack([random_centre(generator, size, translation, whole_voxels=False) for _ in range(2000)])
    assert stats.kstest(free[:, 2], stats.uniform(lowest, translation).cdf).pvalue > 1e-4


def test_a_choice_of_rotations_leaves_later_numbers_alone() -> None:
    places = []
    for rotations in ROTATIONS:
        generator = np.random.default_rng(7)
        random_rotation(generator, rotations)
        places.append(str(random_centre(generator, 30, 20, whole_voxels=True)))
    assert len(set(places)) == 1
