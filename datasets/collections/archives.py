"""Archives of models, unpacked whole or not at all, and nothing outside the folder: `extract`."""

import secrets
import shutil
import tarfile
import unicodedata
import zipfile
import zlib
from lzma import LZMAError
from pathlib import Path, PureWindowsPath
from typing import final

from render3d.datasets.collections.members import Member, members
from render3d.errors import DatasetError

_AT_ONCE = 1 << 20  # bytes
# zipfile has RuntimeError for encrypted members and for methods that it does not know.
_BROKEN = (zipfile.BadZipFile, tarfile.TarError, zlib.error, LZMAError, EOFError, RuntimeError)


def extract(
    archive: str | Path, folder: str | Path, *, most_bytes: int = 16 * 2**30, most_members: int = 500_000
) -> None:
    """Unpack a zip or a tar, compressed or not, into a new folder.

    The folder appears when all is in it: until then it has another name beside it, and what goes wrong leaves nothing
    behind. Owners, permissions and times are not kept.

    Args:
        archive: What is in it decides, not its name.
        folder: Must not be there yet.
        most_bytes: Of all files together, counted as they are written, whatever the archive says.
        most_members: Files and folders.

    Raises:
        DatasetError: No such archive, or a broken or encrypted one; a folder that is there; more than the bounds; a
            member that is a link or a device, whose name leads out of the folder, or that is in the place of another,
            also where letters' case does not count; a full disk.
    """
    archive, folder = Path(archive), Path(folder)
    if folder.exists():
        raise DatasetError(f"{folder} is there already. Remove it, or choose another folder.")
    temporary = folder.parent / f".{folder.name}.{secrets.token_hex(8)}.part"
    try:
        temporary.mkdir(parents=True)
        target = _Target(archive, temporary, most_bytes, most_members)
        for member in members(archive):
            target.add(member)
        temporary.rename(folder)
    except OSError as error:
        raise DatasetError(f"{archive} was not unpacked into {folder}: {error}. Nothing was left there.") from error
    except _BROKEN as error:
        reason = str(error) or type(error).__name__
        raise DatasetError(f"{archive} is no whole zip or tar, or is encrypted: {reason}. Fetch it again.") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


@final
class _Target:
    """A folder that members are added to, as far as they are allowed."""

    def __init__(self, archive: Path, folder: Path, most_bytes: int, most_members: int) -> None:
        self._archive = archive
        self._folder = folder
        self._bytes = 0
        self._most_bytes = most_bytes
        self._most_members = most_members
        self._taken: dict[str, tuple[str, bool]] = {}
        """Of what is there, by its path as a file system may see it: the path, and whether it is a folder."""

    def add(self, member: Member) -> None:
        """Write a member."""
        if member.problem:
            raise self._refusal(member, member.problem)
        parts = self._parts(member)
        for depth in range(1, len(parts) + 1):
            self._take(member, "/".join(parts[:depth]), is_folder=depth < len(parts) or member.is_folder)
        path = self._folder.joinpath(*parts)
        (path if member.is_folder else path.parent).mkdir(parents=True, exist_ok=True)
        if not member.is_folder:
            self._write(member, path)

    def _parts(self, member: Member) -> list[str]:
        name = member.name.replace("\\", "/")
        parts = [part for part in name.split("/") if part not in ("", ".")]
        if name.startswith("/") or ".." in parts or PureWindowsPath(name).drive or "\0" in name:
            raise self._refusal(member, "leads out of the folder")
        if not parts and not member.is_folder:
            raise self._refusal(member, "has no name")
        return parts

    def _take(self, member: Member, path: str, *, is_folder: bool) -> None:
        seen_as = unicodedata.normalize("NFC", path).casefold()
        before = self._taken.get(seen_as)
        if before is not None and not (is_folder and before == (path, True)):
            raise self._refusal(member, f"is in the place of {before[0]!r}, which came before it")
        self._taken[seen_as] = (path, is_folder)
        if len(self._taken) > self._most_members:
            raise self._refusal(member, f"is one more than {self._most_members}. If you trust it, raise most_members")

    def _write(self, member: Member, path: Path) -> None:
        with member.open() as source, path.open("xb") as file:
            while chunk := source.read(_AT_ONCE):
                self._bytes += len(chunk)
                if self._bytes > self._most_bytes:
                    reason = f"brings it to over {self._most_bytes} bytes. If you trust it, raise most_bytes"
                    raise self._refusal(member, reason)
                file.write(chunk)

    def _refusal(self, member: Member, reason: str) -> DatasetError:
        return DatasetError(f"{self._archive} is refused: its member {member.name[:200]!r} {reason}.")
