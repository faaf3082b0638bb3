"""Shards: objects packed into tar archives, in the format of WebDataset, and the index that says what is in them.

A member is a file of an object's folder, its name ``<key>.<file>`` with dots for slashes:
``chair/1a2b.images.0000.png``. The members of an object follow each other, and ``object.json`` is the last of them.

Archives are read by Python's ``tarfile``, in one pass: nothing is unpacked to the disk, and no header is believed. The
loader of ``webdataset`` reads the same shards, but passes over links and unknown members in silence, opens more than
files by their names, and keeps no position to go on from.
"""

import dataclasses
import io
import itertools
import json
import tarfile
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Self, final

from render3d.atomic import atomic_write, json_by_lines
from render3d.cameras import Cameras
from render3d.datasets.base import number_of
from render3d.datasets.checks import check_at_least
from render3d.datasets.collections.checksums import sha256_of
from render3d.errors import DatasetError
from render3d.images import Rendering
from render3d.view_sets.files import OBJECT, Files, FolderFiles, MemoryFiles
from render3d.view_sets.formats.format import Format, StoredObject, StoredViews
from render3d.view_sets.formats.nerfstudio import Nerfstudio

SHARDS = "shards"
INDEX = "index.json"
_STAGED = Nerfstudio(points=0)


def key_of(id_: str) -> str:
    """The key of an object: its id, with whatever WebDataset takes for something else written as in a URL.

    A key ends at the first dot of a file's name, and members whose names begin with two underscores may be skipped. No
    two ids have one key, for ids hold no ``%``.
    """
    key = id_.replace(".", "%2E")
    return key.replace("__", "%5F%5F", 1) if key.startswith("__") else key


def member_of(key: str, name: str) -> str:
    """The name of a member, from an object's key and the name of a file in its folder."""
    return f"{key}.{name.replace('/', '.')}"


@final
@dataclasses.dataclass(frozen=True)
class ShardedObject:
    """What the index knows of an object.

    Attributes:
        id: As `CollectionObject` has it, like the next two.
        label: The name of its class, or empty.
        split: Or empty.
        key: In its shard.
        sha256: Of its ``object.json``, which has the checksums of its other files.
    """

    id: str
    label: str
    split: str
    key: str
    sha256: str


@final
@dataclasses.dataclass(frozen=True)
class Shard:
    """One archive.

    Attributes:
        name: Of its file, beside the index.
        sha256: Of its file.
        objects: In the order in which they are there.
    """

    name: str
    sha256: str
    objects: tuple[ShardedObject, ...]

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """Return the shard whose fields, as JSON has them, these are."""
        shard = cls(values["name"], values["sha256"], tuple(ShardedObject(**item) for item in values["objects"]))
        words = [word for item in shard.objects for word in (item.id, item.label, item.split, item.key, item.sha256)]
        if not all(isinstance(word, str) for word in (shard.name, shard.sha256, *words)):
            raise TypeError("a name or checksum is no text")
        if Path(shard.name).name != shard.name or not shard.name.isprintable() or not shard.objects:
            raise ValueError(f"shard {shard.name!r} is no file beside the index, or is empty")
        return shard


def read_index(folder: Path) -> tuple[Shard, ...]:
    """The shards that the index in their folder names.

    Raises:
        DatasetError: There is no index, or it is damaged.
    """
    path = folder / INDEX
    try:
        shards = tuple(Shard.from_json(item) for item in json.loads(path.read_bytes())["shards"])
        _check_unique(shards)
        return shards
    except FileNotFoundError:
        raise DatasetError(
            f"{path}: no such file. Give the folder of shards that a run of views has finished."
        ) from None
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise DatasetError(
            f"{path}: no index of shards, or damaged ({error!r}). Put it back, or pack again."
        ) from error


def _check_unique(shards: Sequence[Shard]) -> None:
    names = [shard.name for shard in shards]
    ids = [item.id for shard in shards for item in shard.objects]
    for what, words in (("shard", names), ("object", ids)):
        if twice := next((word for word, count in Counter(words).items() if count > 1), None):
            raise ValueError(f"{what} {twice!r} is there twice")


@final
@dataclasses.dataclass(frozen=True)
class Shards(Format):
    """``shards/000000.tar`` and so on, with ``shards/index.json``.

    Objects are first stored as `Nerfstudio` does, and stay: what is damaged or has changed is packed again from them. A
    shard is a function of what it is packed from.

    Attributes:
        size: Objects a shard.

    Raises:
        DatasetError: Fewer than one.
    """

    marker: ClassVar[str] = f"{SHARDS}/{INDEX}"
    size: int = 256

    def __post_init__(self) -> None:
        check_at_least(1, size=self.size)

    def files(self, cameras: Cameras, rendering: Rendering, renderer: str | None) -> Iterator[tuple[str, bytes]]:
        """Yield the files that `finish` packs: those of `Nerfstudio`."""
        return _STAGED.files(cameras, rendering, renderer)

    def find(self, folder: Path) -> Iterable[Path]:
        """Yield nothing: the objects in shards are read by `render3d.datasets.PosedShards`."""
        return ()

    def open(self, files: Files) -> StoredViews:
        """Read the ``transforms.json`` of an object, as `Nerfstudio` does."""
        return _STAGED.open(files)

    def finish(self, folder: Path, objects: Sequence[StoredObject]) -> None:
        """Pack objects; shards that are whole and up to date are left as they are.

        The order is that of hashes of their ids, so that each shard has some of every class: readers shuffle no further
        than a few shards.

        Raises:
            ViewSetError: A stored file is missing or damaged.
            OSError: The disk is full, or the folder cannot be written to.
        """
        target = folder / SHARDS
        target.mkdir(exist_ok=True)
        for unfinished in target.glob(".*.part"):  # of a run that was killed
            unfinished.unlink()
        objects = sorted(objects, key=lambda item: number_of(item.id))
        old = {shard.name: shard for shard in _packed_before(target)}
        shards = []
        for number, start in enumerate(range(0, len(objects), self.size)):
            name = f"{number:06d}.tar"
            content = tuple(_describe(folder, item) for item in objects[start : start + self.size])
            shards.append(_up_to_date(target, old.get(name), content) or _pack(folder, name, content))
        with atomic_write(target / INDEX) as stream:
            stream.write(
                json_by_lines({"count": len(objects), "shards": [dataclasses.asdict(shard) for shard in shards]})
            )
        for path in set(target.glob("*.tar")) - {target / shard.name for shard in shards}:
            path.unlink()


