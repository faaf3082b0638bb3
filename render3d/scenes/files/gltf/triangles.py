"""The triangles of a primitive, of any of its modes (section 3.7.2.1 of the specification)."""

import numpy as np

from render3d.errors import MeshError
from render3d.scenes.files.gltf.accessors import demand_data, unsigned
from render3d.scenes.files.gltf.attributes import Attributes
from render3d.scenes.files.gltf.document import Document
from render3d.scenes.files.gltf.entries import Entry
from render3d.scenes.files.raw import Integers

_MODES = ("points", "lines", "a line loop", "a line strip", "triangles", "a triangle strip", "a triangle fan")
_TRIANGLES, _STRIP, _FAN = 4, 5, 6


def demand_triangles(primitive: Entry) -> int:
    """The mode of a primitive.

    Raises:
        MeshError: It is not one of triangles.
    """
    mode = primitive.integer("mode", _TRIANGLES)
    if mode not in (_TRIANGLES, _STRIP, _FAN):
        raise MeshError(f"it is of {_MODES[mode] if mode < len(_MODES) else f'the unknown mode {mode}'}, without faces")
    return mode


def read_faces(document: Document, primitive: Entry, attributes: Attributes) -> Integers:
    """Read the faces ``[F, 3]`` of a primitive; those of vertices that are not there are noted and left out.

    Raises:
        MeshError: None is left.
    """
    mode, count = demand_triangles(primitive), len(attributes.positions)
    if attributes.unpacked is not None:
        return _in_range(document, primitive, attributes.unpacked.faces, count)
    if primitive.has("indices"):
        accessor = document.item("accessors", primitive.integer("indices"))
        demand_data(accessor)
        corners = unsigned(document, accessor, "SCALAR")[:, 0]
    else:
        corners = np.arange(count)
    if mode == _TRIANGLES and len(corners) % 3:
        document.note(f"{primitive.where} has {len(corners)} corners, no multiple of 3; the last ones are left out.")
    return _in_range(document, primitive, _triangles(mode, corners), count)


def _in_range(document: Document, primitive: Entry, faces: Integers, count: int) -> Integers:
    """The faces without those of vertices from ``count`` on, which would be drawn between those of other parts."""
    if not len(faces):
        raise MeshError("it has no whole triangle")
    if int(faces.max()) < count:
        return faces
    inside = (faces < count).all(1)
    if not inside.any():
        raise MeshError(f"all its faces are of vertices beyond its {count}")
    lost = len(faces) - int(inside.sum())
    document.note(f"{primitive.where}: {lost} of {len(faces)} faces are of vertices beyond its {count}; left out.")
    return faces[inside]


def _triangles(mode: int, corners: Integers) -> Integers:
    """``[F, 3]`` of the corners in the order of the file; what is left over is no triangle."""
    if mode == _TRIANGLES:
        return corners[: len(corners) // 3 * 3].reshape(-1, 3)
    first = np.arange(max(0, len(corners) - 2))
    if mode == _STRIP:
        odd = first % 2
        faces = corners[np.stack([first, first + 1 + odd, first + 2 - odd], 1)]
    else:
        faces = corners[np.stack([first + 1, first + 2, np.zeros_like(first)], 1)]
    # Strips are stitched together by triangles of two corners.
    a, b, c = faces.T
    stitched: Integers = faces[(a != b) & (b != c) & (c != a)]
    return stitched
