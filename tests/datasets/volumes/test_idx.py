"""IDX files, written here by hand."""

import gzip
import hashlib
import struct
from pathlib import Path

import numpy as np
import pytest

from render3d.datasets.volumes.idx import read_idx
from render3d.errors import DatasetError


def idx(values: np.ndarray, kind: int = 8) -> bytes:
    header = struct.pack(f">BBBB{values.ndim}I", 0, 0, kind, values.ndim, *values.shape)
    return header + values.astype(np.uint8).tobytes()


VALUES = np.arange(2 * 300 * 3).reshape(2, 300, 3) % 251  # 300 is two bytes: the order of bytes counts
PACKED = gzip.compress(idx(VALUES), mtime=0)  # names of tests hold its bytes, and must not depend on the time


@pytest.mark.parametrize("packed", [True, False])
def test_arrays_come_back_with_the_checksum_of_what_was_packed(tmp_path: Path, packed: bool) -> None:
    content = idx(VALUES)
    path = tmp_path / "file"  # whether it is packed is not told from the name
    path.write_bytes(gzip.compress(content) if packed else content)
    md5 = hashlib.md5(content, usedforsecurity=False).hexdigest()
    values, checksum = read_idx(path, dimensions=3, md5=md5)
    np.testing.assert_array_equal(values, VALUES)
    assert values.dtype == np.uint8
    assert checksum == md5
    assert not values.flags.writeable
    with pytest.raises(DatasetError, match=f"checksum of its content is {md5}; expected 00"):
        read_idx(path, dimensions=3, md5="00")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "begins with 00 00 08 03; got an empty file"),
        (b"\x00\x00", "got 00 00. Is it the right file"),
        (b"PK\x03\x04" + bytes(40), "got 50 4b 03 04"),
        (idx(VALUES, kind=13), "got 00 00 0d 03"),
        (idx(VALUES[0]), "got 00 00 08 02"),
        (idx(VALUES)[:10], "truncated: it ends inside its header"),
        (idx(VALUES)[:-1], r"truncated: 1800 bytes must follow its sizes, \[2, 300, 3\]"),
        (idx(VALUES) + b"\x00", "too long: 1800 bytes must follow"),
        (struct.pack(">BBBB3I", 0, 0, 8, 3, 2**32 - 1, 2**32 - 1, 2**32 - 1), "claims sizes .* more than the"),
        (PACKED[:-20], "broken or truncated gzip file"),
        (PACKED[:5], "broken or truncated gzip file"),
        (b"\x1f\x8b" + bytes(40), "broken or truncated gzip file"),
        (gzip.compress(idx(VALUES)[:-1], mtime=0), "truncated: 1800 bytes"),
    ],
)
def test_broken_files_are_told_by_name(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "images"
    path.write_bytes(content)
    with pytest.raises(DatasetError, match=rf"images: .*{message}"):
        read_idx(path, dimensions=3)


def test_a_damaged_gzip_file_is_never_read_as_other_data(tmp_path: Path) -> None:
    path = tmp_path / "images"
    whole = gzip.compress(idx(VALUES))
    for place in range(len(whole)):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0x10]) + whole[place + 1 :])
        try:
            values, _ = read_idx(path, dimensions=3)
        except DatasetError:
            continue
        np.testing.assert_array_equal(values, VALUES)  # a time or a flag that means nothing


def test_missing_files_and_folders_are_told(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="nowhere: no such file"):
        read_idx(tmp_path / "nowhere", dimensions=1)
    with pytest.raises(DatasetError, match="cannot be read: Is a directory"):
        read_idx(tmp_path, dimensions=1)
