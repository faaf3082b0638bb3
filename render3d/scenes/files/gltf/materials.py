"""Materials: the colour and the image of a surface; all else, which only shades it, is passed over."""

import dataclasses
from typing import final

import numpy as np

from render3d.errors import MeshError
from render3d.scenes.files.gltf.document import Document
from render3d.scenes.files.gltf.entries import Entry
from render3d.scenes.files.gltf.textures import UvMapping, image_index, read_image
from render3d.scenes.files.raw import Floats, Image

_WHITE = (1, 1, 1, 1)
_GLOSSINESS, _TRANSMISSION = "KHR_materials_pbrSpecularGlossiness", "KHR_materials_transmission"


@final
@dataclasses.dataclass(frozen=True, eq=False)
class BaseColor:
    """What is drawn of a material.

    Attributes:
        label: What messages call the material.
        color: ``[3]``, linear light.
        image: The index in ``Materials.images`` of its image, which is multiplied by the colour, or None.
        mapping: Where the image lies.
        blends: Whether what is behind shines through where alpha is below 1.
    """

    label: str
    color: Floats
    image: int | None
    mapping: UvMapping
    blends: bool


@final
class Materials:
    """The materials of a file, each read once, and the ``images`` that they need."""

    def __init__(self, document: Document) -> None:
        self.images: list[Image] = []
        self._document = document
        self._materials: dict[int, BaseColor | None] = {}
        self._decoded: dict[tuple[int, bool], Image | None] = {}
        self._numbers: dict[tuple[int, bool, tuple[float, ...]], int | None] = {}

    def read(self, index: int) -> BaseColor | None:
        """The material of that number, or None and a note; what cannot be drawn of it is noted, too."""
        if index not in self._materials:
            try:
                self._materials[index] = self._read(index, self._document.item("materials", index))
            except MeshError as error:
                self._document.note(f"Material number {index} could not be read: {error}.")
                self._materials[index] = None
        return self._materials[index]

    def _read(self, index: int, material: Entry) -> BaseColor:
        label = repr(material.text("name", "")) if material.has("name") else f"number {index}"
        glossiness = material.extension(_GLOSSINESS)
        if glossiness is not None:
            color, texture = glossiness.vector("diffuseFactor", _WHITE), glossiness.entry("diffuseTexture")
        else:
            metallic = material.entry("pbrMetallicRoughness")
            color, texture = metallic.vector("baseColorFactor", _WHITE), metallic.entry("baseColorTexture")
        mode = material.text("alphaMode", "OPAQUE")
        self._note_alpha(material, label, float(color[3]))
        image, mapping = None, UvMapping.of(self._document, texture)
        if texture.values:
            image = self._image(texture, color[:3], with_alpha=mode != "OPAQUE")
            if image is None:
                self._document.note(f"The texture of material {label} could not be read.")
        return BaseColor(label, color[:3], image, mapping, mode == "BLEND")

    def _note_alpha(self, material: Entry, label: str, alpha: float) -> None:
        mode, cutoff = material.text("alphaMode", "OPAQUE"), material.number("alphaCutoff", 0.5)
        transmission = material.extension(_TRANSMISSION)
        if mode == "MASK" and alpha < cutoff:
            self._document.note(
                f"Material {label} is invisible, its alpha {alpha:g} being below its cutoff {cutoff:g}; drawn opaque."
            )
        if (mode == "BLEND" and alpha < 1) or (transmission and transmission.number("transmissionFactor", 0) > 0):
            self._document.note(f"Material {label} is transparent; drawn opaque.")

    def _image(self, texture: Entry, color: Floats, *, with_alpha: bool) -> int | None:
        """The number of the image of a texture, multiplied by a colour; None and a note if it cannot be read."""
        try:
            index = image_index(self._document, texture)
            key = index, with_alpha, tuple(color.tolist())
            if key not in self._numbers:
                self._numbers[key] = self._added(self._image_of(index, with_alpha), color)
            return self._numbers[key]
        except MeshError as error:
            self._document.note(f"A texture could not be read: {error}.")
            return None

    def _image_of(self, index: int, with_alpha: bool) -> Image | None:
        if (index, with_alpha) not in self._decoded:
            self._decoded[index, with_alpha] = read_image(self._document, index, with_alpha=with_alpha)
        return self._decoded[index, with_alpha]

    def _added(self, image: Image | None, color: Floats) -> int | None:
        if image is None:
            return None
        self.images.append(image if bool((color == 1).all()) else image * color.astype(np.float32))
        return len(self.images) - 1
