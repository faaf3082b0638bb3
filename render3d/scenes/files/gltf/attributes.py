"""The vertices of a primitive: from accessors or a Draco buffer, and moved by morph targets (section 3.7.2)."""

from collections.abc import Sequence
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from render3d.errors import MeshError
from render3d.scenes.files.gltf.accessors import SIZES, demand_data, fractions, has_data, stored
from render3d.scenes.files.gltf.document import Document
from render3d.scenes.files.gltf.draco import EXTENSION, Unpacked, unpack
from render3d.scenes.files.gltf.entries import Entry
from render3d.scenes.files.raw import Floats, Integers

# Integers of these are fractions of their largest, also in files that forget to say so.
_FRACTIONS = ("COLOR", "WEIGHTS")


@final
class Attributes:
    """The attributes of the vertices of a primitive: ``positions [V, 3]``, and others by name.

    Args:
        document: The file.
        primitive: The primitive.
        weights: Of its morph targets; what is missing is 0.

    Raises:
        MeshError: No positions, or none that can be read.
    """

    def __init__(self, document: Document, primitive: Entry, weights: Sequence[float]) -> None:
        self._document = document
        self._entry = primitive.entry("attributes")
        targets = primitive.entries("targets")
        self._targets = [(target, weight) for target, weight in zip(targets, weights, strict=False) if weight]
        if not self.has("POSITION"):
            raise MeshError("it has no POSITION")
        self.unpacked = _unpacked(document, primitive)
        if not self._is_unpacked("POSITION"):
            demand_data(self._accessor(self._entry, "POSITION"))
        self.positions = self._moved("POSITION", ("VEC3",))

    def has(self, name: str) -> bool:
        """Whether there is an attribute of that name."""
        return self._entry.has(name)

    def values(self, name: str, *types: str) -> Floats:
        """``[V, size]`` of an attribute; see `stored`.

        Raises:
            MeshError: It is not there, cannot be read, or is not of as many vertices as the positions.
        """
        return self._of_all(name, self._moved(name, types))

    def joints(self, name: str) -> Integers:
        """``[V, 4]`` indices of joints; see `values`."""
        joints = self._stored(self._entry, name, ("VEC4",))
        if joints.dtype.kind != "u":
            raise MeshError(f"{name} must be of unsigned integers; got {joints.dtype}")
        return self._of_all(name, joints).astype(np.int64)

    def optional(self, name: str, *types: str) -> Floats | None:
        """As `values`, or None: where there is none, or, with a note, where it cannot be read."""
        if not self.has(name):
            return None
        try:
            return self.values(name, *types)
        except MeshError as error:
            self._document.note(f"{self._entry.where}.{name} is left out: {error}.")
            return None

    def _of_all(self, name: str, values: NDArray[Any]) -> NDArray[Any]:
        if len(values) != len(self.positions):
            raise MeshError(f"{name} has {len(values)} rows for {len(self.positions)} vertices")
        return values

    def _moved(self, name: str, types: tuple[str, ...]) -> Floats:
        values = self._decoded(self._entry, name, types)
        for target, weight in self._targets:
            if target.has(name):
                change = self._decoded(target, name, types)
                if change.shape != values.shape:
                    raise MeshError(f"{target.where}.{name} must be as {name}, {values.shape}; got {change.shape}")
                values = values + weight * change
        return values.clip(0, 1) if self._targets and name.startswith("COLOR") else values

    def _decoded(self, attributes: Entry, name: str, types: tuple[str, ...]) -> Floats:
        values = self._stored(attributes, name, types)
        normalized = self._accessor(attributes, name).values.get("normalized") is True
        return fractions(values) if normalized or name.startswith(_FRACTIONS) else values.astype(np.float64)

    def _stored(self, attributes: Entry, name: str, types: tuple[str, ...]) -> NDArray[Any]:
        if attributes is self._entry and self._is_unpacked(name):
            assert self.unpacked is not None
            values = self.unpacked.attributes[name]
            if values.ndim != 2 or values.shape[1] not in [SIZES[kind] for kind in types]:
                raise MeshError(f"{name} must be {' or '.join(types)}; its Draco buffer has shape {values.shape}")
            return values
        return stored(self._document, self._accessor(attributes, name), *types)

    def _is_unpacked(self, name: str) -> bool:
        return self.unpacked is not None and name in self.unpacked.attributes

    def _accessor(self, attributes: Entry, name: str) -> Entry:
        return self._document.item("accessors", attributes.integer(name))


def _unpacked(document: Document, primitive: Entry) -> Unpacked | None:
    """What a Draco buffer holds; None without one, or where it cannot be decompressed but a plain copy is there."""
    compressed = primitive.extension(EXTENSION)
    if compressed is None:
        return None
    try:
        return unpack(document, compressed)
    except MeshError:
        copies = [primitive.entry("attributes").integer("POSITION")]
        copies += [primitive.integer("indices")] if primitive.has("indices") else []
        if all(has_data(document.item("accessors", index)) for index in copies):
            return None
        raise