def _packed_before(target: Path) -> Sequence[Shard]:
    try:
        return read_index(target)
    except DatasetError:  # the first time, or damaged: all is packed anew
        return ()


def _describe(folder: Path, item: StoredObject) -> ShardedObject:
    sha256 = sha256_of(folder / _STAGED.place(item) / OBJECT)
    return ShardedObject(item.id, item.label, item.split, key_of(item.id), sha256)


def _up_to_date(target: Path, old: Shard | None, objects: tuple[ShardedObject, ...]) -> Shard | None:
    """The shard, if it is as it would be packed now."""
    path = target / (old.name if old else "")
    return old if old and old.objects == objects and path.is_file() and sha256_of(path) == old.sha256 else None


def _pack(folder: Path, name: str, objects: tuple[ShardedObject, ...]) -> Shard:
    path = folder / SHARDS / name
    # PAX differs from USTAR only where a name is too long for that.
    with atomic_write(path) as stream, tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for item in objects:
            files = FolderFiles(folder / _STAGED.place(item)).verified(item.sha256)
            for file in files.checksums or ():
                _add(archive, member_of(item.key, file), files.read(file))
    return Shard(name, sha256_of(path), objects)


def _add(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    member = tarfile.TarInfo(name)  # of no owner, at no time
    member.size = len(content)
    archive.addfile(member, io.BytesIO(content))


def objects_in(path: Path, shard: Shard, wanted: Collection[str]) -> Iterator[tuple[ShardedObject, MemoryFiles]]:
    """Objects with their files, in the order of the shard.

    Args:
        path: Of the shard.
        shard: What the index says of it.
        wanted: The keys of the objects to read; others are passed over.

    Raises:
        DatasetError: The file is missing, truncated or no plain tar archive; a member is no plain file or none that
            the index knows of; an object is missing, not whole, or there twice. The message names shard and member.
    """
    known = {item.key: item for item in shard.objects}
    missing = set(wanted)
    try:
        with path.open("rb") as stream, tarfile.open(fileobj=stream, mode="r:") as archive:
            members = _members(path, archive, known)
            for key, group in itertools.groupby(members, key=lambda member: _key(member.name)):
                if key not in wanted:
                    continue
                if key not in missing:
                    raise DatasetError(f"{path}: object {key!r} is there twice.")
                missing.remove(key)
                yield known[key], MemoryFiles(path, key, _contents(path, archive, key, group))
    except (OSError, tarfile.TarError) as error:
        raise DatasetError(f"{path}: cannot be read as a tar archive ({error}). Pack it again by --resume.") from error
    if missing:
        raise DatasetError(
            f"{path}: lacks {len(missing)} objects that the index knows of, {min(missing)!r} among them: truncated or "
            "damaged. Pack it again by --resume."
        )


def _members(path: Path, archive: tarfile.TarFile, known: Collection[str]) -> Iterator[tarfile.TarInfo]:
    """The headers, as far as they can be true."""
    size = path.stat().st_size
    while True:
        try:
            member = archive.next()
        except Exception as error:  # broken headers fail in any way
            raise DatasetError(f"{path}: broken or truncated ({error}). Pack it again by --resume.") from error
        if member is None:
            return
        if member.type not in (tarfile.REGTYPE, tarfile.AREGTYPE) or member.issparse():
            raise DatasetError(f"{path}: member {member.name!r} is no plain file. Shards hold nothing else.")
        if not 0 <= member.size <= size - member.offset_data:
            raise DatasetError(f"{path}: member {member.name!r} is truncated. Pack the shard again by --resume.")
        if _key(member.name) not in known:
            raise DatasetError(f"{path}: member {member.name!r} is of no object that the index knows of.")
        yield member
        archive.members = []  # type: ignore[attr-defined]  # headers that were read are not needed again


def _key(name: str) -> str:
    return name.partition(".")[0]


def _contents(path: Path, archive: tarfile.TarFile, key: str, group: Iterator[tarfile.TarInfo]) -> dict[str, bytes]:
    contents: dict[str, bytes] = {}
    for member in group:
        name = member.name[len(key) + 1 :]
        if name in contents:
            raise DatasetError(f"{path}: member {member.name!r} is there twice.")
        stream = archive.extractfile(member)
        assert stream is not None  # of a plain file
        contents[name] = stream.read()
    if OBJECT not in contents:
        raise DatasetError(
            f"{path}: object {key!r} is not whole: {key}.{OBJECT} is missing. Pack it again by --resume."
        )
    return contents
