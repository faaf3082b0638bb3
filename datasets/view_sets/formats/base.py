"""The seam between pictures and how they lie on disk."""

from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Protocol

from render3d.cameras import Cameras
from render3d.datasets.collections import CollectionObject
from render3d.datasets.view_sets.write.rendered import RenderedObject

OBJECT = "object.json"
"""The file that each object's folder has last: the facts, and the SHA-256 of every other file by its name."""


class Layout(Protocol):
    """Where the files of objects are, and what is in them."""

    @property
    def name(self) -> str:
        """As it is chosen on the command line."""
        ...

    def check(self, cameras: Cameras, outputs: Sequence[str]) -> None:
        """Find out, before anything is rendered, whether it has room for pictures of this kind.

        Raises:
            DatasetError: It has none.
        """
        ...

    def place(self, shape: CollectionObject) -> PurePosixPath:
        """The folder of an object, in the folder of the run; no two shapes of a collection share one."""
        ...

    def files(self, rendered: RenderedObject) -> Iterator[tuple[str, bytes]]:
        """The files of an object by their names in its folder, all but `OBJECT`: a function of what is rendered."""
        ...

    def finish(self, folder: Path, shapes: Sequence[CollectionObject]) -> None:
        """Whatever is made of the folders of all objects together, such as shards; done anew it changes nothing.

        Args:
            folder: Of the run.
            shapes: Those that are stored whole, in the order of their ids.
        """
        ...
