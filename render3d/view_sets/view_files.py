"""The files of posed images, in nerfstudio's format: what `render3d.view_sets.write_views` writes."""

import dataclasses
import io
from collections.abc import Iterator
from typing import Any

import numpy as np

from render3d.atomic import json_by_lines
from render3d.cameras import Cameras
from render3d.conventions import to_nerfstudio
from render3d.errors import ViewSetError
from render3d.images import Rendering, png
from render3d.images.files import color_pixels, depth_pixels, depth_unit, normal_pixels

TRANSFORMS = "transforms.json"
_SUFFIXES = {"images": "png", "depth": "png", "normals": "png", "face_index": "npy"}
_FIELDS = {"depth": "depth_file_path", "normals": "normal_file_path", "face_index": "face_index_file_path"}


def view_files(cameras: Cameras, rendering: Rendering, *, renderer: str | None = None) -> Iterator[tuple[str, bytes]]:
    """Names and contents of the files, ``transforms.json`` last; see `render3d.view_sets.write_views`.

    Args:
        cameras: ``[views]``.
        rendering: ``[views]``, with ``alpha``; its ``rgb``, ``depth``, ``normal`` and ``face_index`` are stored too.
        renderer: What made the images, for the record.

    Raises:
        ViewSetError: More than one leading dimension, or no alpha.
    """
    if cameras.batch_shape or rendering.leading_shape != cameras.leading_shape or "alpha" not in rendering.outputs:
        raise ViewSetError(
            "write_views takes the views of one scene: cameras and a rendering with alpha, both of shape [views]; got "
            f"{list(cameras.leading_shape)} and {rendering}."
        )
    images = _images(cameras, rendering)
    for folder, values in images.items():
        for number, pixels in enumerate(values):
            yield _name(folder, number), png.encode(pixels) if _SUFFIXES[folder] == "png" else _npy(pixels)
    yield TRANSFORMS, json_by_lines(_transforms(cameras, rendering, renderer))


def camera_transforms(cameras: Cameras) -> dict[str, Any]:
    """What ``transforms.json`` says of cameras ``[views]``, orthographic ones included; frames lack their files.

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


def _images(cameras: Cameras, rendering: Rendering) -> dict[str, Any]:
    """What is stored of each view, ``[views, H, W, ...]``, by folder."""
    outputs = rendering.outputs
    found: dict[str, Any] = {
        "images": color_pixels(rendering.stored("rgb") if "rgb" in outputs else None, rendering.stored("alpha"))
    }
    if "depth" in outputs:
        found["depth"] = depth_pixels(rendering.depth, depth_unit(cameras.far))
    if "normal" in outputs:
        found["normals"] = normal_pixels(rendering.normal)
    if "face_index" in outputs:
        found["face_index"] = rendering.stored("face_index")[:, 0].cpu().numpy().astype(np.int32)
    return found


def _transforms(cameras: Cameras, rendering: Rendering, renderer: str | None) -> dict[str, Any]:
    from render3d import __version__

    transforms = camera_transforms(cameras)
    frames = transforms.pop("frames")
    present = {"depth": "depth", "normals": "normal", "face_index": "face_index"}
    folders = [folder for folder, output in present.items() if output in rendering.outputs]
    for number, frame in enumerate(frames):
        frame["file_path"] = _name("images", number)
        if "rgb" not in rendering.outputs:
            frame["mask_path"] = frame["file_path"]
        frame |= {_FIELDS[folder]: _name(folder, number) for folder in folders}
    facts: dict[str, Any] = {"color_space": "sRGB, composited over the background", "renderer": renderer}
    if "depth" in folders:
        facts |= {"depth_unit_scale_factor": depth_unit(cameras.far), "depth_kind": "camera z, 0 where nothing is"}
    if "normals" in folders:
        facts["normal_space"] = "world, stored as (n + 1) / 2"
    return {**transforms, **facts, "written_by": f"render3d {__version__}", "frames": frames}


def _name(folder: str, number: int) -> str:
    return f"{folder}/{number:04d}.{_SUFFIXES[folder]}"


def _npy(array: Any) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array, allow_pickle=False)
    return stream.getvalue()
