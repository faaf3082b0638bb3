"""Textures: the image that one shows, and where it lies (section 3.8 of the specification)."""

import dataclasses
import math
from typing import Self, final

import numpy as np
from PIL import Image as PillowImage

from render3d.errors import MeshError
from render3d.scenes.files.folder import open_image
from render3d.scenes.files.gltf.document import Document
from render3d.scenes.files.gltf.entries import Entry
from render3d.scenes.files.raw import Floats, Image

_REPEAT = 10497  # GL_REPEAT, the wrap mode of a sampler that names none
_TRANSFORM = "KHR_texture_transform"
_WEBP = "EXT_texture_webp"


@final
@dataclasses.dataclass(frozen=True, eq=False)
class UvMapping:
    """Where an image lies on a surface.

    Attributes:
        texcoord: The set of texture coordinates.
        matrix: ``[2, 3]`` in front of ``(u, v, 1)``, v downwards.
        repeats: Whether the image repeats beyond 0-1 along u and along v.
    """

    texcoord: int
    matrix: Floats
    repeats: tuple[bool, bool]

    @classmethod
    def of(cls, document: Document, info: Entry) -> Self:
        """Where a texture lies, KHR_texture_transform included; the whole of any image where ``info`` names none.

        That extension's text turns coordinates counter-clockwise. The shader that it shows, where v points down, does
        the contrary: the sign here is that of the text, of its example, and of those who implement it
        (https://github.com/KhronosGroup/glTF/issues/1563).
        """
        texcoord, matrix = info.integer("texCoord", 0), np.eye(2, 3)
        if (transform := info.extension(_TRANSFORM)) is not None:
            texcoord, angle = transform.integer("texCoord", texcoord), transform.number("rotation", 0)
            turn = np.array([[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]])
            matrix = np.column_stack([turn * transform.vector("scale", (1, 1)), transform.vector("offset", (0, 0))])
        sampler = _sampler(document, info)
        wraps = (sampler.integer("wrapS", _REPEAT), sampler.integer("wrapT", _REPEAT))
        return cls(texcoord, matrix, (wraps[0] == _REPEAT, wraps[1] == _REPEAT))

    def placed(self, uv: Floats) -> Floats:
        """Coordinates ``[V, 2]`` on the image of those that are stored; v still points down."""
        placed: Floats = uv @ self.matrix[:, :2].T + self.matrix[:, 2]
        return placed


def image_index(document: Document, info: Entry) -> int:
    """Which image a texture shows: that of an extension for images of a kind that can be read, else its own.

    Raises:
        MeshError: It has none, or none but of a kind that cannot be read, such as KTX2 or AVIF.
    """
    texture = document.item("textures", info.integer("index"))
    source = texture.extension(_WEBP) or texture
    if not source.has("source"):
        others = ", ".join(texture.entry("extensions").values) or "no extension"
        raise MeshError(f"{texture.where} has no image of a kind that can be read ({others})")
    return source.integer("source")


def read_image(document: Document, index: int, *, with_alpha: bool) -> Image | None:
    """Read an image as ``[H, W, 3]`` linear light, or None and a note.

    Transparency is noted, except where the material demands that it be ignored, ``with_alpha`` False.

    Raises:
        MeshError: Its bytes are not there.
    """
    entry = document.item("images", index)
    uri = entry.text("uri", "")
    content = document.bytes_of(uri) if uri else bytes(document.view(entry.integer("bufferView")))
    if content is None:
        return None
    name = entry.text("name", "") or (uri if uri and not uri.startswith("data:") else entry.where)

    def opened() -> PillowImage.Image:
        image = open_image(content)
        return image if with_alpha else _without_alpha(image)

    return document.folder.decode(name, opened)


def _sampler(document: Document, info: Entry) -> Entry:
    texture = document.item("textures", info.integer("index")) if info.has("index") else info
    return document.item("samplers", texture.integer("sampler")) if texture.has("sampler") else Entry({}, "")


def _without_alpha(image: PillowImage.Image) -> PillowImage.Image:
    limit = PillowImage.MAX_IMAGE_PIXELS
    if image.mode not in ("RGBA", "LA", "PA", "P") or (limit is not None and image.width * image.height > limit):
        return image  # one above the limit is refused later, unread
    return image.convert("RGB")
