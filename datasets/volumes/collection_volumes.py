"""Collections of meshes as volumes to learn from: which classes, which splits, and how they are turned in training."""

import dataclasses
import functools
import os
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal, final, get_args

import numpy as np
import numpy.typing as npt
import tyro
from rich.console import Console

from render3d.datasets.base import VolumeDataset, VolumeSettings
from render3d.datasets.checks import SPLITS, Split, check_at_least, check_choice
from render3d.datasets.collections import MeshCollection, open_collection, with_splits
from render3d.datasets.volumes.voxelized import VoxelizedCollection
from render3d.datasets.volumes.voxelizing import VoxelizedSettings, Voxels
from render3d.errors import DatasetError

CACHE_VARIABLE = "RENDER3D_CACHE"
"""The environment variable that names another folder for what can be made again."""

Turns = Literal["none", "quarter", "any"]

_REASONS_SHOWN = 3


@final
@dataclasses.dataclass(frozen=True, kw_only=True)
class CollectionVolumesSettings(VoxelizedSettings, VolumeSettings):
    """Which objects of a collection are learnt from, and how.

    How they become voxels is said by the fields of `VoxelizedSettings`.

    Attributes:
        layout: How the collection is laid out: a name that `open_collection` takes.
        class_names: Those to keep, in this order; none: all that have ``least_models``.
        least_models: How many models a class must have, over all splits, where no ``class_names`` are given. A class
            of two can be neither learnt nor judged.
        fractions: Of train, validation and test, where the collection brings no splits; where it brings no validation,
            as ModelNet does, the first two share out what is to train.
        turns: How an object is turned about the upright axis each time it is learnt from, and never in validation and
            test: the paper has "random rotations only", of no stated axis. ``"quarter"`` turns are exact on a grid.
            ``"any"`` angle takes, for each voxel, the nearest of the object as it was: boards stay without holes, edges
            become ragged, and what sticks out of the grid is cut off, which a margin of a fifth of the size prevents.
        mirrored: Whether half of them are mirrored, left to right. The paper does not.

    Raises:
        DatasetError: A value that cannot be.
    """

    layout: str = "sweethome3d"
    class_names: Annotated[tuple[str, ...], tyro.conf.arg(name="classes")] = ()
    least_models: int = 20
    fractions: tuple[float, float, float] = (0.7, 0.1, 0.2)
    turns: Turns = "quarter"
    mirrored: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        check_at_least(1, least_models=self.least_models)
        check_choice("turns", self.turns, get_args(Turns))
        if len(set(self.class_names)) < len(self.class_names):
            raise DatasetError(f"class_names must name each class once; got {', '.join(self.class_names)}.")

    @property
    def voxels(self) -> VoxelizedSettings:
        """How they become voxels, and nothing else."""
        return VoxelizedSettings(size=self.size, margin=self.margin, kind=self.kind, up=self.up)

    def dataset(self, split: Split, path: Path | None = None, *, seed: int = 0) -> "CollectionVolumes":
        """As `DatasetSettings.dataset`, of the collection in ``path``."""
        if path is None:
            raise DatasetError("A collection of meshes needs the folder that it lies in: --path FOLDER.")
        return volumes_of_collection(self, path, split, seed=seed)


@final
class CollectionVolumes(VolumeDataset[CollectionVolumesSettings]):
    """The voxels of the objects of a split; those of ``train`` turned anew in each epoch.

    Args:
        split: ``"train"``, ``"validation"`` or ``"test"``.
        voxelized: The same split, as it is.
        settings: How objects are turned; the rest has been decided.
        seed: As in `VolumeDataset`.
    """

    def __init__(
        self, split: Split, voxelized: VoxelizedCollection, settings: CollectionVolumesSettings, *, seed: int = 0
    ) -> None:
        super().__init__(split, settings, seed=seed)
        self.voxelized = voxelized
        self.classes = voxelized.classes

    def __len__(self) -> int:
        return len(self.voxelized)

    def make(self, index: int, generator: np.random.Generator) -> tuple[npt.NDArray[np.bool_], int]:
        """As `VolumeDataset.make`, of a mesh as it is turned this time."""
        volume, label = self.voxelized[index]
        voxels: Voxels = volume[0].numpy() > 0
        return (turned(voxels, self.settings, generator) if self.split == "train" else voxels), label

    def file_checksums(self) -> Mapping[str, str]:
        """As `SeededDataset.file_checksums`: one of all meshes."""
        return {"shapes": self.voxelized.fingerprint()["file.shapes"]}


