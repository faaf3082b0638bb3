"""What a mesh file may read besides itself: files of its own folder, or of one given, and below; no others."""

import contextlib
import hashlib
import io
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path, PureWindowsPath
from typing import final
from urllib.parse import unquote

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from render3d.color import linear_of_bytes, srgb_bytes, srgb_to_linear
from render3d.errors import MeshError
from render3d.images.opening import TEXTURES
from render3d.scenes.files.text import BLANKS
from render3d.scenes.values import LARGEST_SIDE, shrunk_to

_WIDE = 65535  # the white of images of 16 bits, which Pillow may open as 32


@final
class Folder:
    """Reads the files that the mesh at ``mesh_path`` refers to and notes in ``problems`` those it cannot.

    ``checksums`` has the SHA-256 of each by its name, empty for those that could not be read.

    Names are relative to the folder of the mesh. One that leaves ``root``, be it absolute, through ``..`` or through a
    link, is refused: a model from elsewhere must not read what it likes.

    Raises:
        MeshError: The mesh itself lies outside ``root``.
    """

    def __init__(self, mesh_path: Path, root: Path | None = None) -> None:
        self._folder = mesh_path.parent.resolve()
        self._root = self._folder if root is None else root.resolve()
        self.problems: list[str] = []
        self.checksums: dict[str, str] = {}
        if root is not None and not mesh_path.resolve().is_relative_to(self._root):
            raise MeshError(f"{mesh_path}: lies outside root, {root}, or is a link to there. Pass a folder above it.")

    def holds(self, name: str) -> bool:
        """Whether there is a file of that name that may be read."""
        try:
            path = (self._folder / _slashed(name)).resolve()
            found = path.is_relative_to(self._root) and path.is_file()
        except (OSError, RuntimeError, ValueError):  # too long, links in a circle, a null character
            found = False
        if not found:
            self.checksums.setdefault(_slashed(name), "")
        return found

    def read(self, name: str) -> bytes | None:
        """The content of a file, or None and a note: it is missing, cannot be read or lies outside the root."""
        slashed = _slashed(name)
        content = self._content(name, slashed)
        self.checksums[slashed] = "" if content is None else hashlib.sha256(content).hexdigest()
        return content

    def _content(self, name: str, slashed: str) -> bytes | None:
        problem = f"It refers to {name!r}, which is missing from its folder {self._folder}."
        # glTF escapes spaces in names as %20.
        # In GBK and Shift-JIS, a backslash may be half of a character.
        for spelling in dict.fromkeys([slashed, unquote(slashed), name.strip(BLANKS)]):
            try:
                path = (self._folder / spelling).resolve()
                if not path.is_relative_to(self._root) or PureWindowsPath(spelling).drive:
                    problem = (
                        f"It refers to {name!r}, which lies outside its folder {self._root}: not read. Copy that file "
                        "into the folder and refer to it by a relative path."
                    )
                    break
                # Reading anything else, such as a pipe, might never end.
                if path.is_file():
                    return path.read_bytes()
            except (OSError, RuntimeError, ValueError) as error:  # see holds
                problem = f"It refers to {name!r}, which cannot be read: {error}."
                break
        if problem not in self.problems:
            self.problems.append(problem)
        return None

    def read_image(self, name: str) -> NDArray[np.float32] | None:
        """An image file as ``[H, W, 3]`` linear light, or None and a note."""
        content = self.read(name)
        return None if content is None else self.decode(name, lambda: open_image(content))

    def decode(self, name: str, opened: Callable[[], Image.Image]) -> NDArray[np.float32] | None:
        """An image that is opened as ``[H, W, 3]`` linear light, or None and a note."""
        try:
            with quiet_about_bombs():
                return decode_image(opened(), name, self.problems)
        except Exception as error:  # decoders of broken images fail in any way
            self.problems.append(f"Its texture {name!r} is no image that can be read: {error}.")
            return None


def _slashed(name: str) -> str:
    return name.strip(BLANKS).replace("\\", "/")


@contextlib.contextmanager
def quiet_about_bombs() -> Iterator[None]:
    """No warning of Pillow's when it opens an image of too many pixels: `decode_image` refuses it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        yield


def open_image(content: bytes) -> Image.Image:
    """An image of one of the types that textures have; its pixels are not read yet.

    Raises:
        OSError: It is of none of these.
    """
    try:
        return Image.open(io.BytesIO(content), formats=TEXTURES)
    except UnidentifiedImageError:
        raise OSError(f"it is none of {', '.join(TEXTURES)}, or broken") from None


def decode_image(image: Image.Image, name: str, problems: list[str]) -> NDArray[np.float32]:
    """``[H, W, 3]`` linear light of an image that holds sRGB values; transparency is noted and dropped.

    One of more than 16384 pixels along a side is shrunk along it, and that is noted.

    Raises:
        ValueError: It has no pixels, or more than Pillow's limit, which small files can be made to hold.
    """
    if 0 in image.size:
        raise ValueError("it has no pixels")
    if Image.MAX_IMAGE_PIXELS is not None and image.width * image.height > Image.MAX_IMAGE_PIXELS:
        raise ValueError(
            f"{image.width} x {image.height} pixels, above the limit of {Image.MAX_IMAGE_PIXELS}; make it smaller, or "
            "raise PIL.Image.MAX_IMAGE_PIXELS"
        )
    decoded = _decoded(image, name, problems)
    fitted: NDArray[np.float32] = shrunk_to(torch.from_numpy(decoded)).numpy()
    if fitted.shape != decoded.shape:
        before, after = (f"{width} x {height}" for height, width, _ in (decoded.shape, fitted.shape))
        problems.append(
            f"Its texture {name!r} of {before} pixels was shrunk to {after}: {LARGEST_SIDE} a side at most."
        )
    return fitted


def _decoded(image: Image.Image, name: str, problems: list[str]) -> NDArray[np.float32]:
    if image.mode.startswith(("I", "F")):
        # Pillow clips these on conversion instead of scaling them. Images of floats are of 0-1.
        scale = 1 if image.mode == "F" else _WIDE
        grey = np.nan_to_num(np.asarray(image, dtype=np.float32) / scale).clip(0, 1)
        linear: NDArray[np.float32] = srgb_to_linear(torch.from_numpy(grey)).numpy()
        return np.repeat(linear[..., None], 3, axis=-1)
    if image.has_transparency_data and np.asarray(image.convert("RGBA"))[..., 3].min() < 255:
        problems.append(f"Its texture {name!r} is transparent in places; drawn opaque.")
    return linear_of_bytes(np.asarray(image.convert("RGB")))


def encode_image(image: torch.Tensor) -> bytes:
    """A PNG of sRGB values, 8 bits, of ``[H, W, 3]`` linear light."""
    file = io.BytesIO()
    Image.fromarray(srgb_bytes(image).numpy()).save(file, format="PNG")
    return file.getvalue()
