"""``transforms.json`` of NeRF and of nerfstudio: dicts of plain numbers, with OpenGL axes, camera to world.

The world of these files usually has +Z up. It is left as it is: poses are poses in the world they came with.
"""

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from render3d.cameras import Cameras
from render3d.conventions.common import (
    OPENGL_AXES,
    check_perspective,
    intrinsics_matrix,
    invert_rigid,
    nearly_equal,
    pinhole,
)
from render3d.errors import CameraError
from render3d.precision import without_autocast

Transforms = dict[str, Any]
"""What ``json.load`` makes of a ``transforms.json``."""

_UNDISTORTED_MODELS = ("PINHOLE", "SIMPLE_PINHOLE", "OPENCV")
_DISTORTION = ("k1", "k2", "k3", "k4", "p1", "p2")


def to_nerf(cameras: Cameras) -> Transforms:
    """The dict of a NeRF ``transforms.json``: one ``camera_angle_x`` and a ``transform_matrix`` a frame.

    ``camera_angle_x = 2 atan(W / (2 fx))`` in radians; ``transform_matrix = inverse(world_to_camera) @
    diag(1, -1, -1, 1)``. Frames have no ``file_path`` yet. Not differentiable: these are plain numbers.

    Source: Mildenhall et al., "NeRF", ECCV 2020, load_blender.py of its code.

    Raises:
        CameraError: Orthographic cameras, more than one leading dimension, or what the format has no room for:
            fx different from fy or among the views, or a principal point off the centre. `to_nerfstudio` has room.
    """
    frames = _frames(cameras, system="NeRF's transforms.json")
    fx, fy, cx, cy = pinhole(cameras)
    height, width = cameras.image_size
    one_focal = nearly_equal(fx, fy) and nearly_equal(fx, fx[0].detach())
    if not (one_focal and nearly_equal(cx, width / 2) and nearly_equal(cy, height / 2)):
        raise CameraError(
            "NeRF's transforms.json has one camera_angle_x for all frames: fx and fy must be one number and the "
            "principal point the centre of the image. Use to_nerfstudio."
        )
    return {"camera_angle_x": 2 * math.atan(width / (2 * float(fx[0]))), "frames": frames}


def from_nerf(
    transforms: Mapping[str, Any], image_size: tuple[int, int], *, dtype: torch.dtype = torch.float32
) -> Cameras:
    """Cameras ``[views]`` from the dict of a NeRF ``transforms.json``.

    Args:
        transforms: What `to_nerf` gives; other fields are ignored.
        image_size: ``(height, width)`` of the images, in pixels: the file does not have it.
        dtype: Of the tensors.

    Near and far are the defaults of `Cameras`; use ``dataclasses.replace`` to set others.

    Raises:
        CameraError: A field that is missing or no number, or a pose that is not rigid.
    """
    height, width = image_size
    angle = _number(transforms, "camera_angle_x", where="transforms")
    if not 0 < angle < math.pi:
        raise CameraError(f"camera_angle_x must lie between 0 and pi (radians); got {angle}.")
    focal = width / 2 / math.tan(angle / 2)
    numbers = torch.tensor([focal, focal, width / 2, height / 2], dtype=torch.float64)
    return _cameras(_list_of_frames(transforms), numbers, image_size, dtype)


def to_nerfstudio(cameras: Cameras) -> Transforms:
    """The dict of a nerfstudio ``transforms.json``: intrinsics, size and pose of each frame.

    ``fl_x, fl_y, cx, cy`` in pixels with the corner origin, ``w, h`` and ``transform_matrix`` as in `to_nerf`. Frames
    have no ``file_path`` yet. Not differentiable: these are plain numbers. By default nerfstudio turns, centres and
    scales the poses that it reads (``orientation_method``, ``center_method``, ``auto_scale_poses``).

    Source: nerfstudio documentation, "Data conventions".

    Raises:
        CameraError: Orthographic cameras, or more than one leading dimension.
    """
    frames = _frames(cameras, system="nerfstudio's transforms.json")
    height, width = cameras.image_size
    numbers = torch.stack(pinhole(cameras), dim=-1).detach().double()
    for frame, (fx, fy, cx, cy) in zip(frames, numbers.tolist(), strict=True):
        frame.update(fl_x=fx, fl_y=fy, cx=cx, cy=cy, w=width, h=height)
    return {"camera_model": "PINHOLE", "frames": frames}


