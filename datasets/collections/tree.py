"""What lies on disk below a path, as far as it may be used."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import final

_FOREIGN = ("__MACOSX",)  # what archives made on a Mac hold beside the files


@final
class Tree:
    """Lists folders, and notes in ``skipped`` what cannot be listed and links that leave the root.

    Names that begin with a dot are passed over.

    Attributes:
        path: A folder, or a file that lists others.
        root: That folder, or the one of that file: nothing outside it is used.
        skipped: What was noted, and why, in the order in which it was met.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.root = path if path.is_dir() else path.parent
        self._real_root = self.root.resolve()
        self.skipped: dict[Path, str] = {}

    def folders(self, folder: Path) -> list[Path]:
        """The folders in a folder, by name."""
        found = self._entries(folder, of_folders=True)
        # Nothing but a link can lead elsewhere, for the way to here was taken folder by folder.
        return [path for path in found if not (path.is_symlink() and self._leaves(path))]

    def meshes(self, folder: Path) -> list[Path]:
        """The files in a folder, by name, that have a suffix of meshes."""
        from render3d.scenes.files.meshes import READ  # as in `CollectionObject.load`

        return [path for path in self._entries(folder, of_folders=False) if path.suffix.lower() in READ]

    def files(self) -> Iterator[Path]:
        """Yield all files of the root, at any depth, folder by folder.

        Links to folders are not followed: what lies in the root is met where it lies, and only once.
        """
        waiting = [self.root]
        while waiting:
            folder = waiting.pop()
            yield from self._entries(folder, of_folders=False)
            waiting += reversed([path for path in self.folders(folder) if not path.is_symlink()])

    def problem_of(self, path: Path) -> str:
        """Why a file cannot be used; empty if it can."""
        try:
            if not path.resolve(strict=True).is_relative_to(self._real_root):
                return f"lies outside {self.root}"
            status = path.stat()
        except FileNotFoundError:
            return "is missing"
        except OSError as error:
            return f"cannot be reached: {error.strerror}"
        except (RuntimeError, ValueError) as error:  # links in a circle; a name that cannot be
            return f"cannot be reached: {error}"
        if not stat.S_ISREG(status.st_mode):
            return "is no regular file"
        return "is empty" if status.st_size == 0 else ""

    def path_of(self, path: str | Path) -> Path:
        """Return a path, relative to the root or absolute, as one that begins with the root, where it leads there."""
        whole = self.root / path
        if whole.is_relative_to(self.root):
            return whole
        # Two ways may lead to one folder: /data/models and /home/me/data/models, which is a link.
        real = Path(os.path.realpath(whole.parent), whole.name)
        return self.root / real.relative_to(self._real_root) if real.is_relative_to(self._real_root) else whole

    def skip(self, path: Path, reason: str) -> None:
        """Note that something is not used; of several reasons the first is kept."""
        self.skipped.setdefault(path, reason)

    def name_of(self, path: Path) -> str:
        """The path of a file below the root without its suffix."""
        return path.relative_to(self.root).with_suffix("").as_posix()

    def _entries(self, folder: Path, *, of_folders: bool) -> list[Path]:
        try:
            with os.scandir(folder) as entries:
                names = sorted(entry.name for entry in entries if _is_folder(entry) == of_folders)
        except OSError as error:
            self.skip(folder, f"cannot be listed: {error.strerror}")
            return []
        return [folder / name for name in names if not name.startswith(".") and name not in _FOREIGN]

    def _leaves(self, folder: Path) -> bool:
        if folder.resolve().is_relative_to(self._real_root):
            return False
        self.skip(folder, f"is a link that leads outside {self.root}")
        return True


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # links in a circle
        return False
