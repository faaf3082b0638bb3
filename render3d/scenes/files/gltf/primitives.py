"""Primitives before they are placed: triangles, and the colour and the image that lie on them."""

import dataclasses
from collections.abc import Sequence
from typing import final

import numpy as np

from render3d.scenes.files.gltf.attributes import Attributes
from render3d.scenes.files.gltf.document import Document
from render3d.scenes.files.gltf.entries import Entry
from render3d.scenes.files.gltf.materials import BaseColor, Materials
from render3d.scenes.files.gltf.skins import Binding, read_binding
from render3d.scenes.files.gltf.triangles import demand_triangles, read_faces
from render3d.scenes.files.raw import RawMesh

_ROUNDING = 1e-3  # how far beyond 0-1 a texture coordinate may lie by rounding alone


@final
@dataclasses.dataclass(frozen=True, eq=False)
class Primitive:
    """A primitive in the coordinates of its mesh, and what binds it to joints, if anything.

    Its ``face_image`` counts ``Materials.images``, and its own ``images`` are empty.
    """

    raw: RawMesh
    binding: Binding | None

    def compact(self) -> "Primitive":
        """The same without vertices of no face."""
        raw, binding = self.raw, self.binding
        used = np.zeros(len(raw.vertices), dtype=bool)
        used[raw.faces] = True
        compact = dataclasses.replace(
            raw,
            vertices=raw.vertices[used],
            faces=(np.cumsum(used) - 1)[raw.faces],
            vertex_colors=None if raw.vertex_colors is None else raw.vertex_colors[used],
        )
        return Primitive(compact, None if binding is None else Binding(binding.joints[used], binding.weights[used]))


def read_primitive(document: Document, primitive: Entry, weights: Sequence[float], materials: Materials) -> Primitive:
    """Read a primitive.

    Args:
        document: The file.
        primitive: One of a mesh of it.
        weights: Of its morph targets.
        materials: Those of the file.

    Raises:
        MeshError: It has no triangles, or its positions, indices or joints cannot be read.
    """
    demand_triangles(primitive)
    attributes = Attributes(document, primitive, weights)
    raw = RawMesh(vertices=attributes.positions, faces=read_faces(document, primitive, attributes))
    binding = read_binding(attributes)
    base = materials.read(primitive.integer("material")) if primitive.has("material") else None
    colors = attributes.optional("COLOR_0", "VEC3", "VEC4")
    if base is None:
        return Primitive(dataclasses.replace(raw, vertex_colors=None if colors is None else colors[:, :3]), binding)
    if base.blends and colors is not None and bool((colors[:, 3:] < 1).any()):
        document.note(f"Material {base.label} is transparent; drawn opaque.")
    raw = dataclasses.replace(
        raw,
        vertex_colors=None if colors is None else colors[:, :3] * base.color,
        face_colors=np.tile(base.color, (len(raw.faces), 1)),
    )
    return Primitive(raw if base.image is None else _textured(document, raw, attributes, base), binding)


def _textured(document: Document, raw: RawMesh, attributes: Attributes, base: BaseColor) -> RawMesh:
    """The same with the image of its material; vertex colours that change nothing are left out."""
    colors, image, mapping = raw.vertex_colors, base.image, base.mapping
    assert image is not None
    uv = attributes.optional(f"TEXCOORD_{mapping.texcoord}", "VEC2")
    if uv is not None:
        uv = mapping.placed(uv)
        beyond = ((uv < -_ROUNDING) | (uv > 1 + _ROUNDING)).any(0)
        if bool((beyond & ~np.array(mapping.repeats)).any()):
            document.note(f"Material {base.label} does not repeat its texture beyond 0-1; drawn repeated.")
        uv[:, 1] = 1 - uv[:, 1]  # that of the file points down
    return dataclasses.replace(
        raw,
        vertex_colors=None if colors is None or bool((colors == base.color).all()) else colors,
        corner_uv=None if uv is None else uv[raw.faces],
        face_image=np.full(len(raw.faces), image, dtype=np.int64),
    )
