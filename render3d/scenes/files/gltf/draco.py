"""KHR_draco_mesh_compression, by the library DracoPy."""

import dataclasses
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from render3d.errors import MeshError, RendererError
from render3d.optional import DRACO
from render3d.scenes.files.gltf.document import Document
from render3d.scenes.files.gltf.entries import Entry
from render3d.scenes.files.raw import Integers

EXTENSION = "KHR_draco_mesh_compression"


@final
@dataclasses.dataclass(frozen=True, eq=False)
class Unpacked:
    """What a Draco buffer holds: faces ``[F, 3]``, and attributes ``[V, size]``, as stored, by their names."""

    faces: Integers
    attributes: dict[str, NDArray[Any]]


def unpack(document: Document, compressed: Entry) -> Unpacked:
    """Decompress the triangles of a primitive.

    Args:
        document: The file.
        compressed: The extension's object of the primitive.

    Raises:
        MeshError: DracoPy is not installed; what it cannot decode; an attribute that the buffer does not hold.
    """
    try:
        library = DRACO.load()
    except RendererError as error:
        raise MeshError(f"it is compressed by Draco ({EXTENSION}). {str(error).removesuffix('.')}") from error
    content = bytes(document.view(compressed.integer("bufferView")))
    try:
        mesh = library.decode(content)
        if not hasattr(mesh, "faces"):  # a point cloud
            raise MeshError("its Draco buffer holds points without faces")
        faces = np.asarray(mesh.faces, dtype=np.int64).reshape(-1, 3)
        arrays = {each["unique_id"]: np.asarray(each["data"]) for each in mesh.attributes}
    except MeshError:
        raise
    except Exception as error:  # the library raises its own, and others
        raise MeshError(f"its Draco buffer cannot be decoded ({type(error).__name__}: {error})") from error
    names = compressed.entry("attributes")
    try:
        return Unpacked(faces, {name: arrays[names.integer(name)] for name in names.values})
    except KeyError as error:
        raise MeshError(f"its Draco buffer has no attribute {error}") from error
