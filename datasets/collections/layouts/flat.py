"""Meshes in one folder, or one mesh."""

from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar, final

from render3d.datasets.collections.layouts.layout import CollectionLayout, FoundObject
from render3d.datasets.collections.tree import Tree
from render3d.scenes.files.meshes import READ


@final
class Flat(CollectionLayout):
    """``<model>.obj`` and so on, without classes; or one such file."""

    pattern: ClassVar[str] = "<model>.{obj,off,ply,stl,glb,gltf}, the folder or the file"

    def fits(self, tree: Tree) -> bool:
        """Whether the folder has meshes, or the file is one."""
        return bool(_paths(tree))

    def find(self, tree: Tree) -> Iterator[FoundObject]:
        """All meshes of the folder."""
        for path in _paths(tree):
            yield FoundObject(tree.name_of(path), path)


def _paths(tree: Tree) -> list[Path]:
    if tree.path.is_file():
        return [tree.path] if tree.path.suffix.lower() in READ else []
    return tree.meshes(tree.path)
