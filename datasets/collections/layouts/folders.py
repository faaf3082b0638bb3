"""Folders of meshes: one of them, one for each class, one for each class and split, or a tree of any depth."""

import abc
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar, final

from render3d.datasets.collections.collection import split_of
from render3d.datasets.collections.foreign import unreadable
from render3d.datasets.collections.layouts.layout import CollectionLayout, FoundObject
from render3d.datasets.collections.tree import Tree


class _Folders(CollectionLayout):
    """Meshes in folders whose names tell classes and splits."""

    @abc.abstractmethod
    def _meshes(self, tree: Tree) -> Iterator[tuple[str, str, list[Path]]]:
        """The label and the split of each folder, and its meshes."""

    def fits(self, tree: Tree) -> bool:
        """Whether one of the folders has a mesh."""
        return any(paths for _, _, paths in self._meshes(tree))

    @final
    def find(self, tree: Tree) -> Iterator[FoundObject]:
        """All meshes of the folders."""
        for label, split, paths in self._meshes(tree):
            for path in paths:
                yield FoundObject(tree.name_of(path), path, label, split)


@final
class Flat(_Folders):
    """``<model>.obj`` and so on, without classes; or one such file."""

    pattern: ClassVar[str] = "<model>.{obj,off,ply,stl,glb,gltf}, the folder or the file"

    def _meshes(self, tree: Tree) -> Iterator[tuple[str, str, list[Path]]]:
        from render3d.scenes.files.meshes import READ  # as in `CollectionObject.load`

        if not tree.path.is_file():
            yield "", "", tree.meshes(tree.path)
        elif tree.path.suffix.lower() in READ:
            yield "", "", [tree.path]


@final
class Recursive(_Folders):
    """Meshes at any depth, without classes.

    Any folder could be read so: this layout is never recognised, only chosen.
    """

    pattern: ClassVar[str] = "<folder>/<folder>/.../<model>.{obj,off,ply,stl,glb,gltf}, at any depth; if you name it"

    def fits(self, tree: Tree) -> bool:
        """Return False: it is for those who choose it."""
        return False

    def _meshes(self, tree: Tree) -> Iterator[tuple[str, str, list[Path]]]:
        yield "", "", [path for path in tree.all_meshes() if not unreadable(path)]


@final
class Classes(_Folders):
    """``<class>/<model>.obj`` and so on; the class is the name of the folder."""

    pattern: ClassVar[str] = "<class>/<model>.{obj,off,ply,stl,glb,gltf}"

    def fits(self, tree: Tree) -> bool:
        """Whether folders have meshes.

        Not if they are splits; nor if each has a single mesh, all of one name, as folders of models have.
        """
        held = [paths for label, _, paths in self._meshes(tree) if paths and not split_of(label)]
        names = [tuple(path.name for path in paths) for paths in held]
        are_models = len(names) > 1 and len(set(names)) == 1 and len(names[0]) == 1
        return bool(names) and not are_models

    def _meshes(self, tree: Tree) -> Iterator[tuple[str, str, list[Path]]]:
        for folder in tree.folders(tree.path):
            yield folder.name, "", tree.meshes(folder)


@final
class ModelNet(_Folders):
    """``<class>/train/<class>_0001.off`` and ``<class>/test/...``, or meshes of other formats there."""

    pattern: ClassVar[str] = "<class>/{train,test}/<model>.off"

    def _meshes(self, tree: Tree) -> Iterator[tuple[str, str, list[Path]]]:
        for parent in tree.folders(tree.path):
            for folder in tree.folders(parent):
                split = split_of(folder.name)
                if split:
                    yield parent.name, split, tree.meshes(folder)
