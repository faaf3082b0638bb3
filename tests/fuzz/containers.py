"""Files that hold others: opened into named parts and closed again, so that checksums do not hide what is inside."""

import io
import json
import struct
import tarfile
import warnings
import zipfile
import zlib
from collections.abc import Callable
from typing import Any, NamedTuple

Parts = list[tuple[str, bytes]]

_PNG = b"\x89PNG\r\n\x1a\n"


class Container(NamedTuple):
    """How a kind of file is taken apart and put together; ``close`` takes hostile names and repeated ones."""

    open: Callable[[bytes], Parts]
    close: Callable[[Parts], bytes]


def _open_png(content: bytes) -> Parts:
    parts, at = [], len(_PNG)
    while at < len(content):
        (size,) = struct.unpack_from(">I", content, at)
        parts.append((content[at + 4 : at + 8].decode("latin-1"), content[at + 8 : at + 8 + size]))
        at += size + 12
    return parts


def _close_png(parts: Parts) -> bytes:
    chunks = [(name.encode("utf-8", "replace")[:4].ljust(4), data) for name, data in parts]
    return _PNG + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in chunks
    )


def _open_glb(content: bytes) -> Parts:
    parts, at = [], 12
    while at < len(content):
        size, kind = struct.unpack_from("<I4s", content, at)
        parts.append(("header.json" if kind == b"JSON" else "buffer", content[at + 8 : at + 8 + size]))
        at += 8 + size
    return parts


def _close_glb(parts: Parts) -> bytes:
    chunks = b""
    for name, data in parts:
        is_json = name == "header.json"
        padded = data + (b" " if is_json else b"\0") * (-len(data) % 4)
        chunks += struct.pack("<I4s", len(padded), b"JSON" if is_json else b"BIN\0") + padded
    return struct.pack("<4sII", b"glTF", 2, 12 + len(chunks)) + chunks


def _open_zip(content: bytes) -> Parts:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return [(member.filename, archive.read(member)) for member in archive.infolist()]


def _close_zip(parts: Parts) -> bytes:
    stream = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        warnings.simplefilter("ignore")  # of names that are there twice
        for name, data in parts:
            member = zipfile.ZipInfo("x", (1980, 1, 1, 0, 0, 0))
            member.filename = name.encode("utf-8", "replace").decode()[:60_000]  # as it is, NUL included
            archive.writestr(member, data)
    return stream.getvalue()


def _open_tar(content: bytes) -> Parts:
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        return [(member.name, archive.extractfile(member).read()) for member in archive if member.isfile()]  # type: ignore[union-attr]


def _close_tar(parts: Parts) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, data in parts:
            member = tarfile.TarInfo(name.encode("utf-8", "replace").decode())
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return stream.getvalue()


def _open_safetensors(content: bytes) -> Parts:
    (size,) = struct.unpack_from("<Q", content)
    header = json.loads(content[8 : 8 + size])
    # The records lie in a string of the header: as a part of their own, they are changed as JSON.
    records = header["__metadata__"].pop("records").encode()
    return [("header.json", json.dumps(header).encode()), ("records.json", records), ("tensors", content[8 + size :])]


def _close_safetensors(parts: Parts) -> bytes:
    header, records, tensors = (dict(parts).get(name, b"") for name in ("header.json", "records.json", "tensors"))
    header = _with_records(header, records.decode("latin-1"))
    return struct.pack("<Q", len(header)) + header + tensors


def _with_records(header: bytes, records: str) -> bytes:
    try:
        content: Any = json.loads(header)
        content["__metadata__"]["records"] = records
        return json.dumps(content).encode()
    except (ValueError, KeyError, TypeError, IndexError, RecursionError):  # it was changed before
        return header


CONTAINERS: dict[str, Container] = {
    ".png": Container(_open_png, _close_png),
    ".glb": Container(_open_glb, _close_glb),
    ".zip": Container(_open_zip, _close_zip),
    ".npz": Container(_open_zip, _close_zip),
    ".tar": Container(_open_tar, _close_tar),
    ".safetensors": Container(_open_safetensors, _close_safetensors),
}
