"""What is in a zip or a tar, one member after the other."""

import bz2
import functools
import gzip
import lzma
import stat
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any, NamedTuple, final

_OPENERS: dict[bytes, Callable[[Path], Any]] = {b"\x1f\x8b": gzip.open, b"BZh": bz2.open, b"\xfd7zXZ\0": lzma.open}
_LONGEST_READ = 1 << 24  # bytes: far more than names in headers take


class Member(NamedTuple):
    """A file or a folder."""

    name: str  # as the archive has it
    is_folder: bool
    open: Callable[[], IO[bytes]]
    problem: str = ""  # why it must not be unpacked


def members(archive: Path) -> Iterator[Member]:
    """The members in their order, each to be read before the next is asked for.

    Raises:
        OSError: The file cannot be read.
        RuntimeError: A member of a zip is encrypted or packed in an unknown way.
        EOFError: The file is truncated; broken files raise the errors of zipfile, tarfile, zlib and lzma as well.
    """
    return _of_zip(archive) if zipfile.is_zipfile(archive) else _of_tar(archive)


def _of_zip(archive: Path) -> Iterator[Member]:
    with zipfile.ZipFile(archive) as file:
        for info in file.infolist():
            kind = stat.S_IFMT(info.external_attr >> 16)  # 0 where the system that made it has no such kinds
            problem = "" if kind in (0, stat.S_IFREG, stat.S_IFDIR) else "is a link or a device"
            # Not info.is_dir, which fails for an empty name on Python 3.11.
            yield Member(info.filename, info.filename.endswith("/"), functools.partial(file.open, info), problem)


def _of_tar(archive: Path) -> Iterator[Member]:
    with _decompressed(archive) as stream:
        bounded: Any = _Bounded(stream)
        with tarfile.open(fileobj=bounded, mode="r:") as file:
            for info in file:
                problem = "" if (info.isreg() or info.isdir()) and not info.issparse() else "is a link or a device"
                yield Member(info.name, info.isdir(), functools.partial(_opened, file, info), problem)


def _opened(file: tarfile.TarFile, info: tarfile.TarInfo) -> IO[bytes]:
    stream = file.extractfile(info)
    assert stream is not None, "a regular file"
    return stream


def _decompressed(archive: Path) -> Any:
    with archive.open("rb") as file:
        start = file.read(8)
    for magic, opener in _OPENERS.items():
        if start.startswith(magic):
            return opener(archive)
    return archive.open("rb")


@final
class _Bounded:
    """A stream for tarfile, which reads a header whole, however long it says that it is."""

    def __init__(self, stream: Any) -> None:
        self.seek, self.tell, self._read = stream.seek, stream.tell, stream.read

    def read(self, size: int) -> bytes:
        if not 0 <= size <= _LONGEST_READ:
            raise tarfile.ReadError(f"a header of {size} bytes")
        content: bytes = self._read(size)
        return content
