"""The files of one object, in a folder or in memory."""

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol, final

from render3d.datasets.view_sets.formats.base import OBJECT
from render3d.errors import DatasetError

_SUFFIXES = ("", ".png", ".jpg", ".jpeg")  # NeRF-synthetic leaves them out


class Files(Protocol):
    """Files by the names they have in the folder of their object."""

    def where(self, name: str) -> Path:
        """What messages call a file."""
        ...

    def has(self, name: str) -> bool:
        """Whether it is there."""
        ...

    def read(self, name: str) -> bytes:
        """All of it.

        Raises:
            DatasetError: It is missing, cannot be read, or is not what was stored.
        """
        ...


@final
@dataclasses.dataclass(frozen=True)
class FolderFiles:
    """Those of a folder, and nothing outside it, links followed.

    Attributes:
        folder: Of the object.
    """

    folder: Path

    def where(self, name: str) -> Path:
        """Its path."""
        return self.folder / name

    def has(self, name: str) -> bool:
        """Whether it is there."""
        return self.where(name).is_file()

    def read(self, name: str) -> bytes:
        """All of it."""
        folder = self.folder.resolve()
        for suffix in _SUFFIXES:
            path = (folder / (name + suffix)).resolve()
            if not path.is_relative_to(folder):
                raise DatasetError(f"{self.where(name)}: leads out of its folder. Move the file into it.")
            if path.is_file():
                return _read(path)
        raise DatasetError(f"{self.where(name)}: no such file.")


@final
@dataclasses.dataclass(frozen=True)
class MemoryFiles:
    """Those that were read from an archive.

    Attributes:
        archive: Its path.
        key: Of the object in it.
        members: By the names they have there, with dots for slashes.
    """

    archive: Path
    key: str
    members: Mapping[str, bytes]

    def where(self, name: str) -> Path:
        """The archive, and in it the member."""
        return self.archive / f"{self.key}.{name.replace('/', '.')}"

    def has(self, name: str) -> bool:
        """Whether it is there."""
        return name.replace("/", ".") in self.members

    def read(self, name: str) -> bytes:
        """All of it."""
        if not self.has(name):
            raise DatasetError(f"{self.where(name)}: no such member.")
        return self.members[name.replace("/", ".")]


@final
@dataclasses.dataclass(frozen=True)
class VerifiedFiles:
    """Files that are as they were stored.

    Attributes:
        files: Where they are.
        checksums: SHA-256 by name.
    """

    files: Files
    checksums: Mapping[str, str]

    def where(self, name: str) -> Path:
        """What messages call a file."""
        return self.files.where(name)

    def has(self, name: str) -> bool:
        """Whether it is there."""
        return self.files.has(name)

    def read(self, name: str) -> bytes:
        """All of it."""
        content = self.files.read(name)
        if hashlib.sha256(content).hexdigest() != self.checksums.get(name):
            raise DatasetError(f"{self.where(name)}: damaged: not the file that was stored. Make it again.")
        return content


def verified(files: Files, sha256: str | None) -> Files:
    """The same files, each compared with the checksum that `OBJECT` has of it.

    Args:
        files: Of one object.
        sha256: Of its `OBJECT`, as the collection's list has it; None: there is no such list.

    Raises:
        DatasetError: No checksums, or `OBJECT` is not the one of the list.
    """
    if sha256 is None:
        raise DatasetError(f"{files.where(OBJECT)}: there are no checksums of it; use verify=False.")
    facts = read_json(VerifiedFiles(files, {OBJECT: sha256}), OBJECT)
    return VerifiedFiles(files, {OBJECT: sha256, **facts["files"]})


def read_json(files: Files, name: str) -> dict[str, Any]:
    """A JSON object.

    Raises:
        DatasetError: As `Files.read`, or something else.
    """
    try:
        content = json.loads(files.read(name))
    except (ValueError, RecursionError) as error:
        raise DatasetError(f"{files.where(name)}: no valid JSON, broken or truncated ({error}).") from error
    if not isinstance(content, dict):
        raise DatasetError(f"{files.where(name)}: must hold a JSON object; got a {type(content).__name__}.")
    return content


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise DatasetError(f"{path}: cannot be read ({error}).") from error
