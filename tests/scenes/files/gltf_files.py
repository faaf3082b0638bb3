"""Small glTF files, put together from their JSON and arrays."""

import io
import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image

COMPONENTS = {"int8": 5120, "uint8": 5121, "int16": 5122, "uint16": 5123, "uint32": 5125, "float32": 5126}
SQUARE = [[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]]
CORNERS = [0, 1, 2, 0, 2, 3]


class GltfFile:
    """The JSON of a file, ``header``, and its only buffer, ``content``."""

    def __init__(self, **header: Any) -> None:
        self.content = bytearray()
        self.header: dict[str, Any] = {"asset": {"version": "2.0"}, "scene": 0, "scenes": [{"nodes": [0]}], **header}
        self.header.setdefault("nodes", [{"mesh": 0}])

    def add(self, kind: str, **entry: Any) -> int:
        """Append an object to a list of the JSON and return its index."""
        self.header.setdefault(kind, []).append(entry)
        return len(self.header[kind]) - 1

    def view(self, data: bytes, **entry: Any) -> int:
        """Append bytes to the buffer, aligned to 4, and return the index of their buffer view."""
        self.content += bytes(-len(self.content) % 4)
        start = len(self.content)
        self.content += data
        return self.add("bufferViews", buffer=0, byteOffset=start, byteLength=len(data), **entry)

    def accessor(self, values: ArrayLike, dtype: str = "float32", **entry: Any) -> int:
        """An accessor of scalars ``[N]`` or vectors ``[N, size]``; of matrices with ``type`` given."""
        array = np.asarray(values, dtype=dtype)
        kind = "SCALAR" if array.ndim == 1 else f"VEC{array.shape[1]}"
        return self.accessor_of(
            array, **{"bufferView": self.view(array.tobytes()), "count": len(array), "type": kind, **entry}
        )

    def accessor_of(self, array: NDArray[Any], **entry: Any) -> int:
        """An accessor of the component type of an array, whose bytes it does not add."""
        return self.add("accessors", componentType=COMPONENTS[array.dtype.name], **entry)

    def square(self, **more: Any) -> dict[str, Any]:
        """A primitive: the square from (0, 0) to (1, 1) in two triangles."""
        attributes = {"POSITION": self.accessor(SQUARE)} | more.pop("attributes", {})
        return {"attributes": attributes, "indices": self.accessor(CORNERS, "uint16"), **more}

    def image(self, pixels: ArrayLike, file_format: str = "PNG") -> int:
        """An embedded image of 8 bits."""
        file = io.BytesIO()
        Image.fromarray(np.asarray(pixels, dtype=np.uint8)).save(file, format=file_format, lossless=True)
        return self.add("images", bufferView=self.view(file.getvalue()), mimeType=f"image/{file_format.lower()}")

    def save(self, path: Path) -> Path:
        """Write a GLB, and return its path."""
        header = {**self.header, "buffers": self.header.get("buffers", [{"byteLength": len(self.content)}])}
        text = json.dumps(header).encode()
        text += b" " * (-len(text) % 4)
        binary = bytes(self.content) + bytes(-len(self.content) % 4)
        chunks = struct.pack("<II", len(text), 0x4E4F534A) + text + struct.pack("<II", len(binary), 0x004E4942) + binary
        path.write_bytes(struct.pack("<4sII", b"glTF", 2, 12 + len(chunks)) + chunks)
        return path
