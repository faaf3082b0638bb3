"""ModelNet10 and ModelNet40: a folder for each class, and in it one for each split."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar, final

from render3d.datasets.collections.collection import split_of
from render3d.datasets.collections.layouts.layout import FoundObject
from render3d.datasets.collections.tree import Tree


@final
@dataclasses.dataclass(frozen=True)
class ModelNet:
    """``<class>/train/<class>_0001.off`` and ``<class>/test/...``, or meshes of other formats there."""

    name: ClassVar[str] = "modelnet"
    pattern: ClassVar[str] = "<class>/{train,test}/<model>.off"

    def fits(self, tree: Tree) -> bool:
        """Whether the folder of a split has a mesh."""
        return any(tree.meshes(folder) for _, _, folder in _folders(tree))

    def find(self, tree: Tree) -> Iterator[FoundObject]:
        """All meshes in folders of splits."""
        for label, split, folder in _folders(tree):
            for path in tree.meshes(folder):
                yield FoundObject(tree.name_of(path), path, label, split)


def _folders(tree: Tree) -> Iterator[tuple[str, str, Path]]:
    for parent in tree.folders(tree.path):
        for folder in tree.folders(parent):
            split = split_of(folder.name)
            if split:
                yield parent.name, split, folder


MODELNET = ModelNet()
