"""One model on disk, and what is known about it."""

import dataclasses
from pathlib import Path
from typing import final

from render3d.scenes import Mesh
from render3d.scenes.files.meshes import load_mesh


@final
@dataclasses.dataclass(frozen=True)
class CollectionObject:
    """One model of a collection, not yet read.

    Attributes:
        id: Unique in its collection, also where letters' case does not count; of letters, digits, ``-``, ``_`` and
            ``.`` in parts joined by ``/``, none of which is ``.`` or ``..``: safe as a path of folders.
        path: The file of the mesh.
        root: The folder that the file and all that it refers to must lie in.
        label: The name of its class; empty where the collection has none.
        split: ``"train"``, ``"validation"`` or ``"test"``; empty where the collection has none.
        creator: Who made the model; empty where the collection does not tell.
        licence: Under which it may be used; likewise.
    """

    id: str
    path: Path
    root: Path
    label: str = ""
    split: str = ""
    creator: str = ""
    licence: str = ""

    def load(self, checksums: dict[str, str] | None = None) -> Mesh:
        """Read the mesh.

        Args:
            checksums: As `render3d.scenes.files.meshes.load_mesh` fills it.

        Raises:
            MeshError: As `Mesh.load`.
        """
        return load_mesh(self.path, self.root, checksums)
