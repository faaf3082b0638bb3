"""What a ``transforms.json`` says of its frames: cameras, lenses and splits.

The files that it names are a matter of `render3d.view_sets.formats`. Source: nerfstudio documentation, "Data
conventions" (https://docs.nerf.studio/quickstart/data_conventions.html), and its ``nerfstudio_dataparser.py``.
"""

import dataclasses
import math
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import torch

from render3d.cameras import Cameras, check_rigid, rigid
from render3d.conventions import from_nerf, from_nerfstudio, to_nerfstudio
from render3d.errors import CameraError, ShapeError, ViewSetError
from render3d.view_sets.lenses import Lens
from render3d.view_sets.ranges import in_range
from render3d.view_sets.view_set import SPLITS

_FISHEYE = "OPENCV_FISHEYE"
_BROWN = ("PINHOLE", "SIMPLE_PINHOLE", "SIMPLE_RADIAL", "RADIAL", "OPENCV")
_ORTHOGRAPHIC = "ORTHOGRAPHIC"
_MODELS = (*_BROWN, _FISHEYE, _ORTHOGRAPHIC)
_DISTORTION = ("k1", "k2", "p1", "p2", "k3", "k4")  # in OpenCV's order
_OF_LENSES = (*_DISTORTION, "is_fisheye")


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
    """Return the cameras ``[views]`` that a ``transforms.json`` describes.

    Args:
        source: Where it is from, for messages.
        transforms: Its content, with the size of images.

    Raises:
        ViewSetError: Whatever is wrong with it, by the frame and the field; or no size.
    """
    frames = frames_of(source, transforms)
    height, width = sides_of(transforms)
    if height is None or width is None:
        raise ViewSetError(f"{source}: 'h' and 'w', the size of its images in pixels, must be there; add them.")
    for number, frame in enumerate(frames):
        model = {**transforms, **frame}.get("camera_model", "PINHOLE")
        if model not in _MODELS:
            raise ViewSetError(
                f"{source}: frames[{number}] has camera_model {model!r}, which is not known here; known: "
                f"{', '.join(_MODELS)}. Undistort the images first."
            )
    pinhole = {"w": width, "h": height, **_without_lens(transforms), "frames": [*map(_without_lens, frames)]}
    has_focal = "fl_x" in transforms or any("fl_x" in frame for frame in frames)
    try:
        if has_focal or "camera_angle_x" not in transforms:
            if "fl_x" in transforms:
                pinhole = {"fl_y": transforms["fl_x"], "cx": width / 2, "cy": height / 2, **pinhole}
            cameras = from_nerfstudio(pinhole)
        else:
            cameras = from_nerf(pinhole, (height, width))
        cameras = in_range(_in_world_of_data(transforms, cameras))
        return dataclasses.replace(
            cameras,
            near=float(transforms.get("near", cameras.near)),
            far=float(transforms.get("far", cameras.far)),
            projection="orthographic" if transforms.get("camera_model") == _ORTHOGRAPHIC else "perspective",
        )
    except (CameraError, ShapeError, TypeError, ValueError, OverflowError) as error:
        raise ViewSetError(f"{source}: {error}") from error


def sides_of(transforms: Mapping[str, Any]) -> tuple[int | None, int | None]:
    """Return height and width of the images, each None where a ``transforms.json`` with frames does not tell it."""
    found = (transforms.get(side, transforms["frames"][0].get(side)) for side in ("h", "w"))
    # instant-ngp writes 1920.0
    whole = (int(side) if isinstance(side, float) and side.is_integer() else side for side in found)
    height, width = (side if isinstance(side, int) else None for side in whole)
    return height, width


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


def _without_lens(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if name not in (*_OF_LENSES, "camera_model")}


def lenses_of(source: Path, transforms: Mapping[str, Any], cameras: Cameras) -> list[Lens]:
    """Return what took each frame; coefficients of the frame go before those for all.

    Args:
        source: Where it is from, for messages.
        transforms: Its content.
        cameras: What `cameras_of` makes of it.

    Raises:
        ViewSetError: A coefficient that is no finite number, or that the camera model does not have.
    """
    lenses = []
    for number, (frame, matrix) in enumerate(zip(transforms["frames"], cameras.intrinsics.tolist(), strict=True)):
        fields, where = {**transforms, **frame}, f"{source}: frames[{number}]"
        model = fields.get("camera_model", "PINHOLE")
        fisheye = model == _FISHEYE or bool(fields.get("is_fisheye"))
        k1, k2, p1, p2, k3, k4 = (_coefficient(where, fields, name) for name in _DISTORTION)
        if (p1 or p2) if fisheye else k4:
            raise ViewSetError(
                f"{where}: {'p1 and p2 are' if fisheye else 'k4 is'} of no lens with camera_model {model!r}; got "
                f"{(p1, p2) if fisheye else k4}. Correct camera_model, or undistort the images first."
            )
        (fx, _, cx), (_, fy, cy), _ = matrix
        distortion = (k1, k2, k3, k4) if fisheye else (k1, k2, p1, p2, k3)
        try:
            lenses.append(Lens(cameras.image_size, (fx, fy, cx, cy), distortion, fisheye))
        except ViewSetError as error:
            raise ViewSetError(f"{where}: {error}") from error
    return lenses


def _coefficient(where: str, fields: Mapping[str, Any], name: str) -> float:
    value = fields.get(name) or 0.0
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ViewSetError(f"{where}: {name} must be a finite number; got {value!r}.")
    return float(value)


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
        raise ViewSetError(f"{source}: 'frames' must be a list of at least one frame; got {repr(frames)[:60]}.")
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
    there = [str(PurePosixPath(str(frame.get("file_path")))) for frame in frames_of(source, transforms)]
    found: dict[str, str] = {}
    for split, names in reversed(lists.items()):  # what is trained on is no measure, whatever else names it
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise ViewSetError(f"{source}: {split}_filenames must be a list of names; got {repr(names)[:60]}.")
        paths = [str(PurePosixPath(name)) for name in names]
        if unknown := set(paths).difference(there):
            raise ViewSetError(
                f"{source}: {split}_filenames has {min(unknown)!r}, which is the file_path of no frame. Correct one of "
                "them."
            )
        found.update(dict.fromkeys(paths, split))
    if not found:
        raise ViewSetError(f"{source}: its splits ({', '.join(lists)}) name no frame. Name some, or remove them.")
    return tuple(found.get(path, "") for path in there)
