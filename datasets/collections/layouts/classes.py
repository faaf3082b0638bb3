"""A folder for each class, meshes in it."""

from collections.abc import Iterator
from typing import ClassVar, final

from render3d.datasets.collections.collection import split_of
from render3d.datasets.collections.layouts.layout import CollectionLayout, FoundObject
from render3d.datasets.collections.tree import Tree


@final
class Classes(CollectionLayout):
    """``<class>/<model>.obj`` and so on; the class is the name of the folder."""

    pattern: ClassVar[str] = "<class>/<model>.{obj,off,ply,stl,glb,gltf}"

    def fits(self, tree: Tree) -> bool:
        """Whether folders have meshes.

        Not if they are splits; nor if each has a single mesh, all of one name, as folders of models have.
        """
        held = [tree.meshes(folder) for folder in tree.folders(tree.path) if not split_of(folder.name)]
        names = [tuple(path.name for path in paths) for paths in held if paths]
        are_models = len(names) > 1 and len(set(names)) == 1 and len(names[0]) == 1
        return bool(names) and not are_models

    def find(self, tree: Tree) -> Iterator[FoundObject]:
        """All meshes in folders of classes."""
        for folder in tree.folders(tree.path):
            for path in tree.meshes(folder):
                yield FoundObject(tree.name_of(path), path, folder.name)
