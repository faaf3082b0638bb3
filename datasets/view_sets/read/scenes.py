"""What the files of an object say of its views: cameras, and which file shows what."""

import dataclasses
import math
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any, final

import torch

from render3d.cameras import Cameras
from render3d.conventions import from_r2n2
from render3d.datasets.view_sets.formats.base import OBJECT
from render3d.datasets.view_sets.formats.r2n2 import METADATA, NAMES, RENDERING
from render3d.datasets.view_sets.read.files import Files, read_json
from render3d.datasets.view_sets.read.images import size_of
from render3d.errors import CameraError, DatasetError, ShapeError, ViewSetError
from render3d.view_sets.view_files import TRANSFORMS
from render3d.view_sets.views import cameras_of

_MILLIMETRES = 1e-3  # nerfstudio's default
_FIELDS = {
    "image": "file_path",
    "mask": "mask_path",
    "depth": "depth_file_path",
    "normal": "normal_file_path",
    "face_index": "face_index_file_path",
}
# Of each view, beside the images of ShapeNetRendering.
_BESIDE = (("depth", "depth/{}.png"), ("normal", "normals/{}.png"), ("face_index", "face_index/{}.npy"))


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
    """That which a ``transforms.json`` describes, in the formats that `render3d.view_sets.read_views` reads.

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
    except ViewSetError as error:
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
        DatasetError: Whatever is wrong with the text files, or with ``object.json``.
    """
    names = _lines(files, NAMES)
    cameras = _r2n2_cameras(files)
    if len(names) != cameras.views:
        raise DatasetError(
            f"{files.where(METADATA)} has {cameras.views} lines and {files.where(NAMES)} {len(names)}; they must be "
            "one a view."
        )
    images = [f"{RENDERING}/{name}" for name in names]
    size = size_of(files, images[0])
    found = PosedFiles(
        cameras if cameras.image_size == size else cameras.resize(*size),
        tuple({"image": image} for image in images),
        depth_unit=1.0,
        normals_in_world=True,
    )
    return _with_facts(files, found) if files.has(OBJECT) else found


def _with_facts(files: Files, found: PosedFiles) -> PosedFiles:
    """The same, with what ``object.json`` knows and ShapeNetRendering has no place for."""
    facts = read_json(files, OBJECT)
    try:
        near, far = float(facts["cameras"]["near"]), float(facts["cameras"]["far"])
        more = [pattern for pattern in _BESIDE if pattern[0] in facts["outputs"]]
        unit = float(facts["depth"]["unit"])
        cameras = dataclasses.replace(found.cameras, near=near, far=far)
    except (KeyError, TypeError, ValueError) as error:
        raise DatasetError(f"{files.where(OBJECT)}: damaged, or of another version ({error!r}).") from error
    frames = tuple(
        {**frame, **{kind: file.format(PurePosixPath(frame["image"]).stem) for kind, file in more}}
        for frame in found.frames
    )
    return dataclasses.replace(found, cameras=cameras, frames=frames, depth_unit=unit)


def _lines(files: Files, name: str) -> list[str]:
    try:
        lines = [line.strip() for line in files.read(name).decode("utf-8").splitlines() if line.strip()]
    except UnicodeDecodeError as error:
        raise DatasetError(f"{files.where(name)}: no text ({error}).") from error
    if not lines:
        raise DatasetError(f"{files.where(name)}: must have one line a view; it is empty.")
    return lines


def _r2n2_cameras(files: Files) -> Cameras:
    lines = _lines(files, METADATA)
    try:
        rows = [[float(word) for word in line.split()] for line in lines]
        return from_r2n2(torch.tensor(rows, dtype=torch.float32))
    except (ValueError, ShapeError, CameraError) as error:
        raise DatasetError(
            f"{files.where(METADATA)}: must have lines of azimuth, elevation, in-plane angle, distance ratio and field "
            f"of view: {error}"
        ) from error
