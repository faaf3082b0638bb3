"""What datasets have in common: splits, epochs, and randomness that ignores workers and order."""

import abc
import hashlib
import json
import operator
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Generic, NamedTuple, Protocol, TypeVar, final

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.utils.data import Dataset

from render3d.cameras import Cameras
from render3d.datasets.checks import SPLITS, Split, check_at_least, check_choice, check_seed
from render3d.errors import DatasetError
from render3d.randomness import Key
from render3d.scenes import Mesh
from render3d.settings import facts_of, settings_to_json

# What randomness is for. Kinds of one seed are independent of each other.
_OF_VOLUMES = 0
OF_CAMERAS = 1
OF_RENDERING = 2
OF_ORDER = 3
OF_VIEWS = 4
OF_SOLIDS = 5


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


class DatasetSettings(abc.ABC):
    """How a dataset is made: a frozen dataclass whose fields `render3d.settings` can write to a file."""

    @abc.abstractmethod
    def dataset(self, split: Split, path: Path | None = None, *, seed: int = 0) -> Examples:
        """Make the dataset.

        Args:
            split: ``"train"``, ``"validation"`` or ``"test"``.
            path: The folder of its files, where it has any.
            seed: Of all randomness.

        Raises:
            DatasetError: As the dataset does.
        """


class VolumeSettings(DatasetSettings):
    """How a dataset of volumes is made.

    Attributes:
        size: Voxels along each side.
    """

    size: int

    @abc.abstractmethod
    def dataset(self, split: Split, path: Path | None = None, *, seed: int = 0) -> "VolumeDataset[Any]":
        """As `DatasetSettings.dataset`."""


class ImageSettings(DatasetSettings):
    """How a dataset of single images of meshes is made; see `ColoredSolids` for what its examples are.

    Attributes:
        image_size: Pixels along each side.
        distance: Of the camera from the origin, scene units; it looks along the negative z axis.
        vertical_fov_degrees: Of the camera.
    """

    image_size: int
    distance: float
    vertical_fov_degrees: float

    @property
    def camera(self) -> Cameras:
        """``[1]``: that of all images."""
        return self.cameras_at(torch.tensor([[0.0, 0.0, 1.0]]), self.image_size)

    def cameras_at(self, directions: Tensor, image_size: int) -> Cameras:
        """The same camera moved into directions ``[views, 3]`` of unit length from the origin, ``[views]``."""
        return Cameras.look_at(
            directions * self.distance,
            vertical_fov_degrees=self.vertical_fov_degrees,
            image_size=(image_size, image_size),
        )

    @abc.abstractmethod
    def dataset(self, split: Split, path: Path | None = None, *, seed: int = 0) -> "ImagesOfMeshes":
        """As `DatasetSettings.dataset`."""


class ImagesOfMeshes(Examples, Protocol):
    """Examples with ``image``, ``alpha``, ``rotation`` and ``label``, each of a mesh that is known."""

    def solid(self, index: int) -> Mesh:
        """What example ``index`` is an image of, turned as it is there."""
        ...


class VolumeExample(NamedTuple):
    """One volume and its class."""

    volume: Tensor  # [1, D, H, W] float32, 0 or 1, axes (z, y, x)
    label: int


_Example = TypeVar("_Example")


class _WithSize(Protocol):
    @property
    def size(self) -> int: ...


_Settings = TypeVar("_Settings")
_OfVolumes = TypeVar("_OfVolumes", bound=_WithSize)


class Epochs:
    """The epoch of a dataset.

    Attributes:
        epoch: From 0. In shared memory: workers that a DataLoader keeps from epoch to epoch see it change.
    """

    def __init__(self) -> None:
        self._epoch = torch.zeros((), dtype=torch.int64).share_memory_()  # type: ignore[no-untyped-call]

    @property
    def epoch(self) -> int:
        """The epoch that examples are drawn for."""
        return int(self._epoch)

    def set_epoch(self, epoch: int) -> None:
        """Draw anew from now on, as ``DistributedSampler.set_epoch`` does a new order.

        Call it before each epoch, with its number; workers that are running follow.
        """
        check_at_least(0, epoch=epoch)
        self._epoch.fill_(epoch)


