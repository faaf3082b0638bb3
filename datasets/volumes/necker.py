"""Necker cubes: the edges of a cube, at the middle of the grid, turned at random."""

import dataclasses
import functools
import math
from pathlib import Path
from typing import Any, ClassVar, final

import numpy as np
import numpy.typing as npt

from render3d.datasets.base import VolumeDataset, VolumeSettings
from render3d.datasets.checks import Split, check_at_least
from render3d.datasets.volumes.drawn import DrawnSettings
from render3d.datasets.volumes.poses import random_pose
from render3d.datasets.volumes.solids import fill, in_wire_cube
from render3d.errors import DatasetError


@final
@dataclasses.dataclass(frozen=True, kw_only=True)
class NeckerSettings(DrawnSettings, VolumeSettings):
    """What the paper says of Necker cubes, and what it leaves open with the reason for each choice.

    "Random orientation" is all of them, uniformly, as in `DrawnSettings`, which has the other fields.

    Attributes:
        size: Voxels along each side of the grid: the paper's 40.
        cube_size: Outer side of the cube, voxels: the paper's 10.
        thickness: Of the edges, which are square bars inside the cube, voxels. From the square root of 3 (1.732) up,
            each voxel that the axis of an edge goes through has its centre in the bar, so that edges have no gaps at
            any orientation. As thin as that allows, so that the faces are open.
    """

    size: int = 40
    cube_size: float = 10
    thickness: float = 1.75

    def __post_init__(self) -> None:
        super().__post_init__()
        check_at_least(1, size=self.size, cube_size=self.cube_size)
        if not 0 < self.thickness <= self.cube_size / 2:
            raise DatasetError(f"thickness must be above 0 and up to half of cube_size; got {self.thickness}.")

    def dataset(self, split: Split, path: Path | None = None, *, seed: int = 0) -> "NeckerCubes":
        """As `DatasetSettings.dataset`; there are no files."""
        return NeckerCubes(split, self, seed=seed)


@final
class NeckerCubes(VolumeDataset[NeckerSettings]):
    """Wire-frame cubes of 10^3 voxels in the middle of 40^3 (Rezende et al., 2016). One class.

    Args:
        split: ``"train"``, ``"validation"`` or ``"test"``.
        settings: See `NeckerSettings`.
        seed: As in `VolumeDataset`.

    Raises:
        DatasetError: As in `VolumeDataset`.
    """

    classes: tuple[str, ...] = ("necker cube",)
    defaults: ClassVar[type[Any]] = NeckerSettings

    def make(self, index: int, generator: np.random.Generator) -> tuple[npt.NDArray[np.bool_], int]:
        """As `VolumeDataset.make`, of a cube."""
        chosen = self.settings
        pose = random_pose(generator, chosen.rotations, chosen.size)
        reach = math.sqrt(3) / 2 * chosen.cube_size
        solid = functools.partial(in_wire_cube, side=chosen.cube_size, thickness=chosen.thickness)
        return fill(solid, pose, chosen.size, reach), 0
