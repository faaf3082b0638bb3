"""The format of nerfstudio and of instant-ngp: ``transforms.json`` and the files it names."""

import dataclasses
from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any, ClassVar, final

from render3d._version import __version__
from render3d.atomic import json_by_lines
from render3d.cameras import Cameras
from render3d.errors import ViewSetError
from render3d.images import Rendering
from render3d.images.files import depth_unit
from render3d.view_sets.files import Files, name_of, read_json
from render3d.view_sets.formats.format import Format
from render3d.view_sets.frames import (
    BESIDE,
    Frames,
    checked_unit,
    frame_files,
    frame_names,
    mask_of,
    of_copies,
    reduction_of,
    size_of,
)
from render3d.view_sets.lenses import common_size
from render3d.view_sets.points import MOST_POINTS, encode_ply, surface_points
from render3d.view_sets.transforms import camera_transforms, frames_of, lenses_of, posed, splits_of

TRANSFORMS = "transforms.json"

_NAMES = frame_names("images", digits=4)
_POINTS = "sparse_pc.ply"  # as ns-process-data calls it
_FIELDS = {
    "image": "file_path",
    "mask": "mask_path",
    "depth": "depth_file_path",
    "normal": "normal_file_path",
    "face_index": "face_index_file_path",
}
_COPIES = {"image": "images", "mask": "masks", "depth": "depths"}  # folders of smaller copies: images_2 and so on
_MILLIMETRES = 1e-3  # nerfstudio's default


@final
@dataclasses.dataclass(frozen=True)
class Nerfstudio(Format):
    """``transforms.json`` and the files it names, with a few keys of our own.

    Each frame is an RGBA PNG (``rgb`` and ``alpha``), or a grey mask where the rendering has alpha alone. Where the
    rendering has them, there are also ``depth`` (camera z, a PNG of 16 bits in units of ``depth_unit_scale_factor``),
    ``normal`` (world, a PNG of ``(n + 1) / 2``) and ``face_index`` (an int32 array in an ``.npy`` file). With depth,
    ``sparse_pc.ply`` (``ply_file_path``) has points on the surface, from which splatting begins. ``transforms.json``
    comes last: where it is, all that it names is there. Beside nerfstudio's keys it holds ``near``, ``far``,
    ``projection``, ``color_space``, ``renderer`` and ``written_by``. Orthographic cameras, for which nerfstudio has no
    model, get ``camera_model`` ``"ORTHOGRAPHIC"`` and focal lengths in pixels per scene unit.

    What is read may be by nerfstudio or instant-ngp as well, or one file of NeRF-synthetic:

    - The silhouette is the frame's ``mask_path``, or the file of its name in the folder ``masks``, or the image's alpha
      channel, or the image itself where it is grey.
    - ``train_filenames``, ``val_filenames`` and ``test_filenames`` are the splits. Frames that none of them names are
      left out, as nerfstudio does.
    - Images of more than 1600 pixels a side are read from ``images_2`` and so on, where these are, with ``masks_2`` and
      ``depths_2``; and so are images that are not there themselves.
    - ``applied_transform`` and ``applied_scale`` are undone: cameras are in the world that the data had before.
    - Focal lengths may be said as fields of view, ``camera_angle_x`` and ``camera_angle_y`` in radians.
    - Distortion is undone: k1, k2, p1, p2 and k3, or k1 to k4 of ``OPENCV_FISHEYE`` or ``is_fisheye``.
    - Images of several sizes but one aspect are resized to the smallest.
    - Suffixes of images may be left out, or be of another case, and paths may have backslashes.

    Source: nerfstudio documentation, "Data conventions"
    (https://docs.nerf.studio/quickstart/data_conventions.html), and its ``nerfstudio_dataparser.py``.

    Attributes:
        transforms: What the file is called.
        points: How many points on the surface are written at most; 0 for none.
    """

    marker: ClassVar[str] = TRANSFORMS
    transforms: str = TRANSFORMS
    points: int = MOST_POINTS

    def files(self, cameras: Cameras, rendering: Rendering, renderer: str | None) -> Iterator[tuple[str, bytes]]:
        """Yield images, depth, normals and face indices of each view, points, and ``transforms.json``."""
        yield from frame_files(cameras, rendering, _NAMES)
        transforms = _transforms(cameras, rendering, renderer)
        if points := surface_points(cameras, rendering, self.points):
            yield _POINTS, encode_ply(points)
            transforms = {"ply_file_path": _POINTS, **transforms}
        yield self.transforms, json_by_lines(transforms)

    def open(self, files: Files) -> Frames:
        """Read ``transforms.json``.

        Raises:
            ViewSetError: Whatever is wrong with it, by its name, the frame and the field: broken JSON, a field that is
                missing, a pose that is not rigid, an unknown camera model, ``near >= far``, no size of images, a split
                of images that are not there.
        """
        source, transforms = files.where(self.transforms), read_json(files, self.transforms)
        splits = splits_of(source, transforms)
        if splits:
            kept = [frame for frame, split in zip(transforms["frames"], splits, strict=True) if split]
            transforms, splits = {**transforms, "frames": kept}, tuple(filter(None, splits))
        found = frames_of(source, transforms)
        frames = [_named(files, f"{source}: frames[{number}]", frame) for number, frame in enumerate(found)]
        try:
            unit = checked_unit(transforms.get("depth_unit_scale_factor", _MILLIMETRES))
        except ValueError as error:
            raise ViewSetError(f"{source}: depth_unit_scale_factor {error}") from error
        lenses = lenses_of(source, {**_size(files, transforms, frames[0]), **transforms})
        factor = _reduction(files, frames[0], max(lenses[0].image_size))
        copies = [_copies(files, frame, factor) for frame in frames]
        if factor > 1:
            lenses = of_copies(files, lenses, copies)
        cameras = posed(source, transforms, lenses, common_size(source, lenses))
        in_world = str(transforms.get("normal_space", "")).startswith("world")
        return Frames(files, source, cameras, tuple(copies), unit, in_world, tuple(lenses), splits)


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


