"""Image files of views, written and read: what formats that store an image a file have in common."""

import dataclasses
import functools
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, final

import numpy as np
import torch
from torch import Tensor

from render3d.cameras import Cameras
from render3d.errors import ViewSetError
from render3d.images import Rendering, png
from render3d.images.files import (
    check_size,
    color_pixels,
    depth_pixels,
    depth_unit,
    encode_npy,
    normal_pixels,
    read_depth,
    read_image,
    read_mask,
    read_normal,
    read_size,
)
from render3d.view_sets.files import OBJECT, Files, read_json
from render3d.view_sets.formats.format import StoredViews
from render3d.view_sets.lenses import Lens, resized

BESIDE = ("depth", "normal", "face_index")
"""The outputs that have files of their own, in the order in which they are written."""

_LARGEST_UNIT = 1e30  # 65535 of which are still a float32
_LARGEST = 1600  # pixels: from there on nerfstudio takes smaller copies of images, where there are any


def frame_names(folder: str, digits: int) -> dict[str, str]:
    """Return the names for `frame_files`: images in ``folder``, the others in folders of their own."""
    names = {"image": f"{folder}/*.png", "depth": "depth/*.png", "normal": "normals/*.png"}
    names["face_index"] = "face_index/*.npy"
    return {kind: name.replace("*", f"{{:0{digits}d}}") for kind, name in names.items()}


def frame_files(cameras: Cameras, rendering: Rendering, names: Mapping[str, str]) -> Iterator[tuple[str, bytes]]:
    """Yield an RGBA PNG of each view, or a grey mask of alpha alone, then depth, normals and face indices if there.

    Args:
        cameras: ``[views]``.
        rendering: ``[views]``, with ``alpha``.
        names: Of the files, with a field for the number of the view: of ``"image"`` and of each of `BESIDE`; and of
            ``"mask"`` where alpha is to have a file of its own, beside an RGB image.

    Raises:
        ViewSetError: More than one leading dimension, or no alpha.
    """
    outputs = rendering.outputs
    if cameras.batch_shape or rendering.leading_shape != cameras.leading_shape or "alpha" not in outputs:
        raise ViewSetError(
            "A view set is the views of one scene: cameras and a rendering with alpha, both of shape [views]; got "
            f"{list(cameras.leading_shape)} and {rendering}."
        )
    rgb, alpha = rendering.stored("rgb") if "rgb" in outputs else None, rendering.stored("alpha")
    apart = "mask" in names
    stored: dict[str, Any] = {"image": color_pixels(rgb, None if apart and rgb is not None else alpha)}
    if apart:
        stored["mask"] = color_pixels(None, alpha)
    if "depth" in outputs:
        stored["depth"] = depth_pixels(rendering.depth, depth_unit(cameras.far))
    if "normal" in outputs:
        stored["normal"] = normal_pixels(rendering.normal)
    if "face_index" in outputs:
        stored["face_index"] = rendering.stored("face_index")[:, 0].cpu().numpy().astype(np.int32)
    for kind, values in stored.items():
        for number, pixels in enumerate(values):
            yield names[kind].format(number), encode_npy(pixels) if kind == "face_index" else png.encode(pixels)


