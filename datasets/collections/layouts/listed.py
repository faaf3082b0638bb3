"""A file that lists meshes."""

import csv
import os
from collections.abc import Iterator
from typing import ClassVar, final

from render3d.datasets.checks import SPLITS
from render3d.datasets.collections.collection import split_of
from render3d.datasets.collections.layouts.layout import CollectionLayout, FoundObject
from render3d.datasets.collections.tree import Tree
from render3d.errors import DatasetError

SUFFIXES = (".txt", ".csv")


@final
class Listed(CollectionLayout):
    """A ``.txt`` of one path a line, or a ``.csv`` of columns.

    Those are ``path`` and, if known, ``label``, ``split``, ``creator``, ``licence``. Paths are relative to the
    folder of the list, or absolute. In a ``.txt``, empty lines and those that begin with ``#`` are passed over.
    """

    pattern: ClassVar[str] = "a .txt of paths, or a .csv with the columns path, label, split, creator, licence"

    def fits(self, tree: Tree) -> bool:
        """Whether the path is such a file."""
        return tree.path.is_file() and tree.path.suffix.lower() in SUFFIXES

    def find(self, tree: Tree) -> Iterator[FoundObject]:
        """What the list names."""
        for row in _rows(tree):
            path = tree.path_of(row["path"])
            split = split_of(row.get("split") or "")
            if split is None:
                tree.skip(path, f"has the split {row['split']!r}, which is none of {', '.join(SPLITS)}")
                continue
            label, creator, licence = (row.get(name) or "" for name in ("label", "creator", "licence"))
            name = os.path.relpath(path, tree.root).removesuffix(path.suffix)
            yield FoundObject(name, path, label, split, creator, licence)


def _rows(tree: Tree) -> list[dict[str, str]]:
    try:
        with tree.path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
            if tree.path.suffix.lower() == ".csv":
                rows = [{str(name): value for name, value in row.items()} for row in csv.DictReader(file)]
            else:
                lines = [line.strip() for line in file]
                rows = [{"path": line} for line in lines if line and not line.startswith("#")]
    except (OSError, csv.Error) as error:
        raise DatasetError(f"{tree.path}: the list cannot be read: {error}.") from error
    if any(not row.get("path") for row in rows):
        raise DatasetError(f"{tree.path}: each row of the list needs a path; name the columns path, label, split.")
    return rows
