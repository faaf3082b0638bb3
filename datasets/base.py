"""What datasets have in common: splits, epochs, and randomness that ignores workers and order."""

import abc
import dataclasses
import hashlib
import json
import math
import operator
from collections.abc import Mapping
from typing import Any, ClassVar, Literal, NamedTuple, TypeVar, final, get_args

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.utils.data import Dataset

from render3d.errors import DatasetError
from render3d.randomness import Key

Split = Literal["train", "validation", "test"]
SPLITS: tuple[Split, ...] = get_args(Split)

# What randomness is for. Kinds of one seed are independent of each other.
_OF_VOLUMES = 0
OF_CAMERAS = 1
OF_RENDERING = 2
OF_ORDER = 3
OF_VIEWS = 4
OF_SOLIDS = 5

_Example = TypeVar("_Example")


class VolumeExample(NamedTuple):
    """One volume and its class."""

    volume: Tensor  # [1, D, H, W] float32, 0 or 1, axes (z, y, x)
    label: int


class SeededDataset(Dataset[_Example], abc.ABC):
    """Examples that are made when they are asked for, with labels.

    Example ``index`` is a function of (settings, seed, split, epoch, index): the same whatever the number of workers
    and the order. The epoch counts for ``train`` only, whose objects are turned and moved anew in each; the other
    splits are fixed. Splits never share a random number.

    Attributes:
        split: ``"train"``, ``"validation"`` or ``"test"``.
        settings: How the examples are made.
        seed: Of all randomness, from 0 to 2**63 - 1.
        classes: The name of each label.

    Raises:
        DatasetError: Another split, a seed out of range, or settings that cannot be.
    """

    classes: tuple[str, ...]
    # To be raised whenever the same settings give other examples than before.
    _revision: ClassVar[int]

    def __init__(self, split: Split, settings: Any, seed: int) -> None:
        check_choice("split", split, SPLITS)
        if not 0 <= seed < 2**63:
            raise DatasetError(f"seed must be from 0 to 2**63 - 1; got {seed}.")
        self.split = split
        self.settings = settings
        self.seed = seed
        self._checksums: dict[str, str] = {}  # of each file that examples are read from, by name
        # In shared memory: workers that a DataLoader keeps from epoch to epoch see it change.
        self._epoch = torch.zeros((), dtype=torch.int64).share_memory_()  # type: ignore[no-untyped-call]

    @abc.abstractmethod
    def __len__(self) -> int: ...

    def _file_checksums(self) -> Mapping[str, str]:
        """Of what examples are read from, by name."""
        return self._checksums

    @property
    def epoch(self) -> int:
        """The epoch that examples are drawn for; always 0 in splits that are fixed."""
        return int(self._epoch) if self.split == "train" else 0

    @final
    def set_epoch(self, epoch: int) -> None:
        """Draw new transforms from now on, as ``DistributedSampler.set_epoch`` does a new order.

        Call it before each epoch, with its number; workers that are running follow. Fixed splits ignore it.
        """
        check_at_least(0, epoch=epoch)
        self._epoch.fill_(epoch)

    @final
    def stream(self, seed: int, purpose: int) -> Key:
        """The randomness of all examples of this split and epoch, for one purpose."""
        return Key(seed).fold_in(purpose).fold_in(SPLITS.index(self.split)).fold_in(self.epoch)

    @final
    def fingerprint(self) -> dict[str, str]:
        """Facts by name which tell whether two runs saw the same data: all settings, and checksums of all files."""
        facts = {"dataset": type(self).__name__, "revision": self._revision, "split": self.split, "seed": self.seed}
        facts["classes"] = json.dumps(self.classes)
        chosen = {f"settings.{name}": value for name, value in dataclasses.asdict(self.settings).items()}
        files = {f"file.{name}": checksum for name, checksum in self._file_checksums().items()}
        return {name: str(value) for name, value in (facts | chosen | files).items()}


class VolumeDataset(SeededDataset[VolumeExample]):
    """Binary volumes with labels; see `SeededDataset`.

    Attributes:
        size: Voxels along each side.
    """

    def __init__(self, split: Split, settings: Any, seed: int) -> None:
        super().__init__(split, settings, seed)
        self.size: int = settings.size

    @abc.abstractmethod
    def _make(self, index: int, generator: np.random.Generator) -> tuple[npt.NDArray[np.bool_], int]:
        """The voxels ``[size, size, size]`` and the label of an example."""

    @final
    def __getitem__(self, index: int) -> VolumeExample:
        """Example ``index``; negative ones count from the end. An IndexError beyond, as of a list."""
        number = resolve_index(index, len(self))
        voxels, label = self._make(number, example_generator(self.stream(self.seed, _OF_VOLUMES), number))
        return VolumeExample(torch.from_numpy(voxels.astype(np.float32))[None], label)


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


def check_at_least(least: float, **values: float) -> None:
    """Raise `DatasetError` for values, given by name, below ``least`` or not finite."""
    for name, value in values.items():
        if not (math.isfinite(value) and value >= least):
            raise DatasetError(f"{name} must be at least {least}, and finite; got {value}.")


def check_choice(name: str, value: str, choices: tuple[str, ...]) -> None:
    """Raise `DatasetError` for a value that is not one of the choices."""
    if value not in choices:
        raise DatasetError(f"{name} must be one of {', '.join(map(repr, choices))}; got {value!r}.")


def check_range(low: float, high: float, **ranges: tuple[float, float]) -> None:
    """Raise `DatasetError` for ranges, given by name, that do not ascend from above ``low`` to at most ``high``."""
    for name, (first, last) in ranges.items():
        if not low < first <= last <= high:
            raise DatasetError(
                f"{name} must be (least, most), above {low} and up to {high}; got {(first, last)}. Swap or narrow them."
            )