def from_nerfstudio(transforms: Mapping[str, Any], *, dtype: torch.dtype = torch.float32) -> Cameras:
    """Cameras ``[views]`` from the dict of a nerfstudio ``transforms.json``.

    Args:
        transforms: What `to_nerfstudio` gives; intrinsics and size may also stand at the top level, for all frames
            that lack them. Other fields are ignored.
        dtype: Of the tensors.

    Near and far are the defaults of `Cameras`; use ``dataclasses.replace`` to set others.

    Raises:
        CameraError: A field that is missing or no number, a pose that is not rigid, a camera model other than a
            pinhole, distortion, or frames of different sizes.
    """
    frames = _list_of_frames(transforms)
    numbers, sizes = [], []
    for index, frame in enumerate(frames):
        fields, where = {**transforms, **frame}, f"frames[{index}]"
        _check_undistorted(fields, where=where)
        numbers.append([_number(fields, name, where=where) for name in ("fl_x", "fl_y", "cx", "cy")])
        sizes.append((int(_number(fields, "h", where=where)), int(_number(fields, "w", where=where))))
    if len(set(sizes)) > 1:
        raise CameraError(
            f"All frames must be of one image size; got (height, width) {sorted(set(sizes))}. Convert those of each "
            "size apart, or resize the images and .resize the cameras."
        )
    return _cameras(frames, torch.tensor(numbers, dtype=torch.float64), sizes[0], dtype)


@without_autocast
def _frames(cameras: Cameras, *, system: str) -> list[Transforms]:
    check_perspective(cameras, system=system)
    if cameras.batch_shape:
        raise CameraError(
            f"{system} lists the frames of one scene: cameras must have one leading dimension, the views; got "
            f"{list(cameras.leading_shape)}. Convert cameras[0], cameras[1] and so on apart."
        )
    pose = (cameras.camera_to_world @ OPENGL_AXES.to(cameras.world_to_camera)).detach().double()
    return [{"transform_matrix": matrix} for matrix in pose.tolist()]


@without_autocast
def _cameras(
    frames: list[Mapping[str, Any]], numbers: Tensor, image_size: tuple[int, int], dtype: torch.dtype
) -> Cameras:
    matrices = torch.stack([_matrix(frame, where=f"frames[{index}]") for index, frame in enumerate(frames)])
    try:
        inverse = invert_rigid(matrices, name="transform_matrix")
    except CameraError:
        for index, matrix in enumerate(matrices):  # which of them it is
            invert_rigid(matrix, name=f"transform_matrix of frames[{index}]")
        raise
    pose, matrix = OPENGL_AXES.to(inverse) @ inverse, intrinsics_matrix(*numbers.unbind(-1))
    return Cameras(pose.to(dtype), matrix.to(dtype), image_size)


def _matrix(frame: Mapping[str, Any], *, where: str) -> Tensor:
    try:
        return torch.tensor(frame["transform_matrix"], dtype=torch.float64).reshape(4, 4)
    except (KeyError, TypeError, ValueError, RuntimeError):
        raise CameraError(f"{where} must have a 'transform_matrix' of four rows of four numbers.") from None


def _list_of_frames(transforms: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    frames = transforms.get("frames")
    if not isinstance(frames, list) or not frames or not all(isinstance(frame, Mapping) for frame in frames):
        raise CameraError("transforms must have 'frames', a list of at least one dict.")
    return frames


def _number(fields: Mapping[str, Any], name: str, *, where: str) -> float:
    value = fields.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise CameraError(f"{where} must have {name!r}, a finite number; got {value!r}.")
    return float(value)


def _check_undistorted(fields: Mapping[str, Any], *, where: str) -> None:
    model = fields.get("camera_model", "PINHOLE")
    distorted = [name for name in _DISTORTION if fields.get(name)]
    if model not in _UNDISTORTED_MODELS or distorted:
        raise CameraError(
            f"{where} must be a pinhole camera without distortion; got camera_model {model!r}"
            f"{', ' if distorted else ''}{', '.join(distorted)}. Undistort the images first, as read_views does."
        )
