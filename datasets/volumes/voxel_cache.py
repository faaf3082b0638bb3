"""Voxels of objects on disk: made once, known to be whole, and shared by any number of processes."""

import dataclasses
import functools
import hashlib
import json
import stat
import time
from pathlib import Path
from typing import final
from urllib.parse import unquote

import numpy as np

from render3d.atomic import atomic_write
from render3d.datasets.collections import CollectionObject
from render3d.datasets.collections.checksums import sha256_of
from render3d.datasets.view_sets.write.engine import Failed, Finished, Outcome
from render3d.datasets.volumes.voxelizing import VoxelizedSettings, Voxels, voxels_of
from render3d.errors import DatasetError, MeshError, VolumeError

REVISION = 1
"""To be raised whenever the same file and settings give other voxels than before."""


@final
@dataclasses.dataclass(frozen=True)
class VoxelCache:
    """Voxels by what they are made from: the content of the file, the settings, and the revision of the code.

    An entry is a file: the SHA-256 of its name and of the voxels, then the voxels, eight a byte. One that does not fit
    its checksum is made anew. Entries appear whole, so processes may share a folder: those that make the same one at
    once write the same, and the last stays.

    Attributes:
        folder: Made if it is not there.
        settings: Of the voxels.
    """

    folder: Path
    settings: VoxelizedSettings

    def holds(self, item: CollectionObject) -> bool:
        """Whether the voxels of an object are there, and whole."""
        return self._read(self._key(item)) is not None

    def voxels(self, item: CollectionObject) -> Voxels:
        """``[size, size, size]``, axes (z, y, x); made and kept if they are not there.

        Raises:
            MeshError: The object cannot be read or used.
            VolumeError: No voxel is in it.
            DatasetError: The folder cannot be written to.
        """
        key = self._key(item)
        voxels = self._read(key)
        if voxels is None:
            voxels = voxels_of(item.load(), self.settings)
            self._write(key, voxels)
        return voxels

    def _key(self, item: CollectionObject) -> str:
        settings = dataclasses.asdict(self.settings)
        made_from = {"revision": REVISION, "settings": settings, "source": source_checksum(item)}
        return hashlib.sha256(json.dumps(made_from, sort_keys=True).encode()).hexdigest()

    def _path(self, key: str) -> Path:
        return self.folder / key[:2] / f"{key}.voxels"

    def _read(self, key: str) -> Voxels | None:
        try:
            content = self._path(key).read_bytes()
        except OSError:
            return None
        size = self.settings.size
        checksum = _checksum(key, b"")
        bits = content[len(checksum) :]
        if content != _checksum(key, bits) + bits or len(bits) != -(-(size**3) // 8):
            return None
        flat = np.unpackbits(np.frombuffer(bits, dtype=np.uint8), count=size**3)
        return flat.astype(np.bool_).reshape(size, size, size)

    def _write(self, key: str, voxels: Voxels) -> None:
        path = self._path(key)
        bits = np.packbits(voxels).tobytes()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with atomic_write(path) as stream:
                stream.write(_checksum(key, bits) + bits)
        except OSError as error:
            raise DatasetError(f"Voxels cannot be kept in {self.folder}: {error}. Choose another folder.") from error


@final
@dataclasses.dataclass(frozen=True)
class Voxelize:
    """The job of filling a cache."""

    cache: VoxelCache

    def __call__(self, item: CollectionObject) -> Outcome:
        """Make the voxels of an object, if they are not there."""
        begin = time.perf_counter()
        try:
            self.cache.voxels(item)
        except (MeshError, VolumeError) as error:
            return Failed(item, "input", str(error))
        except DatasetError as error:
            return Failed(item, "output", str(error))
        return Finished(item, {"voxels": time.perf_counter() - begin})


def source_checksum(item: CollectionObject) -> str:
    """SHA-256 of what the geometry of an object is read from, computed once a process while the files stay as they are.

    Raises:
        MeshError: A file that is missing or cannot be read.
    """
    checksums = []
    for path in _sources(item):
        try:
            status = path.stat()
            if not stat.S_ISREG(status.st_mode):  # reading a pipe might never end
                raise MeshError(f"{path}: is no regular file.")
            checksums.append(_checksum_once(path, status.st_size, status.st_mtime_ns))
        except OSError as error:
            raise MeshError(f"{path}: cannot be read: {error.strerror}.") from error
    return " ".join(checksums)


def _sources(item: CollectionObject) -> list[Path]:
    """The files that hold vertices and faces: that of the mesh and, of glTF in several files, its buffers."""
    path = item.path
    if path.suffix.lower() != ".gltf":
        return [path]
    try:
        names = [str(buffer.get("uri", "data:")) for buffer in json.loads(path.read_bytes())["buffers"]]
        beside = [(path.parent / unquote(name)).resolve() for name in names if not name.startswith("data:")]
        root = item.root.resolve()
        return [path, *(other for other in beside if other.is_relative_to(root) and other.is_file())]
    except (OSError, RuntimeError, ValueError, KeyError, TypeError, AttributeError):  # shows when it is loaded
        return [path]


@functools.cache
def _checksum_once(path: Path, size: int, changed: int) -> str:
    return sha256_of(path)


def _checksum(key: str, bits: bytes) -> bytes:
    return hashlib.sha256(key.encode() + bits).digest()
