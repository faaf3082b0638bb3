"""The rows of a PLY file, whatever they mean.

G. Turk, "The PLY Polygon File Format" (1994): a header of text names elements, their numbers of rows and the properties
of a row, each a number or a list of numbers that its length precedes; the rows follow, as text or binary.
"""

import dataclasses
import re
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, final

import numpy as np
from numpy.typing import NDArray

from render3d.errors import MeshError
from render3d.scenes.files.numbers import leading_numbers

Array = NDArray[Any]
Integers = NDArray[np.int64]

# Characters that NumPy and the module struct both know.
_TYPES = (
    {"char": "b", "uchar": "B", "short": "h", "ushort": "H", "int": "i", "uint": "I", "float": "f", "double": "d"}
    | {"int8": "b", "uint8": "B", "int16": "h", "uint16": "H", "int32": "i", "uint32": "I"}
    | {"float32": "f", "float64": "d", "int64": "q", "uint64": "Q"}
)
_ORDERS = {"ascii": "=", "binary_little_endian": "<", "binary_big_endian": ">"}
# After a line end that is a carriage return alone, a line feed would be the first byte of the rows.
_HEADER = re.compile(
    rb"\A(?:\xef\xbb\xbf)?ply[ \t]*(?:\r?\n(?P<lines>.*?)^[ \t]*end_header[ \t]*(?:\r?\n|\Z)"
    rb"|\r(?P<old_lines>.*?)(?<=\r)[ \t]*end_header[ \t]*(?:\r|\Z))",
    re.DOTALL | re.MULTILINE,
)


class Ragged(NamedTuple):
    """A list property: the ``sizes`` ``[N]`` of its rows' lists and their ``values`` one after the other."""

    sizes: Integers
    values: Array


@final
@dataclasses.dataclass(frozen=True)
class Rows:
    """The rows of an element by property: ``[N]``, or `Ragged`.

    Attributes:
        columns: Of the types that the header names; those of text are float64.
        types: The NumPy type that the header names for each, such as ``"B"``.
    """

    columns: dict[str, Array | Ragged]
    types: dict[str, str]

    def column(self, name: str) -> Array | None:
        """Return the numbers ``[N]`` of a property, or None if there is none or it is of lists."""
        column = self.columns.get(name)
        return None if isinstance(column, Ragged) else column

    def lists(self, name: str) -> Ragged | None:
        """Return a property of lists, or None if there is none or it is of numbers."""
        column = self.columns.get(name)
        return column if isinstance(column, Ragged) else None


@final
@dataclasses.dataclass(frozen=True)
class _Property:
    name: str
    type: str
    count_type: str | None
    """The type of the length of a list; None for a number."""


@final
@dataclasses.dataclass(frozen=True)
class _Element:
    name: str
    count: int
    properties: list[_Property]


def read_rows(path: Path, problems: list[str]) -> tuple[dict[str, Rows], list[str]]:
    """Read all elements of a PLY file by name, and the texts of its comments.

    Raises:
        MeshError: The header or a row is broken, or rows are missing.
    """
    content = path.read_bytes()
    header = _HEADER.match(content)
    if header is None:
        raise MeshError(f"{path}: no PLY file, or its header is broken or truncated: 'ply' to 'end_header' is missing.")
    order, elements, comments = _read_header(header["lines"] or header["old_lines"] or b"", path)
    start = header.end()
    first_line = len(content[:start].splitlines()) + 1
    body = _Text(content[start:], first_line) if order == "=" else _Binary(content[start:], order)
    rows = {}
    position = 0
    for element in elements:
        try:
            rows[element.name], position = _read_element(body, element, position)
        except _BrokenRowError as error:
            body.explain(path, elements)
            raise MeshError(f"{path}: {error}; fetch the file again.") from error
    if position < body.length:
        body.explain(path, elements)
        problems.append(f"{body.length - position} {body.unit} after its last row were not read.")
    return rows, comments


