"""The seam between collections of meshes and how they lie on disk."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, Protocol

from render3d.datasets.collections.tree import Tree


class FoundObject(NamedTuple):
    """A place where a layout has a mesh; whether one is there is not yet known."""

    name: str  # what the id is made from
    path: Path
    label: str = ""
    split: str = ""
    creator: str = ""
    licence: str = ""


class CollectionLayout(Protocol):
    """Where a collection has its meshes, and how it tells their classes and splits."""

    @property
    def name(self) -> str:
        """As it is chosen."""
        ...

    @property
    def pattern(self) -> str:
        """Where the meshes are, for people."""
        ...

    def fits(self, tree: Tree) -> bool:
        """Whether a tree is laid out like this, as told by a few of its files."""
        ...

    def find(self, tree: Tree) -> Iterator[FoundObject]:
        """All places of meshes; what is broken is noted by ``tree.skip``."""
        ...
