"""Shards of objects: tar archives in the format of WebDataset, and the index that says what is in them.

A member is a file of an object's folder, its name ``<key>.<file>`` with dots for slashes:
``chair/1a2b.images.0000.png``. The members of an object follow each other, and ``object.json`` is the last of them.
"""

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self, final

from render3d.errors import DatasetError

SHARDS = "shards"
INDEX = "index.json"


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

    def to_json(self) -> dict[str, Any]:
        """What `from_json` makes the same from again."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """That which `to_json` gave."""
        shard = cls(values["name"], values["sha256"], tuple(ShardedObject(**item) for item in values["objects"]))
        words = [word for item in shard.objects for word in (item.id, item.label, item.split, item.key, item.sha256)]
        if not all(isinstance(word, str) for word in (shard.name, shard.sha256, *words)):
            raise TypeError("a name or checksum is no text")
        if Path(shard.name).name != shard.name or not shard.objects:
            raise ValueError(f"shard {shard.name!r} is no file beside the index, or is empty")
        return shard


def read_index(folder: Path) -> tuple[Shard, ...]:
    """The shards that the index in their folder names.

    Raises:
        DatasetError: There is no index, or it is damaged.
    """
    path = folder / INDEX
    try:
        return tuple(Shard.from_json(item) for item in json.loads(path.read_bytes())["shards"])
    except FileNotFoundError:
        raise DatasetError(
            f"{path}: no such file. Give the folder of shards that a run of views has finished."
        ) from None
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise DatasetError(
            f"{path}: no index of shards, or damaged ({error!r}). Put it back, or pack again."
        ) from error
