"""Objects in a shard, read in one pass: nothing is unpacked to the disk, and no header is believed.

Archives are read by Python's ``tarfile``. The loader of ``webdataset`` reads the same shards, but passes over links and
unknown members in silence, opens more than files by their names, and keeps no position to go on from.
"""

import itertools
import tarfile
from collections.abc import Collection, Iterator
from pathlib import Path

from render3d.datasets.view_sets.formats.base import OBJECT
from render3d.datasets.view_sets.read.files import MemoryFiles
from render3d.datasets.view_sets.shard_files import Shard, ShardedObject
from render3d.errors import DatasetError


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
