"""Volumes in files: `Volume.load` and `Volume.save`."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from render3d.atomic import atomic_write
from render3d.errors import VolumeError
from render3d.scenes.files.binvox import Binvox, read_binvox, write_binvox
from render3d.scenes.files.checks import check_source, check_target
from render3d.scenes.volume import Volume

FORMATS = (".npz", ".binvox")
_VERSION = 1
_LARGEST = 2048
# How far the entries of `to_source` may be from a scale alone, as a share of that scale: the rounding of float32.
_ROUNDING = 1e-5


def load_volume(path: Path) -> Volume:
    """Read a volume; see `Volume.load`."""
    suffix = check_source(path, FORMATS, VolumeError, "volumes")
    try:
        return _load_npz(path) if suffix == ".npz" else _from_binvox(read_binvox(path.read_bytes(), _LARGEST))
    except MemoryError as error:
        raise VolumeError(f"{path}: too large for the memory of this machine ({error}).") from error
    except Exception as error:  # readers of broken files fail in any way
        reason = str(error) if isinstance(error, VolumeError) else f"{type(error).__name__}: {error}"
        raise VolumeError(f"{path}: cannot be read as {suffix}, broken or truncated ({reason}).") from error


def save_volume(volume: Volume, path: Path) -> None:
    """Write a volume; see `Volume.save`."""
    suffix = check_target(path, volume, FORMATS, VolumeError, "volumes")
    volume = volume.detach().to("cpu")
    binvox = _to_binvox(volume, path) if suffix == ".binvox" else None
    try:
        with atomic_write(path) as stream:
            if binvox is None:
                np.savez_compressed(stream, **_arrays(volume))
            else:
                stream.write(write_binvox(binvox))
    except OSError as error:
        raise VolumeError(f"{path}: not written: {error.strerror}. Free space or choose another folder.") from error


def _arrays(volume: Volume) -> dict[str, Any]:
    arrays: dict[str, Any] = {
        "version": np.int64(_VERSION),
        "values": _array(volume.values),
        "extent": np.float64(volume.extent),
    }
    if volume.to_source is not None:
        arrays["to_source"] = _array(volume.to_source)
    return arrays


def _array(tensor: torch.Tensor) -> NDArray[Any]:
    # Numpy has no bfloat16; float32 holds all its values.
    array: NDArray[Any] = (tensor.float() if tensor.dtype == torch.bfloat16 else tensor).numpy()
    return array


def _load_npz(path: Path) -> Volume:
    # Numpy leaves files open that it cannot read, if it opens them.
    with path.open("rb") as stream, np.load(stream, allow_pickle=False) as arrays:
        if missing := [name for name in ("version", "values", "extent") if name not in arrays]:
            raise VolumeError(f"it lacks {' and '.join(missing)}, which Volume.save writes")
        if int(arrays["version"]) != _VERSION:
            raise VolumeError(f"its version is {arrays['version']}, and {_VERSION} is the one known")
        values = torch.from_numpy(arrays["values"])
        to_source = torch.from_numpy(arrays["to_source"]) if "to_source" in arrays else None
        if to_source is not None and not bool(to_source.isfinite().all()):
            raise VolumeError("its to_source has numbers that are not finite")
        volume = Volume(values, float(arrays["extent"]), to_source)
    if volume.batch_shape:
        raise VolumeError(f"its values have shape {list(values.shape)}, not [C, D, H, W]")
    return volume


def _from_binvox(binvox: Binvox) -> Volume:
    """The volume in the cube [-1, 1]^3; ``to_source`` takes that to the cube of the file."""
    occupancy = torch.from_numpy(np.ascontiguousarray(binvox.voxels.transpose(2, 1, 0)))
    half = binvox.scale / 2
    to_source = torch.eye(4, dtype=torch.float64) * half
    to_source[:3, 3] = torch.tensor(binvox.translate, dtype=torch.float64) + half
    to_source[3, 3] = 1
    volume = Volume.from_occupancy(occupancy)
    return Volume(volume.values, volume.extent, to_source.to(volume.values.dtype))


def _to_binvox(volume: Volume, path: Path) -> Binvox:
    if len(set(volume.resolution)) > 1 or volume.resolution[0] > _LARGEST:
        raise VolumeError(
            f"{path}: binvox files have as many voxels along each axis, {_LARGEST} at most; got {volume.resolution}. "
            "Save as .npz."
        )
    volume.check_values()
    place = torch.eye(4, dtype=torch.float64) if volume.to_source is None else volume.to_source.double()
    scale = float(place[0, 0])
    plain = torch.eye(4, dtype=torch.float64) * scale
    plain[:, 3] = place[:, 3]
    plain[3, 3] = 1
    if not scale > 0 or not bool(((place - plain).abs() <= _ROUNDING * scale).all()):
        raise VolumeError(
            f"{path}: binvox files keep a shift and a scale, and to_source turns the volume or stretches it: "
            f"{place.tolist()}. Save as .npz, or without to_source."
        )
    corner = place[:3, 3] - scale * volume.extent
    voxels: NDArray[np.bool_] = (volume.occupancy[0] > 0.5).permute(2, 1, 0).numpy()
    return Binvox(voxels=voxels, translate=tuple(corner.tolist()), scale=2 * scale * volume.extent)