def _read_header(lines: bytes, path: Path) -> tuple[str, list[_Element], list[str]]:
    """The byte order, ``"="`` for text, the elements and the comments."""
    order = None
    elements: list[_Element] = []
    comments = []
    # Names of files may be of any encoding: they are kept byte for byte.
    for line in re.split(r"[\r\n]+", lines.decode("utf-8", errors="surrogateescape")):
        key, *words = line.split() or [""]
        try:
            if key == "format":
                order = _ORDERS[words[0]]
            elif key == "element":
                elements.append(_Element(words[0], _count(words[1]), []))
            elif key == "property":
                elements[-1].properties.append(_read_property(words))
            elif key == "comment":
                comments.append(line.strip()[len(key) :].strip())
        except (KeyError, ValueError, IndexError) as error:
            raise MeshError(f"{path}: its header is broken: cannot read {line[:80]!r}.") from error
    if order is None:
        raise MeshError(f"{path}: its header is broken: no format; expected one of {', '.join(_ORDERS)}.")
    for names in ([element.name for element in elements], *([p.name for p in e.properties] for e in elements)):
        if len(set(names)) < len(names):
            raise MeshError(f"{path}: its header is broken: a name stands twice among {', '.join(names)[:200]}.")
    return order, elements, comments


def _count(word: str) -> int:
    if not re.fullmatch(r"[0-9]{1,18}", word):
        raise ValueError(word)
    return int(word)


def _read_property(words: list[str]) -> _Property:
    if words[0] == "list":
        return _Property(words[3], _TYPES[words[2]], _TYPES[words[1]])
    return _Property(words[1], _TYPES[words[0]], None)


class _BrokenRowError(Exception):
    """Says of which row."""

    def __init__(self, reason: str, row: int, element: _Element) -> None:
        super().__init__(f"{reason}: {row} of {element.count} {element.name} rows")


@final
class _Binary:
    """The rows of a binary file; positions are bytes."""

    unit = "bytes"

    def __init__(self, content: bytes, order: str) -> None:
        self._content = content
        self._order = order
        self.length = len(content)

    def width(self, kind: str) -> int:
        return np.dtype(kind).itemsize

    def take(self, positions: Integers, kind: str) -> Array:
        """The numbers that begin at these bytes, as a view of a number from each byte on gives them."""
        dtype = np.dtype(self._order + kind)
        if not len(positions):
            return np.zeros(0, dtype)
        numbers: Array = np.ndarray(self.length - dtype.itemsize + 1, dtype, self._content, strides=(1,))
        return numbers[positions].astype(dtype.newbyteorder("="), copy=False)

    def reader(self, kind: str) -> Callable[[int], float]:
        """What reads one number."""
        if kind == "B":
            return self._content.__getitem__
        unpack = struct.Struct(self._order + kind).unpack_from
        content = self._content
        return lambda position: unpack(content, position)[0]

    def explain(self, path: Path, elements: list[_Element]) -> None:
        """Nothing more is known."""


@final
class _Text:
    """The rows of a file of text; positions are numbers."""

    unit = "numbers"

    def __init__(self, content: bytes, first_line: int) -> None:
        self._content = content
        self._first_line = first_line
        self._numbers = leading_numbers(content)
        self.length = len(self._numbers)

    def width(self, kind: str) -> int:
        return 1

    def take(self, positions: Integers, kind: str) -> Array:
        return self._numbers[positions]

    def reader(self, kind: str) -> Callable[[int], float]:
        numbers: Any = memoryview(self._numbers.data)
        return numbers.__getitem__  # type: ignore[no-any-return]

    def explain(self, path: Path, elements: list[_Element]) -> None:
        """Name the first line that does not hold what its row should.

        Raises:
            MeshError: There is such a line.
        """
        lines = enumerate(re.split(rb"\r\n|\r|\n", self._content), self._first_line)
        filled = ((number, line.split()) for number, line in lines if line.strip())
        rows = (element for element in elements if element.properties for _ in range(element.count))
        for element, (number, words) in zip(rows, filled, strict=False):
            fault = _fault_of_row(element, words)
            if fault:
                raise MeshError(f"{path}, line {number}: broken or truncated, {fault} of {element.name}.")


