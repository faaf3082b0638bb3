"""Primitives: one solid of six kinds, anywhere in the grid."""

import dataclasses
import math
from pathlib import Path
from typing import Any, ClassVar, final

import numpy as np
import numpy.typing as npt

from render3d.datasets.base import Split, VolumeDataset, VolumeSettings, check_at_least, check_choice, check_range
from render3d.datasets.volumes.poses import ROTATIONS, Pose, Rotations, random_centre, random_rotation
from render3d.datasets.volumes.solids import (
    Solid,
    fill,
    in_capsule,
    in_cube,
    in_cylinder,
    in_ellipsoid,
    in_pyramid,
    in_sphere,
)

Range = tuple[float, float]


@final
@dataclasses.dataclass(frozen=True, kw_only=True)
class PrimitivesSettings(VolumeSettings):
    """What the paper says of Primitives, and what it leaves open with the reason for each choice.

    Proportions are shares of ``solid_size``, drawn uniformly from (least, most).

    Attributes:
        size: Voxels along each side of the grid: the paper's 30.
        solid_size: Side of the cube that a solid fits in before it is turned, voxels. The paper does not say; 10 is
            that of its Necker cubes, and with a translation of 20 just fills the grid.
        translation: How far that cube is moved, 0 to this many voxels along each axis: the paper's 20. With the default
            sizes 0 puts it into the lowest corner of the grid, 20 into the highest. In general the range lies round the
            middle of the grid. What sticks out after the turn is cut off.
        whole_voxels: Whether translations are whole numbers: the paper counts them in pixels.
        rotations: Its "rotation in [-pi, pi]" names no axis: all orientations, which is the hardest reading.
        pyramid_height: Height; the base is as wide as the solid may be. From flat to steep, yet no plate.
        cylinder_diameter: Diameter; the height is 1. Narrower would be two voxels, wider would be hard to tell from a
            cube.
        capsule_diameter: Diameter; the length is 1. At 1 it would be a sphere.
        ellipsoid_diameter: The shorter two diameters, each drawn for itself; the longest is 1. At 1 it would be a
            sphere.
        train: Examples an epoch. Each epoch draws new ones, so this only sets how often it ends; 2,000 a class.
        validation: Examples, fixed: enough to tell a change of a few per cent, and cheap enough for each epoch.
        test: Examples, fixed: where bounds of examples spread by 100 nats, their mean is known to 2 nats, better than
            the paper's figures can be read.
    """

    size: int = 30
    solid_size: float = 10
    translation: int = 20
    whole_voxels: bool = True
    rotations: Rotations = "uniform"
    pyramid_height: Range = (0.7, 1.0)
    cylinder_diameter: Range = (0.4, 0.9)
    capsule_diameter: Range = (0.3, 0.6)
    ellipsoid_diameter: Range = (0.35, 0.75)
    train: int = 12_000
    validation: int = 1_200
    test: int = 3_000

    def __post_init__(self) -> None:
        check_at_least(1, size=self.size, solid_size=self.solid_size)
        check_at_least(0, translation=self.translation, train=self.train, validation=self.validation, test=self.test)
        check_choice("rotations", self.rotations, ROTATIONS)
        check_range(0, 1, pyramid_height=self.pyramid_height, cylinder_diameter=self.cylinder_diameter)
        check_range(0, 1, capsule_diameter=self.capsule_diameter, ellipsoid_diameter=self.ellipsoid_diameter)

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

    classes: tuple[str, ...] = ("cube", "sphere", "pyramid", "cylinder", "capsule", "ellipsoid")
    defaults: ClassVar[type[Any]] = PrimitivesSettings

    def make(self, index: int, generator: np.random.Generator) -> tuple[npt.NDArray[np.bool_], int]:
        """As `VolumeDataset.make`, of a solid."""
        chosen = self.settings
        label = index % len(self.classes)
        rotation = random_rotation(generator, chosen.rotations)
        centre = random_centre(generator, chosen.size, chosen.translation, whole_voxels=chosen.whole_voxels)
        solid = self._solid(self.classes[label], generator)
        reach = math.sqrt(3) / 2 * chosen.solid_size
        return fill(solid, Pose(rotation, centre), chosen.size, reach), label

    def _solid(self, name: str, generator: np.random.Generator) -> Solid:
        chosen = self.settings
        side = chosen.solid_size
        match name:
            case "cube":
                return lambda points: in_cube(points, side)
            case "sphere":
                return lambda points: in_sphere(points, side)
            case "pyramid":
                height = side * generator.uniform(*chosen.pyramid_height)
                return lambda points: in_pyramid(points, side, height)
            case "cylinder":
                diameter = side * generator.uniform(*chosen.cylinder_diameter)
                return lambda points: in_cylinder(points, diameter, side)
            case "capsule":
                diameter = side * generator.uniform(*chosen.capsule_diameter)
                return lambda points: in_capsule(points, diameter, side)
            case _:
                width, depth = side * generator.uniform(*chosen.ellipsoid_diameter, 2)
                return lambda points: in_ellipsoid(points, (width, side, depth))