@final
@dataclasses.dataclass(frozen=True, eq=False)
class Frames(StoredViews):
    """Views whose images have files of their own.

    Attributes:
        files: Of the object.
        source: What describes the views, for messages.
        cameras: ``[views]``.
        frames: For each view the names of its files: ``image``, and where they are there ``mask``, ``depth``,
            ``normal`` and ``face_index``.
        depth_unit: Scene units that 1 stands for in depth images.
        normals_in_world: Whether normals are said to be in world axes.
        lenses: What took each image; images are undistorted and resized to be as the cameras see them when they are
            read. Empty where they are so already.
        splits: As `StoredViews` has it.
    """

    files: Files
    source: Path
    cameras: Cameras
    frames: tuple[Mapping[str, str], ...]
    depth_unit: float
    normals_in_world: bool
    lenses: tuple[Lens, ...] = ()
    splits: tuple[str, ...] = ()

    def name(self, number: int) -> str:
        """Return the name of its image, without suffix; and without folder, unless two views would share one."""
        path = PurePosixPath(self.frames[number]["image"])
        return path.stem if self._stems_differ else str(path.with_suffix(""))

    @functools.cached_property
    def _stems_differ(self) -> bool:
        stems = [PurePosixPath(frame["image"]).stem for frame in self.frames if "image" in frame]
        return len(set(stems)) == len(stems)

    def where(self, number: int, output: str) -> Path:
        """Return the file that holds an image."""
        frame = self.frames[number]
        return self.files.where(frame.get("mask" if output == "alpha" else output, frame["image"]))

    def view(self, number: int, outputs: Sequence[str]) -> dict[str, Tensor]:
        """Read images of one view; a mask goes before the alpha of the image.

        Raises:
            ViewSetError: As `StoredViews.view`, or normals that may be in other axes.
        """
        frame = self.frames[number]
        if "normal" in outputs and not self.normals_in_world:
            raise ViewSetError(f"{self.source}: normals are not said to be in world axes; leave them out of outputs.")
        if "image" not in frame:
            raise ViewSetError(f"{self.source}: view {number} lacks the path of its image (file_path).")
        try:
            view = self._colors(number, frame) if {"rgb", "alpha"}.intersection(outputs) else {}
            beside = [kind for kind in BESIDE if kind in outputs and kind in frame]
            view |= {kind: self._beside(number, kind, frame[kind]) for kind in beside}
            view = {name: self._seen(number, name, image) for name, image in view.items() if name in outputs}
        except ViewSetError as error:
            raise ViewSetError(f"{self.source}: view {number}: {error}") from error
        return view

    def _seen(self, number: int, output: str, image: Tensor) -> Tensor:
        """An image of the file as the camera sees it."""
        if not self.lenses:
            return image
        lens, nearest = self.lenses[number], output in BESIDE
        if not lens.is_distorted and image.shape[-2:] == lens.image_size == self.cameras.image_size:
            return image
        check_size(self.where(number, output), tuple(image.shape[-2:]), lens.image_size)
        try:
            image = lens.undistorted(image, nearest=nearest, outside=-1 if output == "face_index" else 0)
        except ViewSetError as error:
            raise ViewSetError(f"{self.where(number, output)}: {error}") from error
        return resized(image, self.cameras.image_size, nearest=nearest)

    def _colors(self, number: int, frame: Mapping[str, str]) -> dict[str, Tensor]:
        name, mask, image_size = frame["image"], frame.get("mask"), self._size_in_file(number)
        rgb, alpha = read_image(self.files.where(name), self.files.read(name), image_size)
        if mask not in (None, name):
            alpha = read_mask(self.files.where(mask), self.files.read(mask), image_size)
        return {name: value for name, value in (("rgb", rgb), ("alpha", alpha)) if value is not None}

    def _size_in_file(self, number: int) -> tuple[int, int]:
        return self.lenses[number].image_size if self.lenses else self.cameras.image_size

    def _beside(self, number: int, kind: str, name: str) -> Tensor:
        where, content = self.files.where(name), self.files.read(name)
        if kind == "face_index":
            return _face_index(where, content)
        image_size = self._size_in_file(number)
        if kind == "depth":
            return read_depth(where, self.depth_unit, content, image_size)
        return read_normal(where, content, image_size)


def mask_of(files: Files, folder: str, name: str) -> str | None:
    """Find the mask of an image in a folder of masks: ``NAME.png``, as COLMAP has it, or with the suffix ``.png``.

    Args:
        files: Of the object.
        folder: Of the masks.
        name: Of the image, by its path in the folder of images.

    Returns:
        The name of its file, or None.
    """
    names = (f"{name}.png", str(PurePosixPath(name).with_suffix(".png")))
    return next((path for each in names if files.has(path := str(PurePosixPath(folder, each)))), None)


