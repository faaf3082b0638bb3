"""Changes of files that may break them: `mutate`."""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any, NamedTuple

import numpy as np

from tests.fuzz.containers import CONTAINERS, Parts


class Link(NamedTuple):
    """Instead of a file: a link to ``target``."""

    target: str


Files = Mapping[str, bytes | Link]
Generator = np.random.Generator

_TEXT = {".obj", ".mtl", ".off", ".json", ".gltf", ".txt"}
_NUMBERS = [b"nan", b"inf", b"-inf", b"1e400", b"-1", b"0", b"-0", b"1", b"255", b"0.5", b"1e38", b"1e-46", b"65536"]
_NUMBERS += [b"2147483648", b"4294967296", b"18446744073709551616", b"9" * 5000, b"0x10", b"1_0", b"1,5", "٣".encode()]
_WORDS = [b"../x", b"/etc/passwd", b"a\0b", b"\xed\xa0\x80", b"\\ud800", b"..", b"", b"x" * 5000, b"C:/x", b"%00"]
_WORDS += [b"\xff\xfe", b"a b", "Ω".encode(), b"file:///etc/passwd", b"data:,", b".", b"\r", b"#", b"\\"]
_INTEGERS = [0, 1, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 0x7F800000, 0x7FC00000, 0x7F7FFFFF]
_NUMBER = re.compile(rb"-?\d+\.?\d*(?:[eE][-+]?\d+)?")
_WORD = re.compile(rb"[A-Za-z_][\w./]*")
_HOLE = "the value that json cannot write"
_MOST_AT_ONCE = 3
_ONE_MORE = 0.3  # with this probability


def mutate(files: Files, generator: Generator) -> Files:
    """The files with one to three changes, mostly one; a file may be removed, or be a link to itself or out."""
    changed = dict(files)
    for number in range(_MOST_AT_ONCE):
        if not changed or (number and generator.random() > _ONE_MORE):
            break
        name = _choice(sorted(changed), generator)
        content, chance = changed[name], generator.random()
        if chance < 0.02:
            del changed[name]
        elif chance < 0.04 or isinstance(content, Link):
            changed[name] = Link(_choice([PurePosixPath(name).name, "..", "/etc/hostname", "missing"], generator))
        else:
            changed[name] = mutate_file(name, content, generator)
    return changed


def mutate_file(name: str, content: bytes, generator: Generator) -> bytes:
    """One change of a file: of its bytes, of its lines and words if it is text, of its JSON, or of a part of it."""
    suffix = PurePosixPath(name).suffix
    kinds: list[Callable[[bytes, Generator], bytes]] = [_bytes]
    if suffix in (".json", ".gltf"):
        kinds += [_json, _json, _text]
    elif suffix in _TEXT or b"ascii" in content[:40] or content.startswith(b"solid"):
        kinds += [_text, _text, _text]
    elif suffix in CONTAINERS:
        kinds += [lambda whole, drawn: _part(suffix, whole, drawn)] * 4
    elif suffix in (".ply", ".binvox", ".npy"):
        kinds += [_header]
    return kinds[generator.integers(len(kinds))](content, generator)


def _bytes(content: bytes, generator: Generator) -> bytes:
    data = bytearray(content)
    start, end = sorted(generator.integers(0, len(data) + 1, 2))
    match generator.integers(7):
        case 0 if data:
            for at in generator.integers(0, len(data), generator.integers(1, 5)):
                data[at] ^= 1 << generator.integers(8)
        case 1 if data:
            data[generator.integers(len(data))] = generator.integers(256)
        case 2:
            del data[generator.integers(len(data) + 1) :]
        case 3:
            data[end:end] = data[start:end]
        case 4:
            del data[start : min(end, start + generator.integers(1, 20))]
        case 5:
            value = _INTEGERS[generator.integers(len(_INTEGERS))]
            data[start : start + 4] = value.to_bytes(4, _choice(["little", "big"], generator))
        case _:
            data[start:start] = generator.bytes(int(generator.integers(1, 9)))
    return bytes(data)


