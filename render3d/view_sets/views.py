"""Posed images on disk: ``transforms.json`` and the images it names, read and written."""

import dataclasses
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self, final

import torch
from torch import Tensor

from render3d.atomic import atomic_write
from render3d.cameras import Cameras
from render3d.conventions import from_nerf, from_nerfstudio
from render3d.errors import CameraError, ShapeError, ViewSetError
from render3d.images import Rendering
from render3d.images.files import read_image
from render3d.view_sets.view_files import TRANSFORMS as TRANSFORMS
from render3d.view_sets.view_files import view_files

_SUFFIXES = ("", ".png", ".jpg", ".jpeg")


@final
@dataclasses.dataclass(frozen=True, eq=False)
class ViewSet:
    """Images of one scene with the cameras that took them.

    Attributes:
        cameras: ``[views]``.
        alpha: ``[views, 1, H, W]`` float32, coverage 0-1: the silhouettes.
        rgb: ``[views, 3, H, W]`` float32, linear light, or None.
        names: One name a view, that of its file.

    Raises:
        ShapeError: Images whose number or size is not that of the cameras.
    """

    cameras: Cameras
    alpha: Tensor
    rgb: Tensor | None
    names: tuple[str, ...]

    def __post_init__(self) -> None:
        size = (self.cameras.views, *self.cameras.image_size)
        for name, image in (("alpha", self.alpha), ("rgb", self.rgb)):
            if image is not None and (image.shape[0], *image.shape[-2:]) != size:
                raise ShapeError(
                    f"{name} must be one image a camera, {size[0]} of {size[1]} x {size[2]} pixels; got shape "
                    f"{list(image.shape)}."
                )
        if len(self.names) != self.cameras.views:
            raise ShapeError(f"names must be one a camera, {self.cameras.views}; got {len(self.names)}.")

    def __len__(self) -> int:
        return len(self.names)

    def select(self, indices: list[int]) -> Self:
        """Some of the views, by number."""
        rgb = None if self.rgb is None else self.rgb[indices]
        names = tuple(self.names[index] for index in indices)
        return dataclasses.replace(self, cameras=self.cameras[indices], alpha=self.alpha[indices], rgb=rgb, names=names)

    def split(self, held_out: int) -> tuple[Self, Self]:
        """Views to learn from and ``held_out`` others, spread evenly over the order they are in.

        Raises:
            ViewSetError: Nothing would be left on one of the sides.
        """
        if not 0 < held_out < len(self):
            raise ViewSetError(
                f"held_out must leave views on both sides; got {held_out} of {len(self)}. Hold out at least one and "
                "keep at least one."
            )
        chosen = {math.floor((number + 0.5) * len(self) / held_out) for number in range(held_out)}
        return self.select([i for i in range(len(self)) if i not in chosen]), self.select(sorted(chosen))


def write_views(folder: str | Path, cameras: Cameras, rendering: Rendering, *, renderer: str | None = None) -> Path:
    """Write images and ``transforms.json`` in nerfstudio's format, with a few keys of our own.

    Each frame is an RGBA PNG (``rgb`` and ``alpha``), or a grey mask where the rendering has alpha alone. Where the
    rendering has them, there are also ``depth`` (camera z, a PNG of 16 bits in units of ``depth_unit_scale_factor``),
    ``normal`` (world, a PNG of ``(n + 1) / 2``) and ``face_index`` (an int32 array in an ``.npy`` file).
    ``transforms.json`` comes last: where it is, all that it names is there. Beside nerfstudio's keys it holds
    ``near``, ``far``, ``projection``, ``color_space``, ``renderer`` and ``written_by``. Orthographic cameras, for which
    nerfstudio has no model, get ``camera_model`` ``"ORTHOGRAPHIC"`` and focal lengths in pixels per scene unit.

    Args:
        folder: Made if it is not there.
        cameras: ``[views]``.
        rendering: ``[views]``, with ``alpha`` and possibly others.
        renderer: What made the images, for the record.

    Returns:
        The path of ``transforms.json``.

    Raises:
        ViewSetError: More than one leading dimension, or no alpha.
        OSError: The disk is full, or the folder cannot be written to.
    """
    folder = Path(folder)
    for name, content in view_files(cameras, rendering, renderer=renderer):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(path) as stream:
            stream.write(content)
    return folder / TRANSFORMS


def read_views(path: str | Path) -> ViewSet:
    """Read posed images.

    Args:
        path: A ``transforms.json`` (nerfstudio, instant-ngp, NeRF-synthetic), or the folder that holds one.

    The silhouette is the frame's ``mask_path``, or the image's alpha channel, or the image itself where it is grey.
    Colours are kept as they are stored, decoded to linear light, where every frame has them.

    Raises:
        ViewSetError: Whatever is wrong, with the file, the frame and the field: nothing there, broken JSON, a field
            missing, a pose that is not rigid, distortion, ``near >= far``, a path that leaves the folder, an image that
            is missing, unreadable or of another size than its camera, no silhouette.
    """
    path = Path(path)
    path = path / TRANSFORMS if path.is_dir() else path
    transforms = _read_json(path)
    frames = _frames(path, transforms)
    images = [_read_frame(path, number, frame) for number, frame in enumerate(frames)]
    first_size = tuple(images[0][1].shape[-2:])
    cameras = _cameras(path, transforms, (int(first_size[0]), int(first_size[1])))
    for name, alpha, _ in images:
        if tuple(alpha.shape[-2:]) != cameras.image_size:
            raise ViewSetError(
                f"{path}: image {name!r} is {alpha.shape[-2]} x {alpha.shape[-1]} (height x width) and its camera is "
                f"{cameras.image_size[0]} x {cameras.image_size[1]}. Resize the image, or correct w and h."
            )
    colors = [rgb for _, _, rgb in images if rgb is not None]
    rgb = torch.stack(colors) if len(colors) == len(images) else None
    return ViewSet(cameras, torch.stack([alpha for _, alpha, _ in images]), rgb, tuple(name for name, _, _ in images))