def of_copies(files: Files, lenses: Sequence[Lens], frames: Sequence[Mapping[str, str]]) -> list[Lens]:
    """Return the lenses of smaller copies of images, which are all as large as the first with their lens's size.

    Args:
        files: Of the object.
        lenses: Of the images.
        frames: The names of the copies, as in `Frames`.

    Raises:
        ViewSetError: As `size_of`.
    """
    first = {lens.image_size: frame["image"] for lens, frame in reversed([*zip(lenses, frames, strict=True)])}
    sizes = {size: size_of(files, name) for size, name in first.items()}
    return [lens.scaled(sizes[lens.image_size]) for lens in lenses]


def reduction_of(files: Files, copy_of: Callable[[int], str], largest: int) -> int:
    """Find by how much images are read smaller, as nerfstudio does: a power of two, 1 for the images themselves.

    The first image decides. Smaller copies are taken where it has more than 1600 pixels a side, or is not there.

    Args:
        files: Of the object.
        copy_of: The name of the first image, by the factor.
        largest: The longer side of the first image, pixels; 0 where it is not known.

    Source: nerfstudio, data/dataparsers/nerfstudio_dataparser.py, ``_get_fname``
    (https://github.com/nerfstudio-project/nerfstudio).
    """
    factor = 1 if files.has(copy_of(1)) else next((2**n for n in (1, 2, 3) if files.has(copy_of(2**n))), 1)
    while largest / factor > _LARGEST and files.has(copy_of(2 * factor)):
        factor *= 2
    return factor


def with_facts(found: Frames, names: Mapping[str, str]) -> Frames:
    """Return the same with what ``object.json`` knows and a format has no place for: near, far, depth, normals.

    Args:
        found: Views of an object that ``render3d views`` wrote.
        names: As `frame_files` took them.

    Raises:
        ViewSetError: ``object.json`` is damaged.
    """
    facts = read_json(found.files, OBJECT)
    try:
        near, far = float(facts["cameras"]["near"]), float(facts["cameras"]["far"])
        kinds = [kind for kind in BESIDE if kind in facts["outputs"]]
        unit = checked_unit(facts["depth"]["unit"])
        cameras = dataclasses.replace(found.cameras, near=near, far=far)
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise ViewSetError(f"{found.files.where(OBJECT)}: damaged, or of another version ({error!r}).") from error
    frames = tuple(
        {**frame, **{kind: _beside(names[kind], found.name(number)) for kind in kinds}}
        for number, frame in enumerate(found.frames)
    )
    return dataclasses.replace(found, cameras=cameras, frames=frames, depth_unit=unit)


def checked_unit(value: Any) -> float:
    """Return what a file says to be the unit of its depth images, scene units.

    Raises:
        ValueError: It is no positive number, or so large that depths would be infinite.
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < _LARGEST_UNIT:
        raise ValueError(f"must be a positive number, below {_LARGEST_UNIT:.0e}; got {repr(value)[:60]}.")
    return float(value)


def _beside(pattern: str, name: str) -> str:
    path = PurePosixPath(pattern)
    return str(path.with_name(name + path.suffix))


def size_of(files: Files, name: str) -> tuple[int, int]:
    """Return ``(height, width)`` of an image.

    Raises:
        ViewSetError: As `Files.read`, or no image.
    """
    return read_size(files.where(name), files.read(name))


def _face_index(where: Path, content: bytes) -> Tensor:
    """``[1, H, W]`` int64 of an ``.npy`` file, whose header is believed as far as the file reaches."""
    stream = io.BytesIO(content)
    try:
        if np.lib.format.read_magic(stream) != (1, 0):
            raise ValueError("not of version 1.0")
        shape, in_columns, dtype = np.lib.format.read_array_header_1_0(stream)
        if len(shape) != 2 or in_columns or dtype != np.dtype("<i4"):
            raise ValueError(f"not int32 in rows of two dimensions, but {dtype} {shape}")
        values = np.frombuffer(content, "<i4", offset=stream.tell()).reshape(shape)
    except Exception as error:  # numpy reads the header as Python, which fails in any way
        raise ViewSetError(f"{where}: no face indices, broken or truncated ({error}).") from error
    return torch.from_numpy(values.astype(np.int64))[None]
