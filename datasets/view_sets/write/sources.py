"""What the pictures of a shape were made from, and whether it is still there."""

import dataclasses
from collections.abc import Mapping
from typing import Any, Self, final

from render3d.datasets.collections import CollectionObject
from render3d.datasets.collections.checksums import sha256_of
from render3d.errors import MeshError
from render3d.scenes.files.meshes import checksums_beside


@final
@dataclasses.dataclass(frozen=True)
class MeshSource:
    """The files of a shape, known by their content.

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

    def is_there(self, shape: CollectionObject) -> bool:
        """Whether the files of a shape are these now: none has changed, gone or been added."""
        if not self.sha256 or self.sha256 != source_checksum(shape):
            return False
        try:
            return checksums_beside(shape.path, shape.root, self.files) == self.files
        except MeshError:
            return False


def source_checksum(shape: CollectionObject) -> str:
    """SHA-256 of the mesh file of a shape; empty if it cannot be read."""
    try:
        return sha256_of(shape.path)
    except OSError:
        return ""
