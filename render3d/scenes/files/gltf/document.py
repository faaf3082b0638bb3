"""A glTF file taken apart: its JSON, and the bytes of its buffers."""

import base64
import binascii
import json
import struct
from typing import Any, NoReturn, final
from urllib.parse import unquote_to_bytes

from render3d.errors import MeshError
from render3d.scenes.files.folder import Folder
from render3d.scenes.files.gltf.entries import Entry

_JSON, _BINARY = 0x4E4F534A, 0x004E4942  # types of the chunks of a GLB
_MESHOPT = ("EXT_meshopt_compression", "KHR_meshopt_compression")


@final
class Document:
    """The JSON of a glTF or GLB file as ``root``, and what it refers to: files of the folder, data URIs, the GLB chunk.

    Args:
        content: The file.
        folder: Where files beside it are read from; its ``problems`` list what is left out.

    Raises:
        MeshError: No glTF 2.0, or truncated.
    """

    def __init__(self, content: bytes, folder: Folder) -> None:
        text, self._binary = _chunks(content) if content[:4] == b"glTF" else (content, None)
        self.root = Entry(_parsed(text), "")
        self.folder = folder
        self._lists: dict[str, list[Entry]] = {}
        self._buffers: dict[int, bytes] = {}
        version = str(self.root.entry("asset").values.get("version", "2.0"))[:10]
        if not version.startswith("2"):
            raise MeshError(f"it is glTF {version}; only glTF 2.0 is read. Convert it to glTF 2.0")

    def note(self, problem: str) -> None:
        """List a problem, once."""
        if problem not in self.folder.problems:
            self.folder.problems.append(problem)

    def all(self, kind: str) -> list[Entry]:
        """The objects of one of the lists at the top, such as ``nodes``."""
        if kind not in self._lists:
            self._lists[kind] = self.root.entries(kind)
        return self._lists[kind]

    def item(self, kind: str, index: int) -> Entry:
        """One of them.

        Raises:
            MeshError: There are not so many.
        """
        items = self.all(kind)
        if index >= len(items):
            raise MeshError(f"{kind}[{index}] is referred to; there are {len(items)} {kind}")
        return items[index]

    def view(self, index: int) -> memoryview:
        """The bytes of a buffer view.

        Raises:
            MeshError: They are not all there, or compressed by meshopt without an uncompressed copy.
        """
        entry = self.item("bufferViews", index)
        if entry.extension(*_MESHOPT) is not None and not self._has_data(entry.integer("buffer")):
            raise MeshError(
                f"{entry.where} is compressed by meshopt (EXT_meshopt_compression), which cannot be read. Export it "
                "without that compression"
            )
        return _part(self._buffer(entry.integer("buffer")), entry)

    def bytes_of(self, uri: str) -> bytes | None:
        """The content of a data URI, or of a file of the folder, or None and a note.

        Raises:
            MeshError: A data URI that is broken.
        """
        return _of_data_uri(uri) if uri[:5].lower() == "data:" else self.folder.read(uri)

    def _has_data(self, buffer: int) -> bool:
        return self.item("buffers", buffer).has("uri") or (buffer == 0 and self._binary is not None)

    def _buffer(self, index: int) -> bytes:
        if index not in self._buffers:
            entry = self.item("buffers", index)
            if not self._has_data(index):
                raise MeshError(f"{entry.where} has no data: neither a uri nor the chunk of a GLB")
            content = self.bytes_of(entry.text("uri", "")) if entry.has("uri") else self._binary
            if content is None:
                raise MeshError(f"{entry.where} could not be read")
            self._buffers[index] = content
        return self._buffers[index]


def _part(content: bytes, entry: Entry) -> memoryview:
    start, length = entry.integer("byteOffset", 0), entry.integer("byteLength")
    end = start + length
    if end > len(content):
        raise MeshError(f"{entry.where} ends at byte {end} of a buffer of {len(content)} bytes: truncated or broken")
    return memoryview(content)[start:end]


def _chunks(content: bytes) -> tuple[bytes, bytes | None]:
    """The JSON of a GLB and its binary chunk, or None; chunks of other types are passed over, as is demanded."""
    if len(content) >= 8 and (version := struct.unpack("<I", content[4:8])[0]) != 2:
        raise MeshError(f"it is GLB version {version}; only version 2 is read. Convert it to glTF 2.0")
    if len(content) < 20 or len(content) < (length := struct.unpack("<I", content[8:12])[0]):
        raise MeshError(f"truncated: {len(content)} bytes, fewer than it announces; fetch the file again")
    chunks: dict[int, bytes] = {}
    start = 12
    while start + 8 <= length:
        size, kind = struct.unpack("<II", content[start : start + 8])
        if start + 8 + size > length:
            raise MeshError(f"truncated or broken: a chunk of {size} bytes goes beyond its end; fetch the file again")
        chunks.setdefault(kind, content[start + 8 : start + 8 + size])
        start += 8 + size
    if _JSON not in chunks:
        raise MeshError("broken: a GLB without JSON; fetch the file again")
    return chunks[_JSON], chunks.get(_BINARY)


def _parsed(text: bytes) -> dict[str, Any]:
    try:
        # A byte order mark is not allowed, but met.
        parsed = json.loads(text.decode("utf-8-sig"), parse_constant=_refused)
    except (ValueError, RecursionError) as error:
        raise MeshError(f"no glTF file, truncated or broken: {error}") from error
    if not isinstance(parsed, dict):
        raise MeshError("no glTF file: its JSON is no object")
    return parsed


def _refused(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no JSON")


def _of_data_uri(uri: str) -> bytes:
    header, comma, data = uri.partition(",")
    if not comma:
        raise MeshError(f"the data URI {uri[:40]!r} has no comma: truncated or broken")
    content = unquote_to_bytes(data)
    if not header.lower().endswith(";base64"):
        return content
    try:
        return base64.b64decode(content + b"=" * (-len(content) % 4))
    except binascii.Error as error:
        raise MeshError(f"the data URI {uri[:40]!r} is no base64: {error}") from error
