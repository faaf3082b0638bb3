"""Files that are there whole or not at all."""

import contextlib
import json
import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO


@contextlib.contextmanager
def atomic_write(path: Path) -> Iterator[BinaryIO]:
    """A binary stream whose content becomes ``path`` when the block ends without an error.

    The content is written beside ``path`` and renamed over it, so that no reader and no crash ever meets half a file.
    If anything fails, what was there before is still there and nothing is left behind.

    Raises:
        OSError: The folder cannot be written to, or the disk is full; the message names ``path``.
    """
    temporary: Path | None = None
    try:
        number, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
        temporary = Path(name)
        with os.fdopen(number, "wb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        temporary.chmod(0o666 & ~_umask())  # mkstemp makes files that only their owner may read
        temporary.replace(path)
    except OSError as error:
        raise OSError(error.errno, f"{error.strerror or error}; nothing was changed", str(path)) from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """``text`` in UTF-8, by `atomic_write`."""
    with atomic_write(path) as stream:
        stream.write(text.encode("utf-8"))


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """``content`` as JSON, indented, by `atomic_write`.

    Raises:
        ValueError: NaN or an infinite number, which JSON does not have.
    """
    write_text(path, json.dumps(content, indent=2, allow_nan=False) + "\n")


def json_by_lines(content: Mapping[str, Any]) -> bytes:
    """``content`` as JSON with one line an entry, and one an item where that is a list of objects.

    Twenty times quicker than indenting, and still to be read by people. Names of files that are no UTF-8 come back as
    they were: Python holds their bytes as lone surrogates, which become escapes of JSON.

    Raises:
        ValueError: NaN or an infinite number, which JSON does not have.
    """
    text = _lines("{}", (f"{_json(name)}: {_entry(value)}" for name, value in content.items()), indent=0)
    return f"{text}\n".encode("utf-8", "backslashreplace")


def _entry(value: Any) -> str:
    if isinstance(value, list) and value and all(isinstance(item, dict) for item in value):
        return _lines("[]", (_json(item) for item in value), indent=2)
    return _json(value)


def _lines(brackets: str, items: Iterable[str], indent: int) -> str:
    space = " " * indent
    inside = ",\n".join(f"{space}  {item}" for item in items)
    return f"{brackets[0]}\n{inside}\n{space}{brackets[1]}"


def _json(value: Any) -> str:
    return json.dumps(value, allow_nan=False, ensure_ascii=False)


def _umask() -> int:
    current = os.umask(0)
    os.umask(current)
    return current
