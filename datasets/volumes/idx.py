"""IDX files, the format of MNIST: a magic number, the size of each dimension, and bytes."""

import gzip
import hashlib
import math
import struct
import zlib
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from render3d.errors import DatasetError

_GZIP = b"\x1f\x8b"
_UNSIGNED_BYTES = 8
# The largest file of MNIST has 47 MB. Sizes are claims of the file, believed up to here only.
_MOST_BYTES = 2**28


def read_idx(path: Path, *, dimensions: int, md5: str | None = None) -> tuple[npt.NDArray[np.uint8], str]:
    """Read an IDX file of unsigned bytes, gzipped or not.

    Args:
        path: The file. Whether it is gzipped is told from its content.
        dimensions: How many it must have.
        md5: What the checksum of the file must be, once unpacked; None for any.

    Returns:
        The array, read-only, and the MD5 checksum of the unpacked file.

    Raises:
        DatasetError: A file that is missing, of another format, number of dimensions or type, truncated, too long, or
            whose checksum is another.
    """
    try:
        with path.open("rb") as raw:
            packed = raw.read(2) == _GZIP
            raw.seek(0)
            header, content = _read(gzip.GzipFile(fileobj=raw) if packed else raw, path, dimensions)
    except FileNotFoundError:
        raise DatasetError(f"{path}: no such file (from {Path.cwd()}).") from None
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DatasetError(f"{path}: broken or truncated gzip file ({error}). Fetch it again.") from error
    except OSError as error:
        raise DatasetError(f"{path}: cannot be read: {error.strerror or error}.") from error
    checksum = hashlib.md5(header + content, usedforsecurity=False).hexdigest()
    if md5 is not None and checksum != md5:
        raise DatasetError(
            f"{path}: the MD5 checksum of its content is {checksum}; expected {md5}. The file is damaged, or holds "
            "other data under the same name. Fetch it again, or pass the checksums you expect, or checksums=None."
        )
    sizes = _sizes(header)
    return np.frombuffer(content, dtype=np.uint8).reshape(sizes), checksum


def _read(stream: BinaryIO | gzip.GzipFile, path: Path, dimensions: int) -> tuple[bytes, bytes]:
    """The header and the rest, of exactly the length that the header says."""
    header = stream.read(4 + 4 * dimensions)
    expected = struct.pack(">BBBB", 0, 0, _UNSIGNED_BYTES, dimensions)
    if header[:4] != expected:
        raise DatasetError(
            f"{path}: an IDX file of unsigned bytes with {dimensions} dimensions begins with {expected.hex(' ')}; got "
            f"{header[:4].hex(' ') or 'an empty file'}. Is it the right file?"
        )
    if len(header) < 4 + 4 * dimensions:
        raise DatasetError(f"{path}: truncated: it ends inside its header. Fetch it again.")
    sizes = _sizes(header)
    length = math.prod(sizes)
    if length > _MOST_BYTES:
        raise DatasetError(f"{path}: claims sizes {list(sizes)}, more than the {_MOST_BYTES} bytes that are read.")
    content = stream.read(length + 1)
    if len(content) != length:
        problem = "truncated" if len(content) < length else "too long"
        raise DatasetError(f"{path}: {problem}: {length} bytes must follow its sizes, {list(sizes)}. Fetch it again.")
    return header, content


def _sizes(header: bytes) -> tuple[int, ...]:
    return struct.unpack(f">{header[3]}I", header[4:])
