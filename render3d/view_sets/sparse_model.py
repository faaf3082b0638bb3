"""The sparse model of COLMAP: ``cameras`` and ``images``, binary or text, and ``points3D``.

Source: COLMAP documentation, "Output Format" (https://colmap.github.io/format.html), and src/colmap/sensor/models.h.
Files come from anywhere: what a file says of its own size is compared with its size before anything is read by it.
"""

import math
import struct
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from render3d.errors import ViewSetError
from render3d.view_sets.files import Files, name_of
from render3d.view_sets.lenses import Lens
from render3d.view_sets.points import SeenPoints

_PINHOLE = 1
# By COLMAP's numbers: the name and the number of parameters. The models with one focal length are in `_ONE_FOCAL`.
_MODELS = {
    0: ("SIMPLE_PINHOLE", 3),
    _PINHOLE: ("PINHOLE", 4),
    2: ("SIMPLE_RADIAL", 4),
    3: ("RADIAL", 5),
    4: ("OPENCV", 8),
    5: ("OPENCV_FISHEYE", 8),
    6: ("FULL_OPENCV", 12),
    8: ("SIMPLE_RADIAL_FISHEYE", 4),
    9: ("RADIAL_FISHEYE", 5),
}
_COUNTS = dict(_MODELS.values())
_ONE_FOCAL = ("SIMPLE_PINHOLE", "SIMPLE_RADIAL", "RADIAL", "SIMPLE_RADIAL_FISHEYE", "RADIAL_FISHEYE")
_LONGEST_NAME = 4096


class SparseImage(NamedTuple):
    """An image of a model.

    Attributes:
        name: Of its file, in the folder of images.
        lens: What took it.
        qvec: ``(w, x, y, z)``, world to camera; its length is not 0.
        tvec: ``(x, y, z)``, world to camera, scene units.
    """

    name: str
    lens: Lens
    qvec: tuple[float, ...]
    tvec: tuple[float, ...]


def read_images(files: Files, folder: str) -> list[SparseImage]:
    """Read the images of a model with their cameras, in the order of their names.

    Args:
        files: Of the object.
        folder: That of the model; binary files go before text.

    Raises:
        ViewSetError: A file is missing, truncated, or says something that cannot be; a camera model that is not known;
            two images of one name; no image.
    """
    kind = "bin" if files.has(f"{folder}/cameras.bin") else "txt"
    cameras_file, images_file = (f"{folder}/{what}.{kind}" for what in ("cameras", "images"))
    cameras = dict((_binary_cameras if kind == "bin" else _text_cameras)(files, cameras_file))
    found: dict[str, SparseImage] = {}
    for name, camera, pose in (_binary_images if kind == "bin" else _text_images)(files, images_file):
        where = f"{files.where(images_file)}: image {name!r}"
        if camera not in cameras:
            raise ViewSetError(f"{where} is of camera {camera}, which {files.where(cameras_file)} does not have.")
        if not all(map(math.isfinite, pose)) or not any(pose[:4]):
            raise ViewSetError(f"{where} must have a quaternion (not of zeros) and a translation, finite; got {pose}.")
        if name in found:
            raise ViewSetError(f"{where} is there twice.")
        found[name] = SparseImage(name_of(where, name), cameras[camera], pose[:4], pose[4:])
    if not found:
        raise ViewSetError(f"{files.where(images_file)}: has no image. Give a model in which images are registered.")
    return [found[name] for name in sorted(found)]


def model_files(
    names: Sequence[str],
    parameters: Sequence[tuple[float, ...]],
    poses: Sequence[tuple[float, ...]],
    image_size: tuple[int, int],
    points: SeenPoints | None,
) -> Iterator[tuple[str, bytes]]:
    """Yield the files of a binary model by their names; images of one lens share a camera.

    Args:
        names: Of the images.
        parameters: fx, fy, cx and cy of each.
        poses: Quaternion and translation of each, seven numbers.
        image_size: ``(height, width)``.
        points: What the images show; each point is seen by the image that it is from.
    """
    lenses = {lens: number + 1 for number, lens in enumerate(dict.fromkeys(parameters))}
    height, width = image_size
    cameras = [struct.pack("<iiQQ4d", number, _PINHOLE, width, height, *lens) for lens, number in lenses.items()]
    yield "cameras.bin", struct.pack("<Q", len(cameras)) + b"".join(cameras)
    seen = _observations(points, len(names))
    yield "points3D.bin", _points(points, seen)
    images = [struct.pack("<Q", len(names))]
    for number, (name, lens, pose) in enumerate(zip(names, parameters, poses, strict=True)):
        images += [struct.pack("<I7dI", number + 1, *pose, lenses[lens]), name.encode() + b"\0"]
        images += [struct.pack("<Q", len(seen[number])), seen[number].tobytes()]
    yield "images.bin", b"".join(images)


def _observations(points: SeenPoints | None, images: int) -> list[Any]:
    """For each image the pixels at which it shows points, and their numbers, which count from 1."""
    kind = np.dtype([("xy", "<f8", 2), ("point", "<u8")])
    count = 0 if points is None else len(points.positions)
    rows = np.empty(count, kind)
    if points is None:
        return [rows] * images
    rows["xy"], rows["point"] = points.pixels, np.arange(count) + 1
    return np.split(rows, np.searchsorted(points.views, np.arange(1, images)))


