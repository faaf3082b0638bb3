"""The bytes of binvox files: https://www.patrickmin.com/binvox/binvox.html."""

import dataclasses
import math
from typing import final

import numpy as np
from numpy.typing import NDArray

from render3d.errors import VolumeError

# trimesh is not used here: it reads versions and values that do not exist, bounds no size and fails on a grid of one
# voxel (5.2); after a run of 255 voxels that ends the file it writes one of zero.
_LONGEST_HEADER = 10_000
_LONGEST_RUN = 255


@final
@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Binvox:
    """The content of a binvox file.

    Attributes:
        voxels: ``[N, N, N]`` bool, axes (x, y, z).
        translate: The lowest corner of the cube that the voxels fill.
        scale: The side of that cube.
    """

    voxels: NDArray[np.bool_]
    translate: tuple[float, float, float]
    scale: float


def read_binvox(content: bytes, largest: int) -> Binvox:
    """What a file of version 1 or 2 says; the numbers above 0 of version 2 are all alike here.

    Args:
        content: The whole file.
        largest: How many voxels there may be along an axis.

    Raises:
        VolumeError: It is broken, or has more voxels; nothing of their size has been allocated then.
    """
    fields, data = _header(content)
    shape = tuple(int(word) for word in fields.get("dim", []))
    if len(shape) != 3 or len(set(shape)) != 1 or not 1 <= shape[0] <= largest:
        raise VolumeError(f"dim must be three equal numbers from 1 to {largest}; got {' '.join(map(str, shape))!r}")
    scale = [float(word) for word in fields.get("scale", ["1"])]
    translate = [float(word) for word in fields.get("translate", ["0", "0", "0"])]
    if len(scale) != 1 or not (math.isfinite(scale[0]) and scale[0] > 0):
        raise VolumeError(f"scale must be a positive number; got {scale}")
    if len(translate) != 3 or not all(map(math.isfinite, translate)):
        raise VolumeError(f"translate must be three finite numbers; got {translate}")
    voxels = _decode(data, math.prod(shape), highest=1 if fields["#binvox"] == ["1"] else 255)
    x, y, z = translate
    return Binvox(voxels=voxels.reshape(shape).transpose(0, 2, 1), translate=(x, y, z), scale=scale[0])


def _header(content: bytes) -> tuple[dict[str, list[str]], bytes]:
    """The words of each line by its first word, and what follows the line ``data``."""
    fields: dict[str, list[str]] = {}
    start = 0
    while start < _LONGEST_HEADER and (end := content.find(b"\n", start, _LONGEST_HEADER)) >= 0:
        name, *words = content[start:end].decode("ascii").split() or [""]
        start = end + 1
        if not fields and (name != "#binvox" or words not in (["1"], ["2"])):
            break
        if name == "data":
            return fields, content[start:]
        if name and (not name.startswith("#") or not fields):
            fields[name] = words
    raise VolumeError("it must begin with a line '#binvox 1', and a line 'data' must end its header")


def _decode(data: bytes, count: int, *, highest: int) -> NDArray[np.bool_]:
    """The ``count`` voxels of pairs of bytes (value, how many)."""
    if len(data) % 2:
        raise VolumeError(f"its voxels are pairs of bytes; got {len(data)} bytes")
    values, lengths = np.frombuffer(data, dtype=np.uint8).reshape(-1, 2).T
    total = int(lengths.sum(dtype=np.int64))
    if total != count:
        raise VolumeError(f"its header promises {count} voxels, its runs hold {total}")
    if values.max(initial=0) > highest:
        raise VolumeError(f"voxels must be 0 or 1 in version 1; got {values.max()}")
    return np.repeat(values > 0, lengths)


def write_binvox(binvox: Binvox) -> bytes:
    """A file of version 1."""
    dims = " ".join(map(str, binvox.voxels.shape))
    translate = " ".join(map(repr, binvox.translate))
    header = f"#binvox 1\ndim {dims}\ntranslate {translate}\nscale {binvox.scale!r}\ndata\n"
    return header.encode("ascii") + _encode(binvox.voxels.transpose(0, 2, 1).reshape(-1))


def _encode(voxels: NDArray[np.bool_]) -> bytes:
    starts = np.concatenate([[0], np.flatnonzero(voxels[1:] != voxels[:-1]) + 1])
    lengths = np.diff(starts, append=len(voxels))
    pieces = -(-lengths // _LONGEST_RUN)
    pairs = np.full((pieces.sum(), 2), _LONGEST_RUN, dtype=np.uint8)
    pairs[:, 0] = np.repeat(voxels[starts], pieces)
    pairs[np.cumsum(pieces) - 1, 1] = lengths - _LONGEST_RUN * (pieces - 1)
    return pairs.tobytes()