def _named(files: Files, where: str, frame: Mapping[str, Any]) -> dict[str, str]:
    """The files of a frame, by what they show."""
    fields = {kind: frame.get(field) for kind, field in _FIELDS.items()}
    named = {kind: name_of(where, name) for kind, name in fields.items() if isinstance(name, str) and name}
    if "image" in named and "mask" not in named and (mask := mask_of(files, "masks", _below(named["image"]))):
        named["mask"] = mask
    return named


def _below(name: str) -> str:
    """The path of an image in the folder of images."""
    parts = PurePosixPath(name).parts
    return str(PurePosixPath(*parts[1:])) if len(parts) > 1 else name


def _copy_of(kind: str, name: str, factor: int) -> str:
    return name if factor == 1 else f"{_COPIES[kind]}_{factor}/{PurePosixPath(name).name}"


def _reduction(files: Files, frame: Mapping[str, str], largest: int) -> int:
    if "image" not in frame:
        return 1
    return reduction_of(files, lambda factor: _copy_of("image", frame["image"], factor), largest)


def _copies(files: Files, frame: Mapping[str, str], factor: int) -> Mapping[str, str]:
    """The files of a frame in the size that is read."""
    if factor == 1 or "image" not in frame:
        return frame
    copies = {kind: _copy_of(kind, name, factor) for kind, name in frame.items() if kind in _COPIES}
    mask = mask_of(files, f"masks_{factor}", PurePosixPath(frame["image"]).name)
    return copies | ({"mask": mask} if "mask" not in copies and mask else {})


def _size(files: Files, transforms: Mapping[str, Any], frame: Mapping[str, str]) -> dict[str, int]:
    """The size of the images, which older files do not tell."""
    if "image" not in frame or all(side in transforms or side in transforms["frames"][0] for side in ("h", "w")):
        return {}
    height, width = size_of(files, frame["image"])
    return {"h": height, "w": width}
