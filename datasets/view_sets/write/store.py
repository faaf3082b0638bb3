"""Objects on disk: there whole or not at all, and known to be whole."""

import contextlib
import errno
import fcntl
import hashlib
import json
import os
import secrets
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from render3d.atomic import json_by_lines
from render3d.datasets.collections.checksums import sha256_of
from render3d.errors import GenerationError
from render3d.view_sets.files import OBJECT

PARTIAL = ".partial"
"""Where objects are until they are whole, in the folder of the run and so on its file system."""


def put(folder: Path, place: PurePosixPath, files: Iterable[tuple[str, bytes]], facts: Mapping[str, Any]) -> None:
    """Store an object in the place of what may be there.

    All of it is written elsewhere, `OBJECT` last, and then renamed, so that neither a reader nor a process that dies
    meets half an object. The disk is not waited for, which would take several times as long as all else: after a power
    failure the last objects may be damaged, which `read_whole` tells by their checksums.

    Args:
        folder: Of the run.
        place: Of the object in it.
        files: By name.
        facts: What `OBJECT` holds beside the checksums.

    Raises:
        OSError: The disk is full, or the folder cannot be written to; what was there before is still there.
    """
    partial = folder / PARTIAL / secrets.token_hex(8)
    try:
        checksums = _write(partial, files)
        (partial / OBJECT).write_bytes(json_by_lines({**facts, "files": checksums}))
        _move(partial, folder / place)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _write(partial: Path, files: Iterable[tuple[str, bytes]]) -> dict[str, str]:
    partial.parent.mkdir(exist_ok=True)  # not the run's: a machine that does not see it must not make one of its own
    partial.mkdir()
    made = {partial}
    checksums = {}
    for name, content in files:
        path = partial / name
        if path.parent not in made:
            path.parent.mkdir(parents=True, exist_ok=True)
            made.add(path.parent)
        path.write_bytes(content)
        checksums[name] = hashlib.sha256(content).hexdigest()
    return checksums


def _move(partial: Path, target: Path) -> None:
    """Rename a folder, which no system does onto one that is not empty: that one is moved away first.

    Two workers may store one object, where the first was thought lost. Whose comes last stays: they are the same.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    while True:
        old = partial.with_name(secrets.token_hex(8))
        with contextlib.suppress(FileNotFoundError):
            target.rename(old)
        try:
            partial.rename(target)
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
        else:
            return
        finally:
            shutil.rmtree(old, ignore_errors=True)


def read_whole(
    folder: Path, place: PurePosixPath, is_current: Callable[[Mapping[str, Any]], bool]
) -> dict[str, Any] | None:
    """Return what `OBJECT` has of an object, if all its files are as they were written, and its source is current.

    Args:
        folder: Of the run.
        place: Of the object in it.
        is_current: Told of the source what `OBJECT` has of it; its ValueError, KeyError and TypeError say no.
    """
    try:
        facts: dict[str, Any] = json.loads((folder / place / OBJECT).read_bytes())
        whole = is_current(facts["source"]) and all(
            sha256_of(folder / place / name) == expected for name, expected in facts["files"].items()
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return facts if whole else None


def discard(folder: Path, place: PurePosixPath) -> None:
    """Remove an object, at once to all who look for it."""
    partial = folder / PARTIAL / secrets.token_hex(8)
    if (folder / place).exists():
        partial.parent.mkdir(exist_ok=True)
        (folder / place).rename(partial)
        shutil.rmtree(partial, ignore_errors=True)


def clean(folder: Path) -> None:
    """Remove what a run that was killed has left half done."""
    shutil.rmtree(folder / PARTIAL, ignore_errors=True)


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """The folder, made if it is not there, for this process alone; the system opens it when the process ends.

    Raises:
        GenerationError: Another process has it.
        OSError: It cannot be made or written to.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("a", encoding="utf-8") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise GenerationError(
                f"Another run is writing to {folder}. Wait for its end, or write to another folder."
            ) from None
        yield


def wait_for_disk() -> None:
    """Return when all that was written is on the disk."""
    os.sync()
