"""Settings of datasets whose examples are drawn anew in each epoch, and of the proportions of their solids."""

import dataclasses

import numpy as np
import numpy.typing as npt

from render3d.datasets.base import DatasetSettings
from render3d.datasets.checks import check_at_least, check_choice, check_range
from render3d.datasets.volumes.poses import ROTATIONS, Rotations

Range = tuple[float, float]


@dataclasses.dataclass(frozen=True, kw_only=True)
class DrawnSettings(DatasetSettings):
    """How many examples are drawn, and how they are turned.

    Attributes:
        rotations: The paper's "rotation in [-pi, pi]" names no axis: all orientations, which is the hardest reading.
        train: Examples an epoch. Each epoch draws new ones, so this only sets how often it ends; of the six kinds of
            Primitives, 2,000 a class.
        validation: Examples, fixed: enough to tell a change of a few per cent, and cheap enough for each epoch.
        test: Examples, fixed: where bounds of examples spread by 100 nats, their mean is known to 2 nats, better than
            the paper's figures can be read.
    """

    rotations: Rotations = "uniform"
    train: int = 12_000
    validation: int = 1_200
    test: int = 3_000

    def __post_init__(self) -> None:
        check_at_least(0, train=self.train, validation=self.validation, test=self.test)
        check_choice("rotations", self.rotations, ROTATIONS)


@dataclasses.dataclass(frozen=True, kw_only=True)
class SolidSettings(DrawnSettings):
    """The proportions of solids of six kinds: shares of the cube that they fit in, drawn uniformly from (least, most).

    Attributes:
        pyramid_height: Height; the base is as wide as the solid may be. From flat to steep, yet no plate.
        cylinder_diameter: Diameter; the height is 1. Narrower would be two voxels, wider would be hard to tell from a
            cube.
        capsule_diameter: Diameter; the length is 1. At 1 it would be a sphere.
        ellipsoid_diameter: The shorter two diameters, each drawn for itself; the longest is 1. At 1 it would be a
            sphere.
    """

    pyramid_height: Range = (0.7, 1.0)
    cylinder_diameter: Range = (0.4, 0.9)
    capsule_diameter: Range = (0.3, 0.6)
    ellipsoid_diameter: Range = (0.35, 0.75)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range(0, 1, pyramid_height=self.pyramid_height, cylinder_diameter=self.cylinder_diameter)
        check_range(0, 1, capsule_diameter=self.capsule_diameter, ellipsoid_diameter=self.ellipsoid_diameter)

    def diameters(self, kind: str, generator: np.random.Generator) -> npt.NDArray[np.float64]:
        """Draw those of a solid along x, y and z, ``[3]``, in shares of its cube."""
        sizes = np.ones(3)
        match kind:
            case "pyramid":
                sizes[1] = generator.uniform(*self.pyramid_height)
            case "cylinder":
                sizes[[0, 2]] = generator.uniform(*self.cylinder_diameter)
            case "capsule":
                sizes[[0, 2]] = generator.uniform(*self.capsule_diameter)
            case "ellipsoid":
                sizes[[0, 2]] = generator.uniform(*self.ellipsoid_diameter, 2)
        return sizes
