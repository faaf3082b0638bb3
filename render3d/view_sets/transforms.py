"""What a ``transforms.json`` says of its frames: cameras, lenses and splits.

The files that it names are a matter of `render3d.view_sets.formats`. Source: nerfstudio documentation, "Data
conventions" (https://docs.nerf.studio/quickstart/data_conventions.html), and its ``nerfstudio_dataparser.py``.
"""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import torch

from render3d.cameras import Cameras, check_rigid, rigid
from render3d.conventions import from_nerfstudio, to_nerfstudio
from render3d.errors import CameraError, ShapeError, ViewSetError
from render3d.view_sets.files import slashed
from render3d.view_sets.lenses import Lens, common_size
from render3d.view_sets.ranges import in_range
from render3d.view_sets.view_set import SPLITS

_FISHEYE = "OPENCV_FISHEYE"
_BROWN = ("PINHOLE", "SIMPLE_PINHOLE", "SIMPLE_RADIAL", "RADIAL", "OPENCV")
_ORTHOGRAPHIC = "ORTHOGRAPHIC"
_MODELS = (*_BROWN, _FISHEYE, _ORTHOGRAPHIC)
_DISTORTION = ("k1", "k2", "p1", "p2", "k3", "k4")  # in OpenCV's order
_WAY_OUT = "Correct camera_model, or undistort the images first."


def camera_transforms(cameras: Cameras) -> dict[str, Any]:
    """Describe cameras ``[views]`` as ``transforms.json`` does, orthographic ones included; frames lack their files.

    Beside nerfstudio's keys it holds ``near``, ``far`` and ``projection``.
    """
    orthographic = cameras.projection == "orthographic"
    transforms = to_nerfstudio(dataclasses.replace(cameras, projection="perspective", near=1.0, far=2.0))
    return {
        "camera_model": "ORTHOGRAPHIC" if orthographic else "PINHOLE",
        "projection": cameras.projection,
        "near": cameras.near,
        "far": cameras.far,
        "frames": transforms["frames"],
    }


def cameras_of(source: Path, transforms: Mapping[str, Any]) -> Cameras:
    """Return the cameras ``[views]`` that a ``transforms.json`` describes, as pinholes of one size.

    Args:
        source: Where it is from, for messages.
        transforms: Its content, with the size of images.

    Raises:
        ViewSetError: Whatever is wrong with it, by the frame and the field; or no size.
    """
    lenses = lenses_of(source, transforms)
    return posed(source, transforms, lenses, common_size(source, lenses))


def posed(source: Path, transforms: Mapping[str, Any], lenses: Sequence[Lens], image_size: tuple[int, int]) -> Cameras:
    """Return the pinhole cameras ``[views]`` at the poses that a ``transforms.json`` has.

    Args:
        source: Where it is from, for messages.
        transforms: Its content.
        lenses: What took each frame.
        image_size: ``(height, width)`` of all cameras.

    Raises:
        ViewSetError: Whatever is wrong with the poses, by the frame and the field; or with near and far.
    """
    frames = [
        {"transform_matrix": frame.get("transform_matrix"), **_pinhole_fields(lens.scaled(image_size))}
        for frame, lens in zip(frames_of(source, transforms), lenses, strict=True)
    ]
    try:
        cameras = in_range(_in_world_of_data(transforms, from_nerfstudio({"frames": frames})))
        return dataclasses.replace(
            cameras,
            near=float(transforms.get("near", cameras.near)),
            far=float(transforms.get("far", cameras.far)),
            projection="orthographic" if transforms.get("camera_model") == _ORTHOGRAPHIC else "perspective",
        )
    except (CameraError, ShapeError, TypeError, ValueError, OverflowError) as error:
        raise ViewSetError(f"{source}: {error}") from error


def _pinhole_fields(lens: Lens) -> dict[str, float]:
    return dict(zip(("h", "w", "fl_x", "fl_y", "cx", "cy"), (*lens.image_size, *lens.pinhole), strict=True))


