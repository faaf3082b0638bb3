"""STL, read: triangles alone. Colours, which some programs keep in the two spare bytes of a triangle, are not."""

import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from render3d.errors import MeshError
from render3d.scenes.files.folder import Folder
from render3d.scenes.files.numbers import leading_numbers
from render3d.scenes.files.raw import Floats, RawMesh
from render3d.scenes.repair import unique_rows

_HEADER = 84  # bytes: 80 of anything, and the number of triangles
_TRIANGLE = np.dtype([("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("spare", "<u2")])
_NUMBERS_OF_FACET = 13  # of text: NaN for its word, and for each corner NaN and three coordinates
_SOLID = re.compile(rb"^[ \t]*(end)?solid\b.*$", re.MULTILINE)
_NORMAL = re.compile(rb"\bnormal([ \t]+\S+){3}")
_LINE = re.compile(rb"\s*((end)?solid\b.*|facet\s+normal.*|outer\s+loop|vertex(\s+[-+.\w]+){3}|endloop|endfacet|)\s*")


def read_stl(path: Path, folder: Folder) -> RawMesh:
    """Read an STL file, of text or binary. Its triangles share no vertices; those that are equal become one.

    Normals are not read: the corners of a triangle are counter-clockwise seen from outside.
    """
    content = path.read_bytes()
    corners = _read_text(content, path) if _is_text(content) else _read_binary(content, path, folder.problems)
    vertices = corners.reshape(-1, 3).astype(np.float64)
    first, inverse = unique_rows(vertices)
    return RawMesh(vertices=vertices[first], faces=inverse.reshape(-1, 3))


def _is_text(content: bytes) -> bool:
    """Whether it is of text: binary files begin with "solid", too, but their lengths fit."""
    announced = _length(content)
    starts = re.match(rb"\s*solid\b", content.removeprefix(b"\xef\xbb\xbf"), re.IGNORECASE)
    return starts is not None and announced != len(content) and b"\0" not in content[:_HEADER]


def _length(content: bytes) -> int:
    """The bytes that a binary file of so many triangles has."""
    return _HEADER + _TRIANGLE.itemsize * int.from_bytes(content[_HEADER - 4 : _HEADER], "little")


def _read_binary(content: bytes, path: Path, problems: list[str]) -> NDArray[np.float32]:
    """``[F, 3, 3]``."""
    announced = _length(content)
    if len(content) < max(announced, _HEADER):
        count = (announced - _HEADER) // _TRIANGLE.itemsize
        raise MeshError(
            f"{path}: no STL file, or truncated: {len(content)} bytes, fewer than the {announced} of the {count} "
            "triangles that it announces; fetch it again."
        )
    if len(content) > announced:
        problems.append(f"{len(content) - announced} bytes after its last triangle were not read.")
    triangles = np.frombuffer(content[_HEADER:announced], dtype=_TRIANGLE)
    corners: NDArray[np.float32] = triangles["corners"]
    return corners


def _read_text(content: bytes, path: Path) -> Floats:
    """``[F, 3, 3]`` of all solids.

    Words become NaN, so that all is read as one array of numbers, in which a value too many or too few is out of line.
    """
    text = content.removeprefix(b"\xef\xbb\xbf").lower().replace(b"\r", b"\n")
    ends = _SOLID.findall(text)
    if 2 * ends.count(b"end") < len(ends):
        raise MeshError(f"{path}: truncated: the text ends without 'endsolid'; fetch it again.")
    rows = _NORMAL.sub(b"", _SOLID.sub(b"", text))
    facets = rows.count(b"endfacet")
    for word in (b"endfacet", b"endloop", b"outer", b"loop"):
        rows = rows.replace(word, b"")
    rows = rows.replace(b"facet", b" nan ").replace(b"vertex", b" nan ")
    numbers = leading_numbers(rows)  # fewer if one is broken
    if len(numbers) == facets * _NUMBERS_OF_FACET:
        table = numbers.reshape(facets, _NUMBERS_OF_FACET)
        if np.isnan(table[:, [0, 1, 5, 9]]).all():
            return np.delete(table[:, 1:].reshape(facets, 3, 4), 0, axis=2)
    lines = enumerate(text.split(b"\n"), 1)
    where = next((f", line {number}" for number, line in lines if not _LINE.fullmatch(line)), "")
    raise MeshError(f"{path}{where}: broken: not each facet is three vertices of three numbers; fetch it again.")