def volumes_of_collection(
    settings: CollectionVolumesSettings, path: Path, split: Split, *, seed: int = 0
) -> CollectionVolumes:
    """The objects of a collection on disk as volumes, without those that cannot be used.

    Voxels are made at the first use, by one process for each core, and kept in `cache_folder`. What is left out is told
    on standard error, once a process.

    Args:
        settings: Which objects, and how.
        path: The folder of the collection, as in `open_collection`.
        split: ``"train"``, ``"validation"`` or ``"test"``.
        seed: Of the turns. Which object is in which split does not depend on it.

    Raises:
        DatasetError: No such collection or class; a class without an object to train on; a split without objects.
    """
    chosen = _of_classes(_divided(open_collection(path, settings.layout), settings.fractions), settings)
    cache = cache_folder() / "voxels"
    usable = _usable(chosen, cache, settings.voxels)
    _check_each_can_be_learnt(usable)
    return CollectionVolumes(split, VoxelizedCollection(split, usable, cache, settings.voxels), settings, seed=seed)


def cache_folder() -> Path:
    """Where things are kept that can be made again: ``$RENDER3D_CACHE``, else ``render3d`` in the user's cache."""
    chosen = os.environ.get(CACHE_VARIABLE)
    if chosen:
        return Path(chosen).absolute()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache").absolute() / "render3d"


def turned(voxels: Voxels, settings: CollectionVolumesSettings, generator: np.random.Generator) -> Voxels:
    """Voxels, axes (z, y, x), turned about y and mirrored at random as the settings say."""
    # As many numbers are drawn in each case, so that one choice changes nothing about another.
    angle, side = generator.uniform(0, 4), generator.uniform()
    if settings.mirrored and side < 0.5:
        voxels = voxels[:, :, ::-1]
    match settings.turns:
        case "none":
            return voxels.copy()
        case "quarter":
            return np.rot90(voxels, int(angle), axes=(2, 0)).copy()
        case "any":
            return _turned_by(voxels, angle * np.pi / 2)


def _turned_by(voxels: Voxels, angle: float) -> Voxels:
    """By any angle about y, radians, from +x towards +z; each voxel is the nearest of what it was."""
    size = len(voxels)
    z, x = np.mgrid[:size, :size] - (size - 1) / 2
    back = np.array([np.cos(angle) * z - np.sin(angle) * x, np.cos(angle) * x + np.sin(angle) * z])
    source_z, source_x = np.rint(back + (size - 1) / 2).astype(int)
    inside = (np.minimum(source_z, source_x) >= 0) & (np.maximum(source_z, source_x) < size)
    found = voxels[source_z.clip(0, size - 1), :, source_x.clip(0, size - 1)] & inside[..., None]
    result: Voxels = found.transpose(0, 2, 1).copy()
    return result


def _divided(objects: MeshCollection, fractions: tuple[float, float, float]) -> MeshCollection:
    """With all three splits, those that the collection brings as they are."""
    splits = {item.split for item in objects}
    if not splits & set(SPLITS):
        return with_splits(objects, fractions=fractions)
    if "validation" in splits:
        return objects
    train, validation, _ = fractions
    learnt = with_splits(objects, fractions=(train / (train + validation), validation / (train + validation), 0.0))
    kept = (new if old.split == "train" else old for old, new in zip(objects, learnt, strict=True))
    return dataclasses.replace(objects, objects=tuple(kept))


def _of_classes(objects: MeshCollection, settings: CollectionVolumesSettings) -> MeshCollection:
    if settings.class_names:
        return objects.select(classes=settings.class_names)
    if not objects.classes:
        return objects
    count = Counter(item.label for item in objects if item.label)
    kept = [name for name in objects.classes if count[name] >= settings.least_models]
    if not kept:
        name, most = count.most_common(1)[0]
        raise DatasetError(
            f"No class has {settings.least_models} models; the largest, {name!r}, has {most}. Lower least_models, or "
            "give class_names."
        )
    return objects.select(classes=kept)


@functools.cache
def _usable(objects: MeshCollection, cache: Path, settings: VoxelizedSettings) -> MeshCollection:
    """Those that can be voxelised, of all splits; the others are told."""
    divided = [item for item in objects if item.split in SPLITS]
    # As one split, for the workers of each would have to start.
    whole = dataclasses.replace(objects, objects=tuple(dataclasses.replace(item, split="train") for item in divided))
    voxelized = VoxelizedCollection("train", whole, cache, settings)
    left_out = voxelized.prepare()
    usable = {item.id for item in voxelized.objects}
    if left_out:
        reasons = "; ".join(f"{skip.path}: {skip.reason}" for skip in left_out[:_REASONS_SHOWN])
        more = f"; and {len(left_out) - _REASONS_SHOWN} more" if len(left_out) > _REASONS_SHOWN else ""
        Console(stderr=True).print(
            f"{len(left_out)} of {len(objects)} objects cannot be used, and are left out: {reasons}{more}",
            soft_wrap=True,
            highlight=False,
            markup=False,
        )
    return dataclasses.replace(objects, objects=tuple(item for item in divided if item.id in usable))


def _check_each_can_be_learnt(objects: MeshCollection) -> None:
    count = Counter(item.label for item in objects if item.split == "train")
    empty = [name for name in objects.classes if not count[name]]
    if empty or not count:
        raise DatasetError(
            f"No object to train on is of {', '.join(map(repr, empty)) or 'this collection'}. Give class_names without "
            "it, or give more to the first of the fractions."
        )