def _in_world_of_data(transforms: Mapping[str, Any], cameras: Cameras) -> Cameras:
    """The cameras before ``applied_transform`` A and ``applied_scale`` s, which made x of the world s A x."""
    if "applied_transform" not in transforms and "applied_scale" not in transforms:
        return cameras
    scale = float(transforms.get("applied_scale", 1.0))
    if not 0 < scale < math.inf:
        raise CameraError(f"applied_scale must be a positive number; got {scale}.")
    try:
        rows = torch.tensor(transforms.get("applied_transform", torch.eye(4)[:3].tolist()), dtype=torch.float64)
        applied = torch.cat([rows.reshape(-1, 4)[:3], torch.tensor([[0.0, 0, 0, 1]])])[None]
        check_rigid(applied, name="applied_transform")
    except CameraError:
        raise
    except (TypeError, ValueError, RuntimeError) as error:
        raise CameraError(f"applied_transform must be three or four rows of four numbers: {error}") from error
    pose = cameras.world_to_camera.double()
    pose = rigid(pose[:, :3, :3], pose[:, :3, 3] / scale) @ applied
    return dataclasses.replace(cameras, world_to_camera=pose.to(cameras.dtype))


def lenses_of(source: Path, transforms: Mapping[str, Any]) -> list[Lens]:
    """Return what took each frame; fields of the frame go before those for all.

    Focal lengths are ``fl_x`` and ``fl_y`` or, as NeRF-synthetic and instant-ngp have them, of ``camera_angle_x`` and
    ``camera_angle_y``, the fields of view in radians. That of y is by default that of x, and the principal point the
    middle of the image.

    Args:
        source: Where it is from, for messages.
        transforms: Its content, with the size of images.

    Raises:
        ViewSetError: A field that is missing, no finite number, or that the camera model does not have.

    Source: instant-ngp, nerf_loader.cu, ``read_focal_length`` and ``read_lens`` (https://github.com/NVlabs/instant-ngp).
    """
    frames = frames_of(source, transforms)
    shared = {**{side: frames[0].get(side) for side in ("h", "w")}, **transforms}  # some files tell them of one alone
    return [_lens(f"{source}: frames[{number}]", frame, shared) for number, frame in enumerate(frames)]


def _lens(where: str, frame: Mapping[str, Any], shared: Mapping[str, Any]) -> Lens:
    fields = {**shared, **frame}
    fisheye = _is_fisheye(where, fields)
    height, width = _side(where, fields, "h"), _side(where, fields, "w")
    fx, fy = (_focal(where, (frame, shared), *axis) for axis in (("x", width), ("y", height)))
    if fx is None:
        raise ViewSetError(f"{where} must have 'fl_x' or 'camera_angle_x', a finite number; add it.")
    cx, cy = _number(where, fields, "cx", width / 2), _number(where, fields, "cy", height / 2)
    k1, k2, p1, p2, k3, k4 = (_number(where, fields, name, 0.0) for name in _DISTORTION)
    if fisheye and (p1 or p2):
        raise ViewSetError(f"{where}: p1 and p2 are of no fisheye lens; got {(p1, p2)}. {_WAY_OUT}")
    if k4 and not fisheye:
        model = fields.get("camera_model", "PINHOLE")
        raise ViewSetError(f"{where}: k4 is of no lens with camera_model {model!r}; got {k4}. {_WAY_OUT}")
    distortion = (k1, k2, k3, k4) if fisheye else (k1, k2, p1, p2, k3)
    try:
        return Lens((height, width), (fx, fx if fy is None else fy, cx, cy), distortion, fisheye)
    except ViewSetError as error:
        raise ViewSetError(f"{where}: {error}") from error