def read_cameras(path: str | Path) -> Cameras:
    """The cameras of a ``transforms.json``, without its images.

    Args:
        path: As in `read_views`; the file must tell the size of its images.

    Raises:
        ViewSetError: As `read_views`, or no size.
    """
    path = Path(path)
    path = path / TRANSFORMS if path.is_dir() else path
    return cameras_of(path, _read_json(path))


def cameras_of(source: Path, transforms: Mapping[str, Any]) -> Cameras:
    """The cameras ``[views]`` that a ``transforms.json`` describes.

    Args:
        source: Where it is from, for messages.
        transforms: Its content, with the size of images.

    Raises:
        ViewSetError: As `read_views`, or no size.
    """
    frame = _frames(source, transforms)[0]
    height, width = (transforms.get(side, frame.get(side)) for side in ("h", "w"))
    if not isinstance(height, int) or not isinstance(width, int):
        raise ViewSetError(f"{source}: 'h' and 'w', the size of its images in pixels, must be there; add them.")
    return _cameras(source, transforms, (height, width))


def _frames(path: Path, transforms: Mapping[str, Any]) -> list[dict[str, Any]]:
    frames = transforms.get("frames")
    if not isinstance(frames, list) or not frames or not all(isinstance(frame, dict) for frame in frames):
        raise ViewSetError(f"{path}: 'frames' must be a list of at least one frame; got {_shortened(frames)}.")
    return frames


def _read_json(path: Path) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ViewSetError(f"{path}: no such file. Give a transforms.json or the folder that holds one.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ViewSetError(f"{path}: cannot be read ({error}).") from error
    if not text.strip():
        raise ViewSetError(f"{path}: the file is empty; write it again.")
    try:
        content = json.loads(text)
    except json.JSONDecodeError as error:
        raise ViewSetError(f"{path}: no valid JSON, broken or truncated ({error}).") from error
    if not isinstance(content, dict):
        raise ViewSetError(f"{path}: must hold a JSON object with 'frames'; got {_shortened(content)}.")
    return content


def _cameras(path: Path, transforms: Mapping[str, Any], image_size: tuple[int, int]) -> Cameras:
    """The cameras of all frames; ``image_size`` stands in for the ``w`` and ``h`` that older files lack."""
    sized = {"w": image_size[1], "h": image_size[0], **transforms}
    orthographic = transforms.get("camera_model") == "ORTHOGRAPHIC"
    if orthographic:
        sized["camera_model"] = "PINHOLE"
    has_focal = "fl_x" in transforms or any("fl_x" in frame for frame in transforms["frames"])
    try:
        if has_focal or "camera_angle_x" not in transforms:
            if "fl_x" in transforms:
                sized.setdefault("fl_y", transforms["fl_x"])
                sized.setdefault("cx", sized["w"] / 2)
                sized.setdefault("cy", sized["h"] / 2)
            cameras = from_nerfstudio(sized)
        else:
            cameras = from_nerf(transforms, image_size)
        return dataclasses.replace(
            cameras,
            near=float(transforms.get("near", cameras.near)),
            far=float(transforms.get("far", cameras.far)),
            projection="orthographic" if orthographic else "perspective",
        )
    except (CameraError, ShapeError, TypeError, ValueError) as error:
        raise ViewSetError(f"{path}: {error}") from error


def _read_frame(path: Path, number: int, frame: Mapping[str, Any]) -> tuple[str, Tensor, Tensor | None]:
    """Name, alpha and colours of a frame."""
    file = _inside(path, number, frame, "file_path")
    rgb, alpha = read_image(file)
    if "mask_path" in frame:
        mask_rgb, mask_alpha = read_image(_inside(path, number, frame, "mask_path"))
        mask = mask_rgb.mean(0, keepdim=True) if mask_rgb is not None else mask_alpha
        if mask is not None and mask.shape[-2:] != (alpha if rgb is None else rgb).shape[-2:]:  # type: ignore[union-attr]
            raise ViewSetError(f"{path}: frames[{number}]: mask_path is of another size than file_path; resize it.")
        alpha = mask
    if alpha is None:
        raise ViewSetError(
            f"{path}: frames[{number}] has no silhouette: {file.name} has no alpha channel and there is no "
            "'mask_path'. Store RGBA images, or name masks (white is object)."
        )
    return file.stem, alpha, rgb


def _inside(path: Path, number: int, frame: Mapping[str, Any], field: str) -> Path:
    """The file that a field names, which must lie in the folder of ``transforms.json``, links followed."""
    value = frame.get(field)
    if not isinstance(value, str) or not value:
        raise ViewSetError(f"{path}: frames[{number}] lacks {field!r}, the path of its image; got {_shortened(value)}.")
    folder = path.parent.resolve()
    for suffix in _SUFFIXES:  # NeRF-synthetic leaves the suffix out
        file = (folder / (value + suffix)).resolve()
        if not file.is_relative_to(folder):
            raise ViewSetError(
                f"{path}: frames[{number}]: {field} {value!r} leads out of the folder. Move the images into it."
            )
        if file.is_file():
            return file
    raise ViewSetError(f"{path}: frames[{number}]: {field} {value!r} does not exist.")


def _shortened(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