def _fault_of_row(element: _Element, words: list[bytes]) -> str | None:
    """What is wrong with a line of text, or None."""
    expected = 0
    for entry in element.properties:
        if expected < len(words) and entry.count_type is not None:
            expected += int(words[expected]) if words[expected].isdigit() else 0
        expected += 1
    if len(words) != expected:
        return f"{len(words)} values where {expected} are expected in a row"
    for word in words:
        try:
            float(word)
        except ValueError:
            return f"{word[:40]!r} is no number in a row"
    return None


def _read_element(body: _Binary | _Text, element: _Element, start: int) -> tuple[Rows, int]:
    """The rows that begin at a position, and the position after them."""
    fixed = sum(body.width(entry.count_type or entry.type) for entry in element.properties)
    if element.count * fixed > body.length - start:  # before memory is taken for what may be absurdly many
        raise _BrokenRowError("truncated", (body.length - start) // fixed, element)
    if not element.properties:
        return Rows({}, {}), start
    sizes = _sizes_of_lists(body, element, start)
    lengths = np.full(element.count, fixed)
    for entry in element.properties:
        if entry.count_type is not None:
            lengths += sizes[entry.name] * body.width(entry.type)
    ends = start + np.cumsum(lengths)
    if element.count and ends[-1] > body.length:
        raise _BrokenRowError("truncated", int(np.searchsorted(ends, body.length, side="right")), element)
    columns: dict[str, Array | Ragged] = {}
    position = ends - lengths
    for entry in element.properties:
        width = body.width(entry.type)
        if entry.count_type is None:
            columns[entry.name] = body.take(position, entry.type)
            position = position + width
        else:
            own = sizes[entry.name]
            position = position + body.width(entry.count_type)
            within = np.arange(own.sum()) - np.repeat(np.cumsum(own) - own, own)
            columns[entry.name] = Ragged(own, body.take(np.repeat(position, own) + width * within, entry.type))
            position = position + own * width
    types = {entry.name: entry.type for entry in element.properties}
    return Rows(columns, types), int(ends[-1]) if element.count else start


def _sizes_of_lists(body: _Binary | _Text, element: _Element, start: int) -> dict[str, Integers]:
    """How long the lists of each property are, ``[N]``: as in the first row if that fits all, else row by row."""
    first = _walk(body, element, start, rows=min(1, element.count))
    if element.count == 0:
        return first
    lengths = []
    stride = 0
    for entry in element.properties:
        if entry.count_type is not None:
            lengths.append((stride, entry.count_type, first[entry.name]))
            stride += body.width(entry.count_type) + int(first[entry.name][0]) * body.width(entry.type)
        else:
            stride += body.width(entry.type)
    if start + stride * element.count <= body.length:
        position = start + stride * np.arange(element.count)
        if all((body.take(position + offset, kind) == size).all() for offset, kind, size in lengths):
            return {name: np.repeat(size, element.count) for name, size in first.items()}
    return _walk(body, element, start, rows=element.count)


def _walk(body: _Binary | _Text, element: _Element, start: int, *, rows: int) -> dict[str, Integers]:
    """How long the lists are: where one begins follows from those before it."""
    sizes: dict[str, list[int]] = {}
    steps = []
    skipped = 0
    for entry in element.properties:
        if entry.count_type is None:
            skipped += body.width(entry.type)
            continue
        sizes[entry.name] = []
        read, width = body.reader(entry.count_type), body.width(entry.type)
        steps.append((skipped, read, body.width(entry.count_type), width, sizes[entry.name].append))
        skipped = 0
    position, length = start, body.length
    for row in range(rows):
        for before, read, own_width, width, append in steps:
            try:
                count = read(position + before)
            except (IndexError, struct.error):
                raise _BrokenRowError("truncated", row, element) from None
            size = int(count) if 0 <= count <= length else -1
            if size != count:
                raise _BrokenRowError(f"broken, a list of {count} values follows", row, element)
            append(size)
            position += before + own_width + size * width
        position += skipped
    return {name: np.array(own, dtype=np.int64) for name, own in sizes.items()}
