"""Read glTF files."""

import dataclasses
from collections import Counter
from pathlib import Path
from typing import final

import numpy as np

from render3d.errors import MeshError
from render3d.scenes.files.folder import Folder
from render3d.scenes.files.gltf.document import Document
from render3d.scenes.files.gltf.entries import Entry
from render3d.scenes.files.gltf.extensions import check_extensions
from render3d.scenes.files.gltf.materials import Materials
from render3d.scenes.files.gltf.nodes import instances, read_nodes
from render3d.scenes.files.gltf.placing import bent, placed
from render3d.scenes.files.gltf.primitives import Primitive, read_primitive
from render3d.scenes.files.gltf.skins import joint_matrices
from render3d.scenes.files.raw import Floats, RawMesh, join

_MOST_ROWS = 200_000_000  # vertices and faces: small files can be made to place a mesh any number of times


def read_gltf(path: Path, folder: Folder) -> RawMesh:
    """Read glTF 2.0, binary or not: the meshes of its scene, each in its place and in its rest pose.

    Vertex and base colours are linear, images sRGB. Positions are those of the default morph weights and of the joints
    of skins, as they stand in the file; animations are passed over. What cannot be read of it, or drawn, is listed in
    the problems of ``folder``.

    Raises:
        MeshError: It is broken, requires what is not read, or nothing in it can be drawn.
    """
    try:
        document = Document(path.read_bytes(), folder)
        check_extensions(document)
        with np.errstate(all="ignore"):  # infinite positions are found later
            return _Reader(document).read()
    except MeshError as error:
        raise MeshError(f"{path}: {str(error).removesuffix('.')}.") from error


@final
class _Reader:
    """The parts of a scene that were read so far, and why others were not."""

    def __init__(self, document: Document) -> None:
        self._document = document
        self._materials = Materials(document)
        self._nodes = read_nodes(document)
        self._primitives: dict[tuple[str, tuple[float, ...]], Primitive] = {}
        self._parts: list[RawMesh] = []
        self._rows = 0
        self._left_out: dict[str, set[str]] = {}

    def read(self) -> RawMesh:
        for node, transform in self._nodes.placed:
            try:
                self._read_node(node, transform)
            except MeshError as error:
                self._leave_out(node.where, error)
        self._note_left_out()
        if not self._parts:
            problems = " ".join(self._document.folder.problems) or "its scene places no meshes."
            raise MeshError(f"{problems} There are no faces that can be drawn")
        return dataclasses.replace(join(self._parts), images=tuple(self._materials.images))

    def _read_node(self, node: Entry, transform: Floats) -> None:
        mesh = self._document.item("meshes", node.integer("mesh"))
        weights = node.numbers("weights") if node.has("weights") else mesh.numbers("weights")
        copies = instances(self._document, node)
        transforms = transform[None] if copies is None else transform @ copies
        joints = None
        if node.has("skin"):
            joints = joint_matrices(self._document, node.integer("skin"), self._nodes.transforms)
        shared = _shared_positions(mesh)
        for primitive in mesh.entries("primitives"):
            try:
                self._add(self._primitive(primitive, weights, shared), transforms, joints)
            except MeshError as error:
                self._leave_out(primitive.where, error)

    def _primitive(self, entry: Entry, weights: list[float], shared: set[int]) -> Primitive:
        """A primitive of a mesh, which several nodes may place, read once."""
        key = (entry.where, tuple(weights))
        if key not in self._primitives:
            primitive = read_primitive(self._document, entry, weights, self._materials)
            is_shared = entry.entry("attributes").integer("POSITION") in shared
            self._primitives[key] = primitive.compact() if is_shared else primitive
        return self._primitives[key]

    def _add(self, primitive: Primitive, transforms: Floats, joints: Floats | None) -> None:
        copies = 1 if joints is not None and primitive.binding is not None else len(transforms)
        rows = copies * (len(primitive.raw.vertices) + len(primitive.raw.faces))
        if self._rows + rows > _MOST_ROWS:
            raise MeshError(f"with it, the scene would have more than {_MOST_ROWS:,} vertices and faces")
        self._rows += rows
        if joints is not None and primitive.binding is not None:
            self._parts.append(bent(primitive, joints))  # the place of the node does not count
        elif copies:
            self._parts.append(placed(primitive.raw, transforms))

    def _leave_out(self, where: str, error: MeshError) -> None:
        self._left_out.setdefault(str(error), set()).add(where)

    def _note_left_out(self) -> None:
        for reason, places in self._left_out.items():
            others = f" and {len(places) - 1} more are" if len(places) > 1 else " is"
            self._document.note(f"{min(places)}{others} left out: {reason}.")


def _shared_positions(mesh: Entry) -> set[int]:
    """The accessors of positions of which several primitives of a mesh have a part each."""
    attributes = [primitive.values.get("attributes") for primitive in mesh.entries("primitives")]
    positions = [each.get("POSITION") for each in attributes if isinstance(each, dict)]
    counts = Counter(position for position in positions if isinstance(position, int))
    return {position for position, count in counts.items() if count > 1}
