"""What the files of an object say of its views: cameras, and which file shows what."""

import dataclasses
import math
from collections.abc import Mapping
from typing import Any, final

import torch

from render3d.cameras import Cameras
from render3d.conventions import from_r2n2
from render3d.datasets.generation.layout import OBJECT
from render3d.datasets.generation.layouts.r2n2 import METADATA, NAMES, RENDERING
from render3d.datasets.posed.files import Files, read_json
from render3d.datasets.posed.images import size_of
from render3d.errors import CameraError, DatasetError, ShapeError, ViewsError
from render3d.view_files import TRANSFORMS
from render3d.views import cameras_of

_MILLIMETRES = 1e-3  # nerfstudio's default
_FIELDS = {
    "image": "file_path",
    "mask": "mask_path",
    "depth": "depth_file_path",
    "normal": "normal_file_path",
    "face_index": "face_index_file_path",
}


@final
@dataclasses.dataclass(frozen=True)
class PosedFiles:
    """The views of an object, not yet read.

    Attributes:
        cameras: ``[views]``.
        frames: For each view the names of its files: ``image``, and where they are there ``mask``, ``depth``,
            ``normal`` and ``face_index``.
        depth_unit: Scene units that 1 stands for in depth images.
        normals_in_world: Whether normals are said to be in world axes.
    """

    cameras: Cameras
    frames: tuple[Mapping[str, str], ...]
    depth_unit: float
    normals_in_world: bool


def read_transforms(files: Files) -> PosedFiles:
    """That which a ``transforms.json`` describes, in the formats that `render3d.views.read_views` reads.

    Raises:
        DatasetError: Whatever is wrong with the file.
    """
    path, transforms = files.where(TRANSFORMS), read_json(files, TRANSFORMS)
    frames = tuple(_files_of(frame) for frame in _frames(transforms))
    if not frames or not all("image" in frame for frame in frames):
        raise DatasetError(f"{path}: 'frames' must be a list of at least one frame, each with a 'file_path'.")
    unit = transforms.get("depth_unit_scale_factor", _MILLIMETRES)
    if isinstance(unit, bool) or not isinstance(unit, int | float) or not 0 < unit < math.inf:
        raise DatasetError(f"{path}: depth_unit_scale_factor must be a positive number; got {unit!r}.")
    try:
        cameras = cameras_of(path, {**_size(files, transforms, frames[0]["image"]), **transforms})
    except ViewsError as error:
        raise DatasetError(str(error)) from error
    in_world = str(transforms.get("normal_space", "")).startswith("world")
    return PosedFiles(cameras, frames, float(unit), in_world)


def _frames(transforms: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    frames = transforms.get("frames")
    return frames if isinstance(frames, list) and all(isinstance(frame, dict) for frame in frames) else []


def _files_of(frame: Mapping[str, Any]) -> dict[str, str]:
    named = {kind: frame.get(field) for kind, field in _FIELDS.items()}
    return {kind: name for kind, name in named.items() if isinstance(name, str) and name}


def _size(files: Files, transforms: Mapping[str, Any], image: str) -> dict[str, int]:
    """The size of the images, which older files do not tell."""
    if all(side in transforms or side in transforms["frames"][0] for side in ("h", "w")):
        return {}
    height, width = size_of(files, image)
    return {"h": height, "w": width}


def read_r2n2(files: Files) -> PosedFiles:
    """The views of a model of ShapeNetRendering, or of one that was made in its layout.

    Images of another size than its 137 x 137 have the same field of view. Near, far and the unit of depth are those of
    ``object.json``, where there is one.

    Raises:
        DatasetError: Whatever is wrong with the text files.
    """
    names = _lines(files, NAMES)
    cameras = _r2n2_cameras(files)
    if len(names) != cameras.views:
        raise DatasetError(
            f"{files.where(METADATA)} has {cameras.views} lines and {files.where(NAMES)} {len(names)}; they must be "
            "one a view."
        )
    height, width = size_of(files, f"{RENDERING}/{names[0]}")
    cameras = cameras if cameras.image_size == (height, width) else cameras.resize(height, width)
    unit = 0.0
    extra: dict[str, str] = {}
    if files.has(OBJECT):
        facts = read_json(files, OBJECT)
        cameras, unit = _with_facts(files, cameras, facts)
        folders = {"depth": ("depth", "png"), "normal": ("normals", "png"), "face_index": ("face_index", "npy")}
        extra = {
            kind: f"{folder}/{{}}.{suffix}" for kind, (folder, suffix) in folders.items() if kind in facts["outputs"]
        }
    frames = (
        {"image": f"{RENDERING}/{name}"} | {kind: file.format(name.rpartition(".")[0]) for kind, file in extra.items()}
        for name in names
    )
    return PosedFiles(cameras, tuple(frames), unit, normals_in_world=True)


def _with_facts(files: Files, cameras: Cameras, facts: Mapping[str, Any]) -> tuple[Cameras, float]:
    try:
        near, far = float(facts["cameras"]["near"]), float(facts["cameras"]["far"])
        return dataclasses.replace(cameras, near=near, far=far), float(facts["depth"]["unit"])
    except (KeyError, TypeError, ValueError) as error:
        raise DatasetError(f"{files.where(OBJECT)}: damaged, or of another version ({error!r}).") from error


def _lines(files: Files, name: str) -> list[str]:
    try:
        lines = [line.strip() for line in files.read(name).decode("utf-8").splitlines() if line.strip()]
    except UnicodeDecodeError as error:
        raise DatasetError(f"{files.where(name)}: no text ({error}).") from error
    if not lines:
        raise DatasetError(f"{files.where(name)}: must have one line a view; it is empty.")
    return lines


def _r2n2_cameras(files: Files) -> Cameras:
    try:
        rows = [[float(word) for word in line.split()] for line in _lines(files, METADATA)]
        return from_r2n2(torch.tensor(rows, dtype=torch.float32))
    except (ValueError, ShapeError, CameraError) as error:
        raise DatasetError(
            f"{files.where(METADATA)}: must have lines of azimuth, elevation, in-plane angle, distance ratio and field "
            f"of view: {error}"
        ) from error