def _is_fisheye(where: str, fields: Mapping[str, Any]) -> bool:
    model, said = fields.get("camera_model", "PINHOLE"), fields.get("is_fisheye")
    if model not in _MODELS:
        raise ViewSetError(
            f"{where} has camera_model {_shown(model)}, which is not known here; known: {', '.join(_MODELS)}. "
            "Undistort the images first."
        )
    if said not in (None, True, False):
        raise ViewSetError(f"{where}: is_fisheye must be true or false; got {_shown(said)}.")
    return model == _FISHEYE or bool(said)


def _side(where: str, fields: Mapping[str, Any], name: str) -> int:
    """A side of the image in pixels; colmap2nerf writes 1920.0."""
    if fields.get(name) is None:
        raise ViewSetError(f"{where}: 'h' and 'w', the size of its images in pixels, must be there; add them.")
    side = _number(where, fields, name, 0.0)
    if not side.is_integer():
        raise ViewSetError(f"{where}: {name} must be a number of pixels; got {side}.")
    return int(side)


def _focal(where: str, levels: Sequence[Mapping[str, Any]], axis: str, pixels: int) -> float | None:
    """The focal length in pixels that the first of these has that has any."""
    length, angle = f"fl_{axis}", f"camera_angle_{axis}"
    for fields in levels:
        if fields.get(length) is not None:
            return _number(where, fields, length, 0.0)
        if fields.get(angle) is not None:
            value = _number(where, fields, angle, 0.0)
            if not 0 < value < math.pi:
                raise ViewSetError(f"{where}: {angle} must lie between 0 and pi (radians); got {value}.")
            return pixels / 2 / math.tan(value / 2)
    return None


def _number(where: str, fields: Mapping[str, Any], name: str, default: float) -> float:
    value = fields.get(name)
    if value is None:
        return default
    try:
        found = math.nan if isinstance(value, bool) or not isinstance(value, int | float) else float(value)
    except OverflowError:  # integers have no bounds
        found = math.inf
    if not math.isfinite(found):
        raise ViewSetError(f"{where}: {name} must be a finite number; got {_shown(value)}.")
    return found


def _shown(value: object) -> str:
    """A value for messages, which may be of any length."""
    return repr(value)[:60]


def frames_of(source: Path, transforms: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the frames of a ``transforms.json``.

    Args:
        source: Where it is from, for messages.
        transforms: Its content.

    Raises:
        ViewSetError: There are none.
    """
    frames = transforms.get("frames")
    if not isinstance(frames, list) or not frames or not all(isinstance(frame, dict) for frame in frames):
        raise ViewSetError(f"{source}: 'frames' must be a list of at least one frame; got {_shown(frames)}.")
    return frames


def splits_of(source: Path, transforms: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the split of each frame, empty for a frame of none; or nothing, where the file has no splits.

    Args:
        source: Where it is from, for messages.
        transforms: Its content.

    Raises:
        ViewSetError: A split that names no frame, or what is none.
    """
    lists = {split: transforms[f"{split}_filenames"] for split in SPLITS if f"{split}_filenames" in transforms}
    if not lists:
        return ()
    there = [_path(str(frame.get("file_path"))) for frame in frames_of(source, transforms)]
    found: dict[str, str] = {}
    for split, names in reversed(lists.items()):  # what is trained on is no measure, whatever else names it
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise ViewSetError(f"{source}: {split}_filenames must be a list of names; got {_shown(names)}.")
        paths = [_path(name) for name in names]
        if unknown := set(paths).difference(there):
            raise ViewSetError(
                f"{source}: {split}_filenames has {_shown(min(unknown))}, which is the file_path of no frame. Correct "
                "one of them."
            )
        found.update(dict.fromkeys(paths, split))
    if not found:
        raise ViewSetError(f"{source}: its splits ({', '.join(lists)}) name no frame. Name some, or remove them.")
    return tuple(found.get(path, "") for path in there)


def _path(name: str) -> str:
    return str(PurePosixPath(slashed(name)))
