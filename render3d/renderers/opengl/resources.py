"""What a context keeps between calls: bounded, and reused rather than made anew."""

import collections
import weakref
from typing import Any, final

import moderngl
import numpy as np
import numpy.typing as npt
from torch import Tensor

from render3d.errors import GraphicsError
from render3d.renderers.opengl.atlas import Atlas
from render3d.renderers.opengl.shaders import ProgramKey

_MOST_TEXTURES = 16


@final
class Resources:
    """Framebuffer, buffers, textures and programs of one context, and the memory that attachments are read into."""

    def __init__(self, gl: moderngl.Context) -> None:
        self.atlas = Atlas(gl)
        self.buffers = StreamBuffers(gl)
        self.textures = TextureCache(gl)
        self.programs: dict[ProgramKey, moderngl.Program] = {}
        self.memory: dict[str, bytearray] = collections.defaultdict(bytearray)


@final
class StreamBuffers:
    """Buffers that are written anew for every draw; grown when a write needs more room, and kept."""

    def __init__(self, gl: moderngl.Context) -> None:
        self._gl = gl
        self._buffers: dict[str, moderngl.Buffer] = {}

    @property
    def size(self) -> int:
        """Bytes of all of them."""
        return sum(buffer.size for buffer in self._buffers.values())

    def write(self, name: str, data: npt.NDArray[Any]) -> moderngl.Buffer:
        """The buffer of that name, holding ``data`` at its beginning."""
        buffer = self._buffers.get(name)
        if buffer is None or buffer.size < data.nbytes:
            if buffer is not None:
                buffer.release()
            buffer = self._buffers[name] = self._gl.buffer(reserve=1 << max(12, (data.nbytes - 1).bit_length()))
        buffer.write(np.ascontiguousarray(data))
        return buffer


@final
class TextureCache:
    """The most recently used images, uploaded once each."""

    def __init__(self, gl: moderngl.Context) -> None:
        self._gl = gl
        self._kept: collections.OrderedDict[int, tuple[weakref.ref[Tensor], int, moderngl.Texture]] = (
            collections.OrderedDict()
        )

    def get(self, image: Tensor) -> moderngl.Texture:
        """The texture of ``image`` ``[H, W, 3]``, linear light; row 0 has texture coordinate 0."""
        known = self._kept.pop(id(image), None)
        if known is not None and (known[0]() is not image or known[1] != image._version):
            known[2].release()
            known = None
        self._release_unused()
        if known is None:
            known = (weakref.ref(image), image._version, self._upload(image))
        self._kept[id(image)] = known
        while len(self._kept) > _MOST_TEXTURES:
            _, (_, _, oldest) = self._kept.popitem(last=False)
            oldest.release()
        return known[2]

    def _release_unused(self) -> None:
        """Images that are gone cannot be asked for again, and a large one takes a hundred MiB."""
        for key in [key for key, (image, _, _) in self._kept.items() if image() is None]:
            self._kept.pop(key)[2].release()

    def _upload(self, image: Tensor) -> moderngl.Texture:
        largest = self._gl.info["GL_MAX_TEXTURE_SIZE"]
        if max(image.shape) > largest:  # OpenGL would draw it black
            raise GraphicsError(
                f"texture.image has shape {list(image.shape)}, and this OpenGL takes at most {largest} pixels along a "
                "side. Shrink it."
            )
        pixels = np.ascontiguousarray(image.detach().cpu().numpy(), np.float16)
        texture = self._gl.texture((image.shape[1], image.shape[0]), 3, pixels.tobytes(), alignment=1, dtype="f2")
        texture.filter = (moderngl.LINEAR, moderngl.LINEAR)
        return texture
