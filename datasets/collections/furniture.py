"""820 models of furniture, people, plants and vehicles, free to use: the libraries of Sweet Home 3D."""

import csv
import io
import json
import tempfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from render3d.atomic import write_json, write_text
from render3d.datasets.collections.archives import extract
from render3d.datasets.collections.checksums import sha256_of
from render3d.datasets.collections.collection import MeshCollection, with_splits
from render3d.datasets.collections.finding import open_collection
from render3d.datasets.collections.layouts.sweethome3d import Piece, pieces_of
from render3d.errors import DatasetError

DEBIAN_FURNITURE = Path("/usr/share/sweethome3d/furniture")
"""Where Debian's package sweethome3d-furniture puts the libraries."""

_STAMP = "unpacked.json"
_CREDITS = "CREDITS.csv"


def furniture(archives: str | Path, folder: str | Path) -> MeshCollection:
    """The models of libraries of Sweet Home 3D, ``.sh3f`` files, unpacked into a folder.

    Labels are the categories of the catalogues, such as ``Kitchen``; splits are those of `with_splits`. Models that a
    catalogue says to turn before use are turned in the unpacked files, so that +Y is up in all. ``CREDITS.csv`` in the
    folder names the creator and the licence of each by its id: give credit where you show them. Libraries that are
    unpacked already are not unpacked again.

    Args:
        archives: The folder of the ``.sh3f`` files, such as `DEBIAN_FURNITURE`.
        folder: Where they are unpacked to; made if it is not there.

    Raises:
        DatasetError: No such files; one that is broken; a folder that holds something else.
    """
    folder = Path(folder).absolute()
    paths = sorted(Path(archives).glob("*.sh3f"))
    if not paths:
        raise DatasetError(
            f"{archives} holds no .sh3f files. Debian has 820 models: apt install sweethome3d-furniture, then "
            "furniture(DEBIAN_FURNITURE, folder)."
        )
    pieces: list[Piece] = []
    for path in paths:
        library = folder / path.stem
        _unpack(path, library)
        pieces += pieces_of(library)
    objects = with_splits(open_collection(folder, "sweethome3d"))
    write_text(folder / _CREDITS, _credits(objects, pieces))
    return objects


def _unpack(archive: Path, library: Path) -> None:
    """The library with its models upright, whole or not at all."""
    facts = {"archive": archive.name, "sha256": sha256_of(archive)}
    if library.exists():
        _check(library, facts)
        return
    library.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".", suffix=".part", dir=library.parent) as name:
        unpacked = Path(name) / library.name
        extract(archive, unpacked)
        rotations = {piece.path: piece.rotation for piece in pieces_of(unpacked) if piece.rotation}
        for path, rotation in rotations.items():
            if path.resolve().is_relative_to(unpacked.resolve()) and path.is_file():
                _turn(path, rotation)
        write_json(unpacked / _STAMP, facts)
        try:
            unpacked.rename(library)
        except OSError:  # another process was quicker
            _check(library, facts)


def _check(library: Path, facts: dict[str, str]) -> None:
    """Raise `DatasetError` unless a folder holds the library that the facts are of."""
    try:
        found = json.loads((library / _STAMP).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        found = None
    if found != facts:
        raise DatasetError(
            f"{library} is there, and not from this {facts['archive']}. Remove it, or choose another folder."
        )


def _turn(path: Path, rotation: str) -> None:
    """Turn the vertices and normals of an OBJ file."""
    try:
        matrix = np.array(rotation.split(), dtype=np.float64).reshape(3, 3)
        lines = [_turned(line, matrix) for line in path.read_bytes().split(b"\n")]
    except ValueError as error:
        raise DatasetError(f"{path} cannot be turned by {rotation!r}: {error}.") from error
    path.write_bytes(b"\n".join(lines))


def _turned(line: bytes, matrix: NDArray[np.float64]) -> bytes:
    key, *words = line.split() or [b""]
    if key not in (b"v", b"vn"):
        return line
    turned = matrix @ np.array(words[:3], dtype=np.float64) + 0.0  # no negative zeros
    return b" ".join([key, *(f"{number:.9g}".encode() for number in turned), *words[3:]])


def _credits(objects: MeshCollection, pieces: list[Piece]) -> str:
    piece_at = {piece.path: piece for piece in pieces}
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["id", "name", "creator", "license", "turned"])
    for item in objects:
        piece = piece_at[item.path]
        turned = "turned upright" if piece.rotation else ""
        writer.writerow([item.id, piece.name, piece.creator, piece.license, turned])
    return text.getvalue()