def _points(points: SeenPoints | None, seen: list[Any]) -> bytes:
    fields = [("id", "<u8"), ("xyz", "<f8", 3), ("rgb", "u1", 3), ("error", "<f8")]
    track = [("length", "<u8"), ("image", "<u4"), ("place", "<u4")]
    rows = np.zeros(0 if points is None else len(points.positions), np.dtype([*fields, *track]))
    if points is not None:
        rows["id"], rows["xyz"], rows["rgb"] = np.arange(len(rows)) + 1, points.positions, points.colors
        rows["length"], rows["image"] = 1, points.views + 1
        rows["place"] = np.concatenate([np.arange(len(each)) for each in seen])
    return struct.pack("<Q", len(rows)) + rows.tobytes()


class _Reader:
    """A binary file, from its beginning to its end."""

    def __init__(self, files: Files, name: str) -> None:
        self.where, self._content, self._at = files.where(name), files.read(name), 0

    def take(self, layout: str) -> tuple[Any, ...]:
        size = struct.calcsize(layout)
        self._need(size)
        found = struct.unpack_from(layout, self._content, self._at)
        self._at += size
        return found

    def count(self, smallest: int) -> int:
        """Read a number of entries, each of at least so many bytes."""
        (count,) = self.take("<Q")
        self._need(count * smallest, f"it says that {count} entries follow")
        return int(count)

    def skip(self, size: int) -> None:
        self._need(size)
        self._at += size

    def text(self) -> str:
        end = self._content.find(b"\0", self._at, self._at + _LONGEST_NAME)
        try:
            name = self._content[self._at : max(end, self._at)].decode("utf-8")
        except UnicodeDecodeError:
            name = ""
        if not name:
            raise ViewSetError(f"{self.where}: no name of an image at byte {self._at}: broken or truncated.")
        self._at = end + 1
        return name

    def end(self) -> None:
        if rest := len(self._content) - self._at:
            raise ViewSetError(f"{self.where}: {rest} bytes are left after what its count says. Export it again.")

    def _need(self, size: int, why: str = "more must follow") -> None:
        if size > len(self._content) - self._at:
            raise ViewSetError(
                f"{self.where}: broken or truncated: {why} after byte {self._at}, and it has {len(self._content)}."
            )


def _binary_cameras(files: Files, name: str) -> Iterator[tuple[int, Lens]]:
    reader = _Reader(files, name)
    for _ in range(reader.count(24)):
        camera, number, width, height = reader.take("<iiQQ")
        where = f"{reader.where}: camera {camera}"
        model, parameters = _MODELS.get(number, (f"number {number}", -1))
        _check_model(where, model)
        yield camera, _lens(where, model, height, width, reader.take(f"<{parameters}d"))
    reader.end()


def _binary_images(files: Files, name: str) -> Iterator[tuple[str, int, tuple[float, ...]]]:
    reader = _Reader(files, name)
    for _ in range(reader.count(73)):
        _, *pose, camera = reader.take("<I7dI")
        image = reader.text()
        reader.skip(24 * reader.count(24))
        yield image, camera, tuple(pose)
    reader.end()


def _text_cameras(files: Files, name: str) -> Iterator[tuple[int, Lens]]:
    for number, line in _lines(files, name):
        words = line.split()
        if not words or line.startswith("#"):
            continue
        where = f"{files.where(name)}: line {number}"
        try:
            camera, model, width, height = int(words[0]), words[1], int(words[2]), int(words[3])
            parameters = tuple(map(float, words[4:]))
        except (ValueError, IndexError) as error:
            raise ViewSetError(f"{where} must be CAMERA_ID MODEL WIDTH HEIGHT PARAMS; got {line[:80]!r}.") from error
        _check_model(where, model)
        yield camera, _lens(where, model, height, width, parameters)


def _text_images(files: Files, name: str) -> Iterator[tuple[str, int, tuple[float, ...]]]:
    lines = _lines(files, name)
    for number, line in lines:
        words = line.split(maxsplit=9)
        if not words or line.startswith("#"):
            continue
        where = f"{files.where(name)}: line {number}"
        try:
            _, *numbers, camera, image = words
            pose = tuple(map(float, numbers))
            if len(pose) != 7:
                raise ValueError("not seven numbers")
            found = image.strip(), int(camera), pose
        except ValueError as error:
            expected = "IMAGE_ID QW QX QY QZ TX TY TZ CAMERA_ID NAME"
            raise ViewSetError(f"{where} must be {expected}; got {line[:80]!r}.") from error
        _, points = next(lines, (0, ""))  # whatever it holds, and even if it is empty
        if len(points.split()) % 3:
            raise ViewSetError(
                f"{where} must be followed by a line of its points, X Y POINT3D_ID each, or an empty one."
            )
        yield found


def _lines(files: Files, name: str) -> Iterator[tuple[int, str]]:
    try:
        text = files.read(name).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ViewSetError(f"{files.where(name)}: no text ({error}).") from error
    return ((number, line.strip()) for number, line in enumerate(text.split("\n"), 1))


def _check_model(where: str, model: str) -> None:
    if model not in _COUNTS:
        raise ViewSetError(
            f"{where} is of the model {model}, which is not known here; known: {', '.join(_COUNTS)}. Undistort the "
            "images first: colmap image_undistorter."
        )


def _lens(where: str, model: str, height: int, width: int, parameters: tuple[float, ...]) -> Lens:
    if len(parameters) != _COUNTS[model]:
        raise ViewSetError(f"{where} must have {_COUNTS[model]} parameters, as {model} has; got {len(parameters)}.")
    fx, *rest = parameters
    fy, cx, cy, *distortion = (fx, *rest) if model in _ONE_FOCAL else rest
    try:
        return Lens((height, width), (fx, fy, cx, cy), tuple(distortion), "FISHEYE" in model)
    except ViewSetError as error:
        raise ViewSetError(f"{where}: {error}") from error
