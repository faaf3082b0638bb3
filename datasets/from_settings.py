"""Datasets by their settings, for configurations that are kept as text."""

from pathlib import Path
from typing import Any, Protocol

from render3d.datasets.base import Split
from render3d.datasets.pictures.colored import ColoredSolids, ColoredSolidsSettings
from render3d.datasets.volumes.collection_volumes import CollectionVolumesSettings, volumes_of_collection
from render3d.datasets.volumes.mnist import MNIST3D, MNIST3DSettings
from render3d.datasets.volumes.necker import NeckerCubes, NeckerSettings
from render3d.datasets.volumes.primitives import Primitives, PrimitivesSettings
from render3d.errors import DatasetError

DataSettings = PrimitivesSettings | MNIST3DSettings | NeckerSettings | CollectionVolumesSettings | ColoredSolidsSettings

DATA_SETTINGS: dict[str, type[DataSettings]] = {
    "primitives": PrimitivesSettings,
    "mnist3d": MNIST3DSettings,
    "necker": NeckerSettings,
    "colored_solids": ColoredSolidsSettings,
    "shapes": CollectionVolumesSettings,
}
"""The kinds of settings, by the name of the dataset."""


class Examples(Protocol):
    """What a model can learn from: a `SeededDataset`, or `WithViews` of one."""

    @property
    def classes(self) -> tuple[str, ...]:
        """The name of each label."""
        ...

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> Any: ...

    def set_epoch(self, epoch: int) -> None:
        """Draw what is random of the examples anew."""
        ...

    def fingerprint(self) -> dict[str, str]:
        """Facts by name which tell whether two runs saw the same data."""
        ...


def dataset_from(settings: DataSettings, split: Split, path: Path | None = None, *, seed: int = 0) -> Examples:
    """The dataset that these settings are of.

    Args:
        settings: How examples are made.
        split: ``"train"``, ``"validation"`` or ``"test"``.
        path: The folder of its files, where it has any.
        seed: Of all randomness.

    Raises:
        DatasetError: As the dataset does.
    """
    match settings:
        case PrimitivesSettings():
            return Primitives(split, settings, seed=seed)
        case MNIST3DSettings():
            return MNIST3D(split, path, settings=settings, seed=seed)
        case NeckerSettings():
            return NeckerCubes(split, settings, seed=seed)
        case ColoredSolidsSettings():
            return ColoredSolids(split, settings, seed=seed)
        case CollectionVolumesSettings():
            if path is None:
                raise DatasetError("A collection of shapes needs the folder that it lies in: --path FOLDER.")
            return volumes_of_collection(settings, path, split, seed=seed)
