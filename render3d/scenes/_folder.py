"""What a mesh file may read besides itself: files of its own folder and below, and no others."""

import io
from pathlib import Path, PureWindowsPath
from typing import final
from urllib.parse import unquote

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from render3d.color import linear_to_srgb, srgb_to_linear
from render3d.errors import MeshError


@final
class Folder:
    """Reads the files that the mesh at ``mesh_path`` refers to and notes in ``problems`` those it cannot.

    A reference that leaves the folder, be it absolute, through ``..`` or through a link, is refused: a model from
    elsewhere must not read what it likes. trimesh takes it for one of its resolvers.
    """

    def __init__(self, mesh_path: Path) -> None:
        self._mesh_path = mesh_path
        self._root = mesh_path.parent.resolve()
        self.file_name = mesh_path.name
        self.problems: list[str] = []

    def holds(self, name: str) -> bool:
        """Whether the folder has a file of that name."""
        path = (self._root / name).resolve()
        return path.is_relative_to(self._root) and path.is_file()

    def read(self, name: str) -> bytes | None:
        """The content of a file, or None and a note."""
        try:
            return self.get(name)
        except MeshError:
            return None

    def get(self, name: str) -> bytes:
        """The content of a file.

        Raises:
            MeshError: The file is missing, cannot be read or lies outside the folder; also noted in ``problems``.
        """
        slashed = name.strip().replace("\\", "/")
        # glTF escapes spaces in names as %20.
        for spelling in dict.fromkeys([slashed, unquote(slashed)]):
            path = (self._root / spelling).resolve()
            if not path.is_relative_to(self._root) or PureWindowsPath(spelling).drive:
                raise self._noted(
                    f"It refers to {name!r}, which lies outside its folder {self._root}: not read. Copy that file into "
                    "the folder and refer to it by a relative path."
                )
            try:
                return path.read_bytes()
            except FileNotFoundError:
                continue
            except OSError as error:
                raise self._noted(f"It refers to {name!r}, which cannot be read: {error.strerror}.") from error
        raise self._noted(f"It refers to {name!r}, which is missing from its folder {self._root}.")

    def _noted(self, message: str) -> MeshError:
        if message not in self.problems:
            self.problems.append(message)
        return MeshError(f"{self._mesh_path}: {message}")

    def read_image(self, name: str) -> NDArray[np.float32] | None:
        """An image file as ``[H, W, 3]`` linear light, or None and a note."""
        content = self.read(name)
        if content is None:
            return None
        try:
            return decode_image(Image.open(io.BytesIO(content)), name, self.problems)
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
            self.problems.append(f"Its texture {name!r} is no image that can be read: {error}.")
            return None

    __getitem__ = get


def decode_image(image: Image.Image, name: str, problems: list[str]) -> NDArray[np.float32]:
    """``[H, W, 3]`` linear light of an image that holds sRGB values; transparency is noted and dropped."""
    if image.mode.startswith("I;16"):
        # Pillow clips these on conversion instead of scaling them.
        encoded = np.repeat(np.asarray(image, dtype=np.float32)[..., None] / 65535, 3, axis=-1)
    else:
        if image.has_transparency_data and np.asarray(image.convert("RGBA"))[..., 3].min() < 255:
            problems.append(f"Its texture {name!r} is transparent in places; drawn opaque.")
        encoded = np.asarray(image.convert("RGB"), dtype=np.float32) / 255
    decoded: NDArray[np.float32] = srgb_to_linear(torch.from_numpy(encoded)).numpy()
    return decoded


def encode_image(image: torch.Tensor) -> bytes:
    """A PNG of sRGB values, 8 bits, of ``[H, W, 3]`` linear light."""
    encoded = (linear_to_srgb(image.detach().cpu()).clamp(0, 1) * 255).round().to(torch.uint8)
    file = io.BytesIO()
    Image.fromarray(encoded.numpy()).save(file, format="PNG")
    return file.getvalue()
