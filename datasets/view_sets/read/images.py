"""The pictures of an object, decoded."""

import io
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from render3d.datasets.view_sets.read.files import Files
from render3d.errors import DatasetError, ViewSetError
from render3d.images.files import read_depth, read_image, read_normal, read_size


def size_of(files: Files, name: str) -> tuple[int, int]:
    """``(height, width)`` of an image.

    Raises:
        DatasetError: As `Files.read`, or no image.
    """
    try:
        return read_size(files.where(name), files.read(name))
    except ViewSetError as error:
        raise DatasetError(str(error)) from error


def read_images(
    files: Files,
    frames: Sequence[Mapping[str, str]],
    outputs: Sequence[str],
    image_size: tuple[int, int],
    depth_unit: float,
) -> dict[str, Tensor]:
    """Images ``[frames, C, H, W]`` by the names of their outputs.

    Args:
        files: Of the object.
        frames: As `PosedFiles` has them; of the views that are wanted.
        outputs: Which.
        image_size: Of the cameras.
        depth_unit: As `PosedFiles` has it.

    Raises:
        DatasetError: A file that is missing, broken or of another size than its camera; an output that is not there.
    """
    read: dict[str, Callable[[str], Tensor]] = {
        "depth": lambda name: read_depth(files.where(name), depth_unit, files.read(name)),
        "normal": lambda name: read_normal(files.where(name), files.read(name)),
        "face_index": lambda name: _face_index(files, name),
    }
    views = []
    try:
        for frame in frames:
            view = _colors(files, frame) if {"rgb", "alpha"}.intersection(outputs) else {}
            view |= {kind: read[kind](frame[kind]) for kind in outputs if kind in frame and kind in read}
            _check(files, frame, view, outputs, image_size)
            views.append(view)
    except ViewSetError as error:
        raise DatasetError(str(error)) from error
    return {name: torch.stack([view[name] for view in views]) for name in outputs}


def _colors(files: Files, frame: Mapping[str, str]) -> dict[str, Tensor]:
    """``rgb`` and ``alpha`` as far as they are there: a mask goes before the alpha of the image."""
    image = frame["image"]
    rgb, alpha = read_image(files.where(image), files.read(image))
    mask = frame.get("mask", image)
    if mask != image:
        mask_rgb, mask_alpha = read_image(files.where(mask), files.read(mask))
        alpha = mask_alpha if mask_rgb is None else mask_rgb.mean(0, keepdim=True)
    return {name: value for name, value in (("rgb", rgb), ("alpha", alpha)) if value is not None}


def _check(
    files: Files, frame: Mapping[str, str], view: Mapping[str, Tensor], outputs: Sequence[str], size: tuple[int, int]
) -> None:
    image = files.where(frame["image"])
    for name in outputs:
        if name not in view:
            raise DatasetError(f"{image}: there is no {name} of this view; leave it out of outputs, or render it.")
        found = tuple(view[name].shape[-2:])
        if found != size:
            where = files.where(frame.get(name, frame["image"]))
            raise DatasetError(
                f"{where}: is {found[0]} x {found[1]} (height x width) and its camera {size[0]} x {size[1]}."
            )


def _face_index(files: Files, name: str) -> Tensor:
    """``[1, H, W]`` int64 of an ``.npy`` file, whose header is believed as far as the file reaches."""
    content = files.read(name)
    stream = io.BytesIO(content)
    try:
        if np.lib.format.read_magic(stream) != (1, 0):
            raise ValueError("not of version 1.0")
        shape, in_columns, dtype = np.lib.format.read_array_header_1_0(stream)
        if len(shape) != 2 or in_columns or dtype != np.dtype("<i4"):
            raise ValueError(f"not int32 in rows of two dimensions, but {dtype} {shape}")
        values = np.frombuffer(content, "<i4", offset=stream.tell()).reshape(shape)
    except ValueError as error:
        raise DatasetError(f"{files.where(name)}: no face indices, broken or truncated ({error}).") from error
    return torch.from_numpy(values.astype(np.int64))[None]