def _text(content: bytes, generator: Generator) -> bytes:
    kind = generator.integers(6)
    if kind < 3:
        return _replaced(_NUMBER, _NUMBERS, content, generator)
    if kind == 3:
        return _replaced(_WORD, _WORDS, content, generator)
    lines = content.splitlines(keepends=True)
    if not lines:
        return content
    first, second = generator.integers(len(lines)), generator.integers(len(lines))
    match generator.integers(3):
        case 0:
            lines[first], lines[second] = lines[second], lines[first]
        case 1:
            lines.insert(second, lines[first])
        case _:
            del lines[first]
    return b"".join(lines)


def _replaced(pattern: re.Pattern[bytes], values: list[bytes], content: bytes, generator: Generator) -> bytes:
    found = list(pattern.finditer(content))
    if not found:
        return content
    match = found[generator.integers(len(found))]
    value: bytes = _choice(values, generator)
    return content[: match.start()] + value + content[match.end() :]


def _header(content: bytes, generator: Generator) -> bytes:
    """Text in the first lines, whatever follows them."""
    end = max(content.rfind(b"header\n"), content.rfind(b"data\n"), content.find(b"\n", 0, 256), 0)
    return _text(content[:end], generator) + content[end:]


def _part(suffix: str, content: bytes, generator: Generator) -> bytes:
    container = CONTAINERS[suffix]
    try:
        parts = container.open(content)
    except Exception:  # it was broken by a change before
        return _bytes(content, generator)
    return container.close(_changed_part(parts, generator)) if parts else content


def _changed_part(parts: Parts, generator: Generator) -> Parts:
    at = int(generator.integers(len(parts)))
    name, data = parts[at]
    match generator.integers(10):
        case 0:
            return parts[:at] + parts[at + 1 :]
        case 1:
            return [*parts, parts[at]]
        case 2:
            word = _choice(_WORDS, generator).decode("utf-8", "surrogateescape")
            return [*parts[:at], (word, data), *parts[at + 1 :]]
        case _:
            return [*parts[:at], (name, mutate_file(name, data, generator)), *parts[at + 1 :]]


def _json(content: bytes, generator: Generator) -> bytes:
    try:
        root = json.loads(content)
    except (ValueError, RecursionError):
        return _bytes(content, generator)
    places = _places(root)
    if not places:
        return content
    holder, key = places[generator.integers(len(places))]
    value = holder[key]
    written = None
    match generator.integers(9):
        case 0:
            del holder[key]
        case 1:
            holder[key] = [value]
        case 2 if isinstance(value, list) and value:
            holder[key] = value[:-1] if generator.random() < 0.5 else [*value, value[0]]
        case 3 if isinstance(value, dict):
            holder[key] = {**value, "": None}
        case 4:
            holder[key], written = _HOLE, b"[" * 100_000
        case 5:
            holder[key] = _choice([None, True, {}, [], "", "x", 0, 1.5, -1, [[]], {"a": 1}], generator)
        case 6:
            holder[key], written = _HOLE, b'"' + _choice(_WORDS, generator) + b'"'
        case _:
            holder[key], written = _HOLE, _choice(_NUMBERS, generator)
    text = json.dumps(root).encode()
    return text if written is None else text.replace(json.dumps(_HOLE).encode(), written, 1)


def _places(root: Any) -> list[tuple[Any, Any]]:
    """Each value in a JSON, as what holds it and its key there."""
    found: list[tuple[Any, Any]] = []
    waiting = [root]
    while waiting:
        holder = waiting.pop()
        keys = holder.keys() if isinstance(holder, dict) else range(len(holder)) if isinstance(holder, list) else ()
        found += [(holder, key) for key in keys]
        waiting += [holder[key] for key in keys]
    return found


def _choice(values: Sequence[Any], generator: Generator) -> Any:
    return values[int(generator.integers(len(values)))]