class SeededDataset(Epochs, Dataset[_Example], abc.ABC, Generic[_Example, _Settings]):
    """Examples that are made when they are asked for, with labels.

    Example ``index`` is a function of (settings, seed, split, epoch, index): the same whatever the number of workers
    and the order. The epoch counts for ``train`` only, whose objects are turned and moved anew in each; the other
    splits are fixed. Splits never share a random number.

    Args:
        split: ``"train"``, ``"validation"`` or ``"test"``.
        settings: How the examples are made; by default those of `defaults`.
        seed: Of all randomness, from 0 to 2**63 - 1.

    Attributes:
        split: As given, like `settings` and `seed`.
        classes: The name of each label.
        defaults: The class of the settings, where it can be called without arguments.
        revision: To be raised whenever the same settings give other examples than before.

    Raises:
        DatasetError: Another split, a seed out of range, or settings that cannot be.
    """

    classes: tuple[str, ...]
    defaults: ClassVar[type[Any]]
    revision: ClassVar[int] = 1

    def __init__(self, split: Split, settings: _Settings | None = None, *, seed: int = 0) -> None:
        super().__init__()
        check_choice("split", split, SPLITS)
        check_seed(seed)
        self.split = split
        self.settings: _Settings = self.defaults() if settings is None else settings
        self.seed = seed
        self._checksums: dict[str, str] = {}  # of each file that examples are read from, by name

    def __len__(self) -> int:
        """How many; the settings say it of each split, unless a dataset knows better."""
        count: int = getattr(self.settings, self.split)
        return count

    def file_checksums(self) -> Mapping[str, str]:
        """Of what examples are read from, by name."""
        return self._checksums

    @property
    def epoch(self) -> int:
        """The epoch that examples are drawn for; always 0 in splits that are fixed."""
        return super().epoch if self.split == "train" else 0

    @final
    def stream(self, seed: int, purpose: int) -> Key:
        """The randomness of all examples of this split and epoch, for one purpose."""
        return Key(seed).fold_in(purpose).fold_in(SPLITS.index(self.split)).fold_in(self.epoch)

    @final
    def fingerprint(self) -> dict[str, str]:
        """Facts by name which tell whether two runs saw the same data: all settings, and checksums of all files."""
        facts = {"dataset": type(self).__name__, "revision": self.revision, "split": self.split, "seed": self.seed}
        nested = {"classes": json.dumps(self.classes), "settings": settings_to_json(self.settings)}
        return facts_of(facts | nested | {"file": self.file_checksums()})


class VolumeDataset(SeededDataset[VolumeExample, _OfVolumes]):
    """Binary volumes with labels; see `SeededDataset`. The settings have a ``size``."""

    @property
    def size(self) -> int:
        """Voxels along each side."""
        return self.settings.size

    @abc.abstractmethod
    def make(self, index: int, generator: np.random.Generator) -> tuple[npt.NDArray[np.bool_], int]:
        """The voxels ``[size, size, size]`` and the label of an example."""

    @final
    def __getitem__(self, index: int) -> VolumeExample:
        """Example ``index``; negative ones count from the end. An IndexError beyond, as of a list."""
        number = resolve_index(index, len(self))
        voxels, label = self.make(number, example_generator(self.stream(self.seed, _OF_VOLUMES), number))
        return VolumeExample(torch.from_numpy(voxels.astype(np.float32))[None], label)


def size_of_volumes(settings: DatasetSettings) -> int:
    """Voxels along each side of the volumes of a dataset; a `DatasetError` for a dataset of anything else."""
    if not isinstance(settings, VolumeSettings):
        raise DatasetError(f"{type(settings).__name__} makes no volumes. Take a subclass of VolumeSettings.")
    return settings.size


def volumes_of(dataset: Examples) -> VolumeDataset[Any]:
    """The dataset itself, if it is of volumes; a `DatasetError` otherwise."""
    if not isinstance(dataset, VolumeDataset):
        raise DatasetError(f"{type(dataset).__name__} holds no volumes. Take a subclass of VolumeDataset.")
    return dataset


def example_generator(stream: Key, index: int) -> np.random.Generator:
    """The random numbers of one example in a stream of them."""
    return np.random.Generator(np.random.Philox(key=[stream.seed, index]))


def number_of(name: str) -> int:
    """A number of 63 bits that is this name's own, in whatever collection it stands."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big") >> 1


def resolve_index(index: int, length: int) -> int:
    """``index`` counted from the start, or an IndexError: what a list does."""
    number = operator.index(index)
    if not -length <= number < length:
        raise IndexError(f"index {number} is out of range: there are {length} examples.")
    return number % length
