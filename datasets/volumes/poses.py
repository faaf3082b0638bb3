"""Random poses: where an object is in its grid, and how it is turned."""

import math
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.spatial.transform import Rotation

Rotations = Literal["uniform", "vertical", "none"]
"""How objects are turned: uniformly over all orientations; about the upright axis, by any angle; or not at all."""

ROTATIONS: tuple[Rotations, ...] = ("uniform", "vertical", "none")


class Pose(NamedTuple):
    """Where an object is, and how it is turned."""

    rotation: npt.NDArray[np.float64]  # [3, 3], from object to world axes
    centre: npt.NDArray[np.float64]  # [3], its origin in the grid: (x, y, z) in voxels from the grid's lowest corner


def random_pose(
    generator: np.random.Generator, rotations: Rotations, size: int, translation: int = 0, *, whole_voxels: bool = True
) -> Pose:
    """Draw a pose, as `random_rotation` and then `random_centre`."""
    rotation = random_rotation(generator, rotations)
    return Pose(rotation, random_centre(generator, size, translation, whole_voxels=whole_voxels))


def random_rotation(generator: np.random.Generator, rotations: Rotations) -> npt.NDArray[np.float64]:
    """``[3, 3]``, from object to world axes."""
    # As many numbers are drawn in each case, so that this choice changes nothing else about an example.
    numbers = generator.standard_normal(4)
    match rotations:
        case "uniform":
            # A normal direction in four dimensions is uniform, and so is the rotation of that unit quaternion.
            turn = Rotation.from_quat(numbers)
        case "vertical":
            turn = Rotation.from_euler("y", math.atan2(numbers[0], numbers[1]))
        case "none":
            turn = Rotation.identity()
    return np.asarray(turn.as_matrix(), dtype=np.float64)


def random_centre(
    generator: np.random.Generator, size: int, translation: int, *, whole_voxels: bool
) -> npt.NDArray[np.float64]:
    """``[3]``: a place in a range of ``translation`` voxels along each axis, round the middle of ``size`` voxels."""
    if whole_voxels:
        return np.asarray(
            (size - translation) / 2 + generator.integers(0, translation, 3, endpoint=True), dtype=np.float64
        )
    return np.asarray(size / 2 + generator.uniform(-translation / 2, translation / 2, 3), dtype=np.float64)
