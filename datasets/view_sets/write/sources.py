"""What the images of an object were made from, and whether it is still there."""

import dataclasses
from collections.abc import Mapping
from typing import Any, Self, final

from render3d.datasets.collections import CollectionObject
from render3d.datasets.collections.checksums import sha256_of
from render3d.datasets.view_sets.write.tables import printable
from render3d.errors import DatasetError, MeshError
from render3d.scenes.files.meshes import checksums_beside


@final
@dataclasses.dataclass(frozen=True)
class MeshSource:
    """The files of an object, known by their content.

    Attributes:
        sha256: Of the mesh file; empty if it cannot be read.
        files: Of each other file that it refers to, as `render3d.scenes.files.meshes.load_mesh` tells them.
    """

    sha256: str
    files: Mapping[str, str]

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """What the record of an object tells of it; a KeyError or TypeError if that is damaged."""
        return cls(values["sha256"], dict(values["files"]))

    def is_there(self, item: CollectionObject) -> bool:
        """Whether the files of an object are these now: none has changed, gone or been added."""
        if not self.sha256 or self.sha256 != source_checksum(item):
            return False
        try:
            return checksums_beside(item.path, item.root, self.files) == self.files
        except MeshError:
            return False


def check_name(item: CollectionObject) -> None:
    """Raise `DatasetError` unless files of results, which are UTF-8, can name the file of an object."""
    path = item.path.relative_to(item.root).as_posix()
    try:
        path.encode()
    except UnicodeEncodeError as error:
        raise DatasetError(
            f"The name of its file, {printable(path)}, is not UTF-8, and files of results are: rename it."
        ) from error


def source_checksum(item: CollectionObject) -> str:
    """SHA-256 of the mesh file of an object; empty if it cannot be read."""
    try:
        return sha256_of(item.path)
    except OSError:
        return ""
