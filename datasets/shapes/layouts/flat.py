"""Meshes in one folder."""

import dataclasses
from collections.abc import Iterator
from typing import ClassVar, final

from render3d.datasets.shapes.layouts.layout import Found
from render3d.datasets.shapes.tree import Tree


@final
@dataclasses.dataclass(frozen=True)
class Flat:
    """``<model>.obj`` and so on, without classes."""

    name: ClassVar[str] = "flat"
    pattern: ClassVar[str] = "<model>.{obj,off,ply,stl,glb,gltf}"

    def fits(self, tree: Tree) -> bool:
        """Whether the folder has meshes."""
        return bool(tree.meshes(tree.path))

    def find(self, tree: Tree) -> Iterator[Found]:
        """All meshes of the folder."""
        for path in tree.meshes(tree.path):
            yield Found(tree.name_of(path), path)


FLAT = Flat()
