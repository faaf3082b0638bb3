"""ModelNet10 and ModelNet40: a folder for each class, and in it one for each split."""

from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar, final

from render3d.datasets.collections.collection import split_of
from render3d.datasets.collections.layouts.layout import CollectionLayout, FoundObject
from render3d.datasets.collections.tree import Tree


@final
class ModelNet(CollectionLayout):
    """``<class>/train/<class>_0001.off`` and ``<class>/test/...``, or meshes of other formats there."""

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
