"""The files of one object, in a folder or in memory."""

import abc
import dataclasses
import functools
import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any, Self, final

from render3d.errors import ViewSetError

OBJECT = "object.json"
"""The file that ``render3d views`` adds to each object: the facts, and the SHA-256 of every other file by its name."""

_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")  # NeRF-synthetic leaves them out
_CASES = (str.lower, str.upper, str.title)
_UNREADABLE = (OSError, ValueError, RuntimeError, MemoryError)  # such as a NUL in a name, or links in a circle


@dataclasses.dataclass(frozen=True, kw_only=True)
class Files(abc.ABC):
    """Files by the names they have in the folder of their object.

    Attributes:
        checksums: SHA-256 by name, that of `OBJECT` last, which whatever is read must have; None: nothing is compared.
    """

    checksums: Mapping[str, str] | None = None

    @abc.abstractmethod
    def where(self, name: str) -> Path:
        """Return what messages call a file."""

    @abc.abstractmethod
    def has(self, name: str) -> bool:
        """Whether it is there."""

    def read(self, name: str) -> bytes:
        """Read all of it.

        Raises:
            ViewSetError: It is missing, cannot be read, or is not what was stored.
        """
        content = self._content(name)
        if self.checksums is not None and hashlib.sha256(content).hexdigest() != self.checksums.get(name):
            raise ViewSetError(f"{self.where(name)}: damaged: not the file that was stored. Make it again by --resume.")
        return content

    def verified(self, sha256: str | None) -> Self:
        """Return the same files, each of which is compared with the checksum that `OBJECT` has of it.

        Args:
            sha256: Of `OBJECT`, as the collection's list has it; None: there is no such list.

        Raises:
            ViewSetError: No checksums, or `OBJECT` is not the one of the list.
        """
        if sha256 is None:
            raise ViewSetError(f"{self.where(OBJECT)}: there are no checksums of it; use verify=False.")
        listed = {OBJECT: sha256}
        checksums = read_json(dataclasses.replace(self, checksums=listed), OBJECT).get("files")
        if not isinstance(checksums, dict):
            raise ViewSetError(f"{self.where(OBJECT)}: damaged, or of another version: it has no checksums of 'files'.")
        return dataclasses.replace(self, checksums={**checksums, **listed})

    @abc.abstractmethod
    def _content(self, name: str) -> bytes: ...


@final
@dataclasses.dataclass(frozen=True)
class FolderFiles(Files):
    """Those of a folder, and nothing outside it.

    Attributes:
        folder: Of the object.
        follow_links: Whether links may lead out of it. Names that do so themselves are refused in any case.
    """

    folder: Path
    follow_links: bool = False

    def where(self, name: str) -> Path:
        """Return its path, in letters that can be printed."""
        return self.folder / name.encode("utf-8", "backslashreplace").decode()

    def has(self, name: str) -> bool:
        """Whether it is there, its suffix in any case."""
        return any(os.path.isfile(f"{self.folder}/{each}") for each in _in_any_case(name))  # noqa: PTH113  # quicker

    def _content(self, name: str) -> bytes:
        try:
            for each in _with_suffixes(name):
                if (path := self._path(each)).is_file():
                    return path.read_bytes()
        except ViewSetError:
            raise
        except _UNREADABLE as error:
            raise ViewSetError(f"{self.where(name)}: cannot be read ({error}).") from error
        raise ViewSetError(f"{self.where(name)}: no such file. Put it there, or correct what names it.")

    def _path(self, name: str) -> Path:
        folder = self._resolved
        named = Path(os.path.normpath(folder / name))
        path = named.resolve()
        if not path.is_relative_to(folder):
            self._check_link(name, named.is_relative_to(folder), path)
        return path

    @functools.cached_property
    def _resolved(self) -> Path:
        return self.folder.resolve()

    def _check_link(self, name: str, is_link: bool, path: Path) -> None:
        """Raise `ViewSetError` for a file outside the folder, unless a link leads there and links are followed."""
        if not is_link:
            raise ViewSetError(f"{self.where(name)}: leads out of its folder. Move the file into it.")
        if not self.follow_links:
            raise ViewSetError(
                f"{self.where(name)}: is a link that leads out of its folder, to {path}. Move the file into it; or, if "
                "you trust the links of this folder, give follow_links=True."
            )


def _in_any_case(name: str) -> Iterator[str]:
    """A name, and the same with its suffix in other cases, of which Windows makes no difference."""
    yield name
    stem, dot, suffix = name.rpartition(".")
    if dot and "/" not in suffix:
        yield from (each for case in _CASES if (each := f"{stem}.{case(suffix)}") != name)


def _with_suffixes(name: str) -> Iterator[str]:
    """The same, and then the name with the suffix that it may lack."""
    yield from _in_any_case(name)
    yield from (name + case(suffix) for suffix in _SUFFIXES for case in _CASES)


@final
@dataclasses.dataclass(frozen=True)
class MemoryFiles(Files):
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
        """Return the archive, and in it the member."""
        return self.archive / f"{self.key}.{name.replace('/', '.')}"

    def has(self, name: str) -> bool:
        """Whether it is there."""
        return name.replace("/", ".") in self.members

    def _content(self, name: str) -> bytes:
        if not self.has(name):
            raise ViewSetError(f"{self.where(name)}: no such member.")
        return self.members[name.replace("/", ".")]


def slashed(name: str) -> str:
    """Return the name of a file with slashes between its folders, whatever system wrote it."""
    return name.replace("\\", "/")


def name_of(where: Path | str, name: str) -> str:
    """Return the name of a file that another file mentions, by `slashed`.

    Args:
        where: It is mentioned, for messages.
        name: By its path in the folder of the object.

    Raises:
        ViewSetError: It names no file, such as ``..``.
    """
    found = slashed(name)
    if PurePosixPath(found).name in ("", ".."):
        raise ViewSetError(f"{where}: {repr(name)[:60]} is the name of no file. Correct it.")
    return found


def read_json(files: Files, name: str) -> dict[str, Any]:
    """Read a JSON object.

    Raises:
        ViewSetError: As `Files.read`, or something else.
    """
    text = files.read(name)
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ViewSetError(f"{files.where(name)}: no valid JSON, empty, broken or truncated ({error}).") from error
    if not isinstance(content, dict):
        raise ViewSetError(f"{files.where(name)}: must hold a JSON object; got a {type(content).__name__}.")
    return content
