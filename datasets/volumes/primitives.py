"""Primitives: one solid of six kinds, anywhere in the grid."""

import dataclasses
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar, final

import numpy as np
import numpy.typing as npt

from render3d.datasets.base import VolumeDataset, VolumeSettings
from render3d.datasets.checks import Split, check_at_least
from render3d.datasets.volumes import solids
from render3d.datasets.volumes.drawn import SolidSettings
from render3d.datasets.volumes.poses import random_pose
from render3d.datasets.volumes.solids import Inside, Points, fill

_INSIDE: dict[str, Callable[[Points, float, float, float], Inside]] = {
    "cube": lambda points, width, height, depth: solids.in_cube(points, width),
    "sphere": lambda points, width, height, depth: solids.in_ellipsoid(points, (width, height, depth)),
    "pyramid": lambda points, width, height, depth: solids.in_pyramid(points, width, height),
    "cylinder": lambda points, width, height, depth: solids.in_cylinder(points, width, height),
    "capsule": lambda points, width, height, depth: solids.in_capsule(points, width, height),
    "ellipsoid": lambda points, width, height, depth: solids.in_ellipsoid(points, (width, height, depth)),
}
"""Which points lie in a solid of each kind that reaches so far along x, y and z."""


@final
@dataclasses.dataclass(frozen=True, kw_only=True)
class PrimitivesSettings(SolidSettings, VolumeSettings):
    """What the paper says of Primitives, and what it leaves open with the reason for each choice.

    Those that it shares with other datasets are fields of `SolidSettings`.

    Attributes:
        size: Voxels along each side of the grid: the paper's 30.
        solid_size: Side of the cube that a solid fits in before it is turned, voxels. The paper does not say; 10 is
            that of its Necker cubes, and with a translation of 20 just fills the grid.
        translation: How far that cube is moved, 0 to this many voxels along each axis: the paper's 20. With the default
            sizes 0 puts it into the lowest corner of the grid, 20 into the highest. In general the range lies round the
            middle of the grid. What sticks out after the turn is cut off.
        whole_voxels: Whether translations are whole numbers: the paper counts them in pixels.
    """

    size: int = 30
    solid_size: float = 10
    translation: int = 20
    whole_voxels: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        check_at_least(1, size=self.size, solid_size=self.solid_size)
        check_at_least(0, translation=self.translation)

    def dataset(self, split: Split, path: Path | None = None, *, seed: int = 0) -> "Primitives":
        """As `DatasetSettings.dataset`; there are no files."""
        return Primitives(split, self, seed=seed)


@final
class Primitives(VolumeDataset[PrimitivesSettings]):
    """Cubes, spheres, pyramids, cylinders, capsules and ellipsoids in 30^3 voxels (Rezende et al., 2016).

    The label of example ``index`` is ``index % 6``: classes are balanced exactly, and a sampler knows them without
    making a volume.

    Args:
        split: ``"train"``, ``"validation"`` or ``"test"``.
        settings: See `PrimitivesSettings`.
        seed: As in `VolumeDataset`.

    Raises:
        DatasetError: As in `VolumeDataset`.
    """

    classes: tuple[str, ...] = tuple(_INSIDE)
    defaults: ClassVar[type[Any]] = PrimitivesSettings

    def make(self, index: int, generator: np.random.Generator) -> tuple[npt.NDArray[np.bool_], int]:
        """As `VolumeDataset.make`, of a solid."""
        chosen = self.settings
        label = index % len(self.classes)
        where = chosen.rotations, chosen.size, chosen.translation
        pose = random_pose(generator, *where, whole_voxels=chosen.whole_voxels)
        kind = self.classes[label]
        sizes = [float(side) for side in chosen.solid_size * chosen.diameters(kind, generator)]
        reach = math.sqrt(3) / 2 * chosen.solid_size
        return fill(lambda points: _INSIDE[kind](points, *sizes), pose, chosen.size, reach), label
