"""Changes of files that say nothing else: comments, blanks in JSON, properties that no reader knows."""

import json
import re
import struct
from collections.abc import Callable
from pathlib import PurePosixPath
from typing import Any

import numpy as np

from tests.fuzz.containers import CONTAINERS
from tests.fuzz.mutations import Files, Generator, Link

_NOTE = b"# 1 2 3 f v OFF\n"


def neutral(files: Files, generator: Generator) -> Files:
    """The files, each changed in a way that its format gives no meaning."""
    return {name: _neutral_file(name, content, generator) for name, content in files.items()}


def _neutral_file(name: str, content: bytes | Link, generator: Generator) -> bytes:
    assert isinstance(content, bytes)  # seeds have no links
    path = PurePosixPath(name)
    change = _CHANGES.get(path.name, _CHANGES.get(path.suffix))
    return content if change is None else change(content, generator)


def _comment(content: bytes, generator: Generator) -> bytes:
    lines = content.splitlines(keepends=True)
    # The last line may have no end, and the first of an OFF names the format.
    lines.insert(int(generator.integers(1, max(2, len(lines)))), _NOTE)
    return b"".join(lines)


def _first_comment(content: bytes, generator: Generator) -> bytes:
    return _NOTE + content


def _second_comment(content: bytes, generator: Generator) -> bytes:
    first, end, rest = content.partition(b"\n")
    return first + end + _NOTE + rest


def _blanks(content: bytes, generator: Generator) -> bytes:
    root = json.loads(content)
    if isinstance(root, dict):
        root = {**root, "render3d_knows_no_such_field": [1, {}]}
    return b"\n " + json.dumps(root, indent=int(generator.integers(5))).encode() + b"\r\n\t "


def _ply(content: bytes, generator: Generator) -> bytes:
    """A comment, and one more property of each vertex where the rows are text."""
    start, end, body = content.partition(b"end_header\n")
    start = start.replace(b"\nelement vertex", b"\ncomment 3 0 1 2\nelement vertex", 1)
    if b"ascii" in start and generator.random() < 0.5:
        rows = body.splitlines(keepends=True)
        count = int(re.search(rb"element vertex (\d+)", start)[1])  # type: ignore[index]
        body = b"".join(b"7.5 " + row if number < count else row for number, row in enumerate(rows))
        start = re.sub(rb"(element vertex \d+\n)", rb"\1property double quality\n", start)
    return start + end + body


def _stl(content: bytes, generator: Generator) -> bytes:
    if content.startswith(b"solid"):
        return re.sub(rb"^solid.*", b"solid of another name", content).replace(b"\n", b"\n \t")
    return b"another header".ljust(80) + content[80:]


def _png(content: bytes, generator: Generator) -> bytes:
    first, *rest = CONTAINERS[".png"].open(content)
    return CONTAINERS[".png"].close([first, ("tEXt", b"Comment\0none"), *rest])


def _jpeg(content: bytes, generator: Generator) -> bytes:
    comment = b"a comment"
    return content[:2] + b"\xff\xfe" + struct.pack(">H", len(comment) + 2) + comment + content[2:]


def _zip(content: bytes, generator: Generator) -> bytes:
    comment = b"a comment"
    return content[:-2] + struct.pack("<H", len(comment)) + comment


def _tar(content: bytes, generator: Generator) -> bytes:
    return content + bytes(512 * int(generator.integers(1, 9)))


def _inside(suffix: str, change: Callable[[bytes, Generator], bytes]) -> Callable[[bytes, Generator], bytes]:
    """A change of the JSON in a container."""

    def inside(content: bytes, generator: Generator) -> bytes:
        parts = CONTAINERS[suffix].open(content)
        return CONTAINERS[suffix].close(
            [(name, change(data, generator) if name == "header.json" else data) for name, data in parts]
        )

    return inside


def _reordered(content: bytes, generator: Generator) -> bytes:
    root: dict[str, Any] = json.loads(content)
    keys = np.array(sorted(root))
    return json.dumps({str(key): root[str(key)] for key in generator.permutation(keys)}, indent=1).encode()


_CHANGES: dict[str, Callable[[bytes, Generator], bytes]] = {
    **dict.fromkeys((".obj", ".mtl", ".off"), _comment),
    # Those of COLMAP: the text files of ShapeNetRendering have no comments.
    **dict.fromkeys(("cameras.txt", "images.txt", "points3D.txt"), _first_comment),
    ".binvox": _second_comment,
    **dict.fromkeys((".json", ".gltf"), _blanks),
    ".ply": _ply,
    ".stl": _stl,
    ".png": _png,
    ".jpg": _jpeg,
    ".zip": _zip,
    ".npz": _zip,
    ".tar": _tar,
    ".glb": _inside(".glb", _blanks),
    ".safetensors": _inside(".safetensors", _reordered),
}
