"""The format of nerfstudio, and of instant-ngp and NeRF-synthetic: ``transforms.json`` and the files it names."""

import dataclasses
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar, final

from render3d._version import __version__
from render3d.atomic import json_by_lines
from render3d.cameras import Cameras
from render3d.conventions import from_nerf, from_nerfstudio, to_nerfstudio
from render3d.errors import CameraError, ShapeError, ViewSetError
from render3d.images import Rendering
from render3d.images.files import depth_unit
from render3d.view_sets.files import Files, read_json
from render3d.view_sets.formats.format import Format
from render3d.view_sets.frames import BESIDE, Frames, frame_files, frame_names, size_of

TRANSFORMS = "transforms.json"

_NAMES = frame_names("images", digits=4)
_FIELDS = {
    "image": "file_path",
    "mask": "mask_path",
    "depth": "depth_file_path",
    "normal": "normal_file_path",
    "face_index": "face_index_file_path",
}
_MILLIMETRES = 1e-3  # nerfstudio's default


@final
@dataclasses.dataclass(frozen=True)
class Nerfstudio(Format):
    """``transforms.json`` and the files it names, with a few keys of our own.

    Each frame is an RGBA PNG (``rgb`` and ``alpha``), or a grey mask where the rendering has alpha alone. Where the
    rendering has them, there are also ``depth`` (camera z, a PNG of 16 bits in units of ``depth_unit_scale_factor``),
    ``normal`` (world, a PNG of ``(n + 1) / 2``) and ``face_index`` (an int32 array in an ``.npy`` file).
    ``transforms.json`` comes last: where it is, all that it names is there. Beside nerfstudio's keys it holds
    ``near``, ``far``, ``projection``, ``color_space``, ``renderer`` and ``written_by``. Orthographic cameras, for which
    nerfstudio has no model, get ``camera_model`` ``"ORTHOGRAPHIC"`` and focal lengths in pixels per scene unit.

    What is read may be by nerfstudio, instant-ngp or NeRF-synthetic as well. The silhouette is the frame's
    ``mask_path``, or the image's alpha channel, or the image itself where it is grey.

    Attributes:
        transforms: What the file is called.
    """

    marker: ClassVar[str] = TRANSFORMS
    transforms: str = TRANSFORMS

    def files(self, cameras: Cameras, rendering: Rendering, renderer: str | None) -> Iterator[tuple[str, bytes]]:
        """Yield images, depth, normals and face indices of each view, and ``transforms.json``."""
        yield from frame_files(cameras, rendering, _NAMES)
        yield self.transforms, json_by_lines(_transforms(cameras, rendering, renderer))

    def open(self, files: Files) -> Frames:
        """Read ``transforms.json``.

        Raises:
            ViewSetError: Whatever is wrong with it, by its name, the frame and the field: broken JSON, a field that is
                missing, a pose that is not rigid, distortion, ``near >= far``, no size of images.
        """
        source, transforms = files.where(self.transforms), read_json(files, self.transforms)
        frames = tuple(_named(frame) for frame in _frames(source, transforms))
        unit = transforms.get("depth_unit_scale_factor", _MILLIMETRES)
        if isinstance(unit, bool) or not isinstance(unit, int | float) or not 0 < unit < math.inf:
            raise ViewSetError(f"{source}: depth_unit_scale_factor must be a positive number; got {unit!r}.")
        cameras = cameras_of(source, {**_size(files, transforms, frames[0]), **transforms})
        in_world = str(transforms.get("normal_space", "")).startswith("world")
        return Frames(files, source, cameras, frames, float(unit), in_world)


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
        ViewSetError: As `Nerfstudio.open`, or no size.
    """
    frame = _frames(source, transforms)[0]
    height, width = (transforms.get(side, frame.get(side)) for side in ("h", "w"))
    if not isinstance(height, int) or not isinstance(width, int):
        raise ViewSetError(f"{source}: 'h' and 'w', the size of its images in pixels, must be there; add them.")
    sized = {"w": width, "h": height, **transforms}
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
            cameras = from_nerf(transforms, (height, width))
        return dataclasses.replace(
            cameras,
            near=float(transforms.get("near", cameras.near)),
            far=float(transforms.get("far", cameras.far)),
            projection="orthographic" if orthographic else "perspective",
        )
    except (CameraError, ShapeError, TypeError, ValueError) as error:
        raise ViewSetError(f"{source}: {error}") from error


def _transforms(cameras: Cameras, rendering: Rendering, renderer: str | None) -> dict[str, Any]:
    transforms = camera_transforms(cameras)
    frames = transforms.pop("frames")
    kinds = [kind for kind in BESIDE if kind in rendering.outputs]
    for number, frame in enumerate(frames):
        frame["file_path"] = _NAMES["image"].format(number)
        if "rgb" not in rendering.outputs:
            frame["mask_path"] = frame["file_path"]
        frame |= {_FIELDS[kind]: _NAMES[kind].format(number) for kind in kinds}
    facts: dict[str, Any] = {"color_space": "sRGB, composited over the background", "renderer": renderer}
    if "depth" in kinds:
        facts |= {"depth_unit_scale_factor": depth_unit(cameras.far), "depth_kind": "camera z, 0 where nothing is"}
    if "normal" in kinds:
        facts["normal_space"] = "world, stored as (n + 1) / 2"
    return {**transforms, **facts, "written_by": f"render3d {__version__}", "frames": frames}


def _frames(source: Path, transforms: Mapping[str, Any]) -> list[dict[str, Any]]:
    frames = transforms.get("frames")
    if not isinstance(frames, list) or not frames or not all(isinstance(frame, dict) for frame in frames):
        raise ViewSetError(f"{source}: 'frames' must be a list of at least one frame; got {repr(frames)[:60]}.")
    return frames


def _named(frame: Mapping[str, Any]) -> dict[str, str]:
    """The files of a frame, by what they show."""
    named = {kind: frame.get(field) for kind, field in _FIELDS.items()}
    return {kind: name for kind, name in named.items() if isinstance(name, str) and name}


def _size(files: Files, transforms: Mapping[str, Any], frame: Mapping[str, str]) -> dict[str, int]:
    """The size of the images, which older files do not tell."""
    if "image" not in frame or all(side in transforms or side in transforms["frames"][0] for side in ("h", "w")):
        return {}
    height, width = size_of(files, frame["image"])
    return {"h": height, "w": width}
