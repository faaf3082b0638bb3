"""Objects packed into tar archives, in the format of WebDataset."""

import dataclasses
import hashlib
import io
import json
import tarfile
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import ClassVar, final

from render3d.atomic import atomic_write, json_by_lines
from render3d.cameras import Cameras
from render3d.datasets.base import check_at_least, number_of
from render3d.datasets.collections import CollectionObject
from render3d.datasets.collections.checksums import sha256_of
from render3d.datasets.view_sets.formats.base import OBJECT
from render3d.datasets.view_sets.formats.nerfstudio import Nerfstudio
from render3d.datasets.view_sets.shard_files import INDEX, SHARDS, Shard, ShardedObject, key_of, member_of, read_index
from render3d.datasets.view_sets.write.rendered import RenderedObject
from render3d.errors import DatasetError

_STAGED = Nerfstudio()


@final
@dataclasses.dataclass(frozen=True)
class Shards:
    """``shards/000000.tar`` and so on, with ``shards/index.json``.

    Objects are first stored as `Nerfstudio` does, and stay: what is damaged or has changed is packed again from them. A
    shard is a function of what it is packed from.

    Attributes:
        size: Objects a shard.

    Raises:
        DatasetError: Fewer than one.
    """

    name: ClassVar[str] = "shards"
    size: int = 256

    def __post_init__(self) -> None:
        check_at_least(1, size=self.size)

    def check(self, cameras: Cameras, outputs: Sequence[str]) -> None:
        """Nothing: there is room for whatever a run makes."""

    def place(self, shape: CollectionObject) -> PurePosixPath:
        """``objects/<id>``, until `finish` packs it."""
        return _STAGED.place(shape)

    def files(self, rendered: RenderedObject) -> Iterator[tuple[str, bytes]]:
        """As `Nerfstudio.files`."""
        return _STAGED.files(rendered)

    def finish(self, folder: Path, shapes: Sequence[CollectionObject]) -> None:
        """Pack objects; shards that are whole and up to date are left as they are.

        The order is that of hashes of their ids, so that each shard has some of every class: readers shuffle no further
        than a few shards.

        Raises:
            DatasetError: A stored file is missing or damaged.
            OSError: The disk is full, or the folder cannot be written to.
        """
        target = folder / SHARDS
        target.mkdir(exist_ok=True)
        for unfinished in target.glob(".*.part"):  # of a run that was killed
            unfinished.unlink()
        shapes = sorted(shapes, key=lambda shape: number_of(shape.id))
        old = {shard.name: shard for shard in _packed_before(target)}
        shards = []
        for number, start in enumerate(range(0, len(shapes), self.size)):
            name = f"{number:06d}.tar"
            objects = tuple(_describe(folder, shape) for shape in shapes[start : start + self.size])
            shards.append(_up_to_date(target, old.get(name), objects) or _pack(folder, name, objects))
        with atomic_write(target / INDEX) as stream:
            stream.write(json_by_lines({"count": len(shapes), "shards": [shard.to_json() for shard in shards]}))
        for path in set(target.glob("*.tar")) - {target / shard.name for shard in shards}:
            path.unlink()


def _packed_before(target: Path) -> Sequence[Shard]:
    try:
        return read_index(target)
    except DatasetError:  # the first time, or damaged: all is packed anew
        return ()


def _describe(folder: Path, shape: CollectionObject) -> ShardedObject:
    sha256 = sha256_of(folder / _STAGED.place(shape) / OBJECT)
    return ShardedObject(shape.id, shape.label, shape.split, key_of(shape.id), sha256)


def _up_to_date(target: Path, old: Shard | None, objects: tuple[ShardedObject, ...]) -> Shard | None:
    """The shard, if it is as it would be packed now."""
    path = target / (old.name if old else "")
    return old if old and old.objects == objects and path.is_file() and sha256_of(path) == old.sha256 else None


def _pack(folder: Path, name: str, objects: tuple[ShardedObject, ...]) -> Shard:
    path = folder / SHARDS / name
    # PAX differs from USTAR only where a name is too long for that.
    with atomic_write(path) as stream, tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for item in objects:
            for file, content in _files(folder / "objects" / item.id, item.sha256):
                _add(archive, member_of(item.key, file), content)
    return Shard(name, sha256_of(path), objects)


def _files(place: Path, sha256: str) -> Iterator[tuple[str, bytes]]:
    """The files of a stored object, `OBJECT` last."""
    facts = _read(place / OBJECT, sha256)
    for name, expected in json.loads(facts)["files"].items():
        yield name, _read(place / name, expected)
    yield OBJECT, facts


def _read(path: Path, sha256: str) -> bytes:
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        content = b""
    if hashlib.sha256(content).hexdigest() != sha256:
        raise DatasetError(f"{path}: missing or damaged. Make it again by --resume.")
    return content


def _add(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    member = tarfile.TarInfo(name)  # of no owner, at no time
    member.size = len(content)
    archive.addfile(member, io.BytesIO(content))
