"""The seam between collections of meshes and how they lie on disk."""

import abc
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar, NamedTuple

from render3d.datasets.collections.tree import Tree


class FoundObject(NamedTuple):
    """A place where a layout has a mesh; whether one is there is not yet known.

    Attributes:
        name: What the id is made from, its parts joined by ``/``.
        path: Of the file of the mesh.
        label: The name of its class, or empty.
        split: ``"train"``, ``"validation"``, ``"test"``, or empty.
        creator: Who made the mesh, or empty.
        licence: Under which it may be used, or empty.
    """

    name: str
    path: Path
    label: str = ""
    split: str = ""
    creator: str = ""
    licence: str = ""


class CollectionLayout(abc.ABC):
    """Where a collection has its meshes, and how it tells their classes and splits.

    A layout is made without arguments; one of your own is named ``module:Class``.

    Attributes:
        pattern: Where the meshes are, for people.
    """

    pattern: ClassVar[str]

    @abc.abstractmethod
    def fits(self, tree: Tree) -> bool:
        """Whether a tree is laid out like this, by a look at a few of its files."""

    @abc.abstractmethod
    def find(self, tree: Tree) -> Iterator[FoundObject]:
        """Yield all places of meshes; what is broken is noted by ``tree.skip``.

        What is yielded need not be checked: `open_collection` leaves out what is missing, empty or no mesh, and links
        and paths that lead out of the folder.

        Raises:
            DatasetError: What lists the meshes cannot be read.
        """
