"""What lies on disk below a path, as far as it may be used."""

import os
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import final

from render3d.datasets.collections.foreign import looks_like_mesh, unreadable

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
        self._lists: dict[Path, tuple[list[str], list[str]]] = {}

    def folders(self, folder: Path) -> list[Path]:
        """The folders in a folder, by name."""
        return self._inside(folder, self._listed(folder)[0])

    def meshes(self, folder: Path) -> list[Path]:
        """The files in a folder, by name, that have a suffix of meshes."""
        paths = [folder / name for name in self._listed(folder)[1]]
        return [path for path in paths if not unreadable(path)]

    def all_meshes(self) -> Iterator[Path]:
        """Yield the files at any depth that have a suffix of meshes, be they read or not, folder by folder.

        Links to folders are not followed: what lies in the root is met where it lies, and only once.
        """
        waiting = [self.root]
        while waiting:
            folder = waiting.pop()
            folders, files = self._listed(folder)
            yield from (folder / name for name in files if looks_like_mesh(name))
            waiting += [path for path in reversed(self._inside(folder, folders)) if not path.is_symlink()]

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
        try:
            real = Path(os.path.realpath(whole.parent), whole.name)
        except ValueError:  # a name that cannot be
            return whole
        return self.root / real.relative_to(self._real_root) if real.is_relative_to(self._real_root) else whole

    def skip(self, path: Path, reason: str) -> None:
        """Note that something is not used; of several reasons the first is kept."""
        self.skipped.setdefault(path, reason)

    def name_of(self, path: Path) -> str:
        """The path of a file below the root without its suffix."""
        return path.relative_to(self.root).with_suffix("").as_posix()

    def _listed(self, folder: Path) -> tuple[list[str], list[str]]:
        """The names of the folders and of the files in a folder, sorted; asked once, as the disk may be far away."""
        if folder not in self._lists:
            self._lists[folder] = self._scanned(folder)
        return self._lists[folder]

    def _scanned(self, folder: Path) -> tuple[list[str], list[str]]:
        try:
            with os.scandir(folder) as entries:
                kinds = {entry.name: _is_folder(entry) for entry in entries}
        except OSError as error:
            self.skip(folder, f"cannot be listed: {error.strerror}")
            return [], []
        names = sorted(name for name in kinds if not name.startswith(".") and name not in _FOREIGN)
        return [name for name in names if kinds[name]], [name for name in names if not kinds[name]]

    def _inside(self, folder: Path, names: Iterable[str]) -> list[Path]:
        # Nothing but a link can lead elsewhere, for the way to here was taken folder by folder.
        paths = [folder / name for name in names]
        return [path for path in paths if not (path.is_symlink() and self._leaves(path))]

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
