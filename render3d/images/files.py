"""Images in files: the only place where sRGB is decoded and encoded."""

import functools
import io
import itertools
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps
from torch import Tensor

from render3d.atomic import atomic_write
from render3d.color import linear_of_bytes, srgb_bytes, to_bytes
from render3d.errors import ViewSetError
from render3d.images import png
from render3d.images.opening import opened
from render3d.images.rendering import Rendering

_AS_ARRAYS = ("depth", "face_index", "barycentric")
_GREY = 8  # how far channels of a grey image may be apart, of 255: what JPEG makes of equal ones
_ORIENTATION, _ON_ITS_SIDE = 0x0112, (5, 6, 7, 8)  # EXIF: how a photograph is turned, and when its sides change places


def encode_png(rgb: Tensor | None, alpha: Tensor | None) -> bytes:
    """A PNG of 8 bits a channel: grey for alpha alone, RGB, or RGBA.

    Args:
        rgb: ``[3, H, W]`` float, linear light, or None; stored as sRGB, clipped to 0-1. With alpha it is stored as it
            is: composited over the background.
        alpha: ``[1, H, W]`` float, 0-1, or ``uint8`` fractions of 255; or None.
    """
    return png.encode(color_pixels(rgb, alpha))


def encode_npy(array: NDArray[Any]) -> bytes:
    """The ``.npy`` file of an array."""
    stream = io.BytesIO()
    np.save(stream, array, allow_pickle=False)
    return stream.getvalue()


def color_pixels(rgb: Tensor | None, alpha: Tensor | None) -> NDArray[np.uint8]:
    """The values that `encode_png` stores, ``[..., H, W, channels]``, without the last dimension for alpha alone."""
    channels = [] if rgb is None else [_srgb_bytes(rgb.detach().cpu())]
    if alpha is not None:
        channels.append(to_bytes(alpha.detach().cpu()))
    together = channels[0] if len(channels) == 1 else torch.cat(channels, dim=-3)
    pixels: NDArray[np.uint8] = together.movedim(-3, -1).numpy()
    return pixels[..., 0] if rgb is None else pixels


def normal_pixels(normal: Tensor) -> NDArray[np.uint8]:
    """Normals ``[..., 3, H, W]`` as bytes ``[..., H, W, 3]``: ``(n + 1) / 2``, so 128 in all channels for none."""
    pixels: NDArray[np.uint8] = to_bytes((normal.detach().cpu().float() + 1) / 2).movedim(-3, -1).numpy()
    return pixels


def depth_unit(far: float) -> float:
    """Scene units that 1 stands for in a depth image of 16 bits: the finest with which ``far`` fits."""
    return far / 65535


def depth_pixels(depth: Tensor, unit: float) -> NDArray[np.uint16]:
    """Depths ``[..., 1, H, W]`` in scene units as multiples ``[..., H, W]`` of ``unit``, off by half of it at most.

    0 stays what it is, nothing there; no other depth becomes 0.
    """
    values = depth.detach().cpu().numpy()[..., 0, :, :]
    multiples = np.clip(values * np.float32(1 / unit) + np.float32(0.5), 1, 65535).astype(np.uint16)
    return np.where(values > 0, multiples, np.uint16(0))


def _srgb_bytes(rgb: Tensor) -> Tensor:
    """Linear light as sRGB of 8 bits. Half floats, which OpenGL gives, are few enough for a table of them all."""
    if rgb.dtype == torch.float16:
        return torch.from_numpy(np.take(_srgb_of_halves(), rgb.numpy().view(np.uint16)))
    return srgb_bytes(rgb)


@functools.cache
def _srgb_of_halves() -> NDArray[np.uint8]:
    halves = np.arange(2**16, dtype=np.uint16).view(np.float16)
    values = torch.from_numpy(np.nan_to_num(halves.astype(np.float32)))
    table: NDArray[np.uint8] = srgb_bytes(values).numpy()
    return table


def check_size(where: Path | str, found: tuple[int, ...], image_size: tuple[int, int]) -> None:
    """Raise `ViewSetError` unless an image has the size of its camera, ``(height, width)``.

    Args:
        where: What the message calls the image.
        found: Its size, ``(height, width)``.
        image_size: Of its camera.
    """
    height, width = image_size
    if found != image_size:
        way_out = "Resize it, or correct the size of the camera."
        if found == (width, height):
            way_out = (
                "If the EXIF orientation of the file turns it, and the camera is that of the image as it is stored, "
                "remove the orientation."
            )
        raise ViewSetError(
            f"{where}: is {found[0]} x {found[1]} (height x width) and its camera {height} x {width}. {way_out}"
        )


def read_image(
    path: Path, content: bytes | None = None, image_size: tuple[int, int] | None = None
) -> tuple[Tensor | None, Tensor | None]:
    """Read the colours and the coverage in an image file, turned as its EXIF orientation says.

    Args:
        path: The file, of a format in `render3d.images.opening.PHOTOGRAPHS`.
        content: Of the file, where it has been read already.
        image_size: ``(height, width)`` of its camera, where that is known: an image of another size is refused before
            its pixels are read, for a small file may hold very many.

    Returns:
        ``rgb`` ``[3, H, W]`` float32 in linear light, or None for greyscale files; ``alpha`` ``[1, H, W]`` float32, or
        None for files without an alpha channel. The values of a greyscale file without one are its alpha.

    Raises:
        ViewSetError: A file that is missing, no image, truncated, or larger than Pillow thinks safe; grey values
            outside of 0-1; or another size.
    """
    mode, pixels = _read_pixels(path, content, image_size)
    if mode == "LA":
        return None, pixels[1:] / 255
    if mode not in ("RGB", "RGBA"):
        return None, _fractions(path, mode, pixels)
    rgb = torch.from_numpy(linear_of_bytes(pixels[:3].numpy()))
    return rgb, pixels[3:] / 255 if mode == "RGBA" else None


def read_mask(path: Path, content: bytes | None = None, image_size: tuple[int, int] | None = None) -> Tensor:
    """Read the coverage ``[1, H, W]`` float32, 0-1, that a mask holds: white is on the object.

    It is the alpha channel where that differs between pixels, and otherwise the values of a grey image as they are:
    they are no colours, and are not decoded from sRGB. Integers are fractions of 255 or 65535, floats are coverage.

    Args:
        path: As in `read_image`.
        content: As in `read_image`.
        image_size: As in `read_image`.

    Raises:
        ViewSetError: As `read_image`; or an image whose channels differ.
    """
    mode, pixels = _read_pixels(path, content, image_size)
    if mode in ("LA", "RGBA"):
        alpha, pixels = pixels[-1:], pixels[:-1]
        if alpha.amin() < alpha.amax():
            return alpha / 255
    if len(pixels) == 3:
        if (pixels.amax(0) - pixels.amin(0)).amax() > _GREY:
            raise ViewSetError(f"{path}: is coloured, and a mask is grey, white on the object. Store it so.")
        pixels = pixels[1:2]
    return _fractions(path, mode, pixels)


def _fractions(path: Path, mode: str, values: Tensor) -> Tensor:
    """Values of coverage as fractions of the largest that their type has."""
    kind, whole = ("floats", 1) if mode == "F" else ("integers", 65535 if mode.startswith("I") else 255)
    if values.dtype != torch.uint8:  # bytes are always within
        least, largest = (value.item() for value in values.aminmax())
        if not 0 <= least <= largest <= whole:
            raise ViewSetError(
                f"{path}: is read as a mask, whose values of {kind} must be from 0 to {whole}; got {least:g} to "
                f"{largest:g}."
            )
    return values / whole


def read_depth(
    path: Path, unit: float, content: bytes | None = None, image_size: tuple[int, int] | None = None
) -> Tensor:
    """Depths ``[1, H, W]`` float32 in scene units, from multiples of ``unit``: the inverse of `depth_pixels`.

    Raises:
        ViewSetError: As `read_image`, or no grey image of 16 bits.
    """
    mode, pixels = _read_pixels(path, content, image_size)
    if not mode.startswith("I"):
        raise ViewSetError(f"{path}: depth must be a grey image of 16 bits; got Pillow's mode {mode}.")
    return pixels * unit


def read_normal(path: Path, content: bytes | None = None, image_size: tuple[int, int] | None = None) -> Tensor:
    """Unit normals ``[3, H, W]`` float32, 0 where nothing is: the inverse of `normal_pixels` up to rounding.

    Raises:
        ViewSetError: As `read_image`, or no image of three channels.
    """
    mode, pixels = _read_pixels(path, content, image_size)
    if mode not in ("RGB", "RGBA"):
        raise ViewSetError(f"{path}: normals must be an image of three channels; got Pillow's mode {mode}.")
    nothing = (pixels[:3] == 128).all(0)
    return torch.where(nothing, 0.0, torch.nn.functional.normalize(pixels[:3] / 255 * 2 - 1, dim=0))


def read_size(path: Path, content: bytes) -> tuple[int, int]:
    """``(height, width)`` of an image whose pixels are not read.

    Raises:
        ViewSetError: No image.
    """
    try:
        with opened(io.BytesIO(content)) as image:
            turned = _orientation(image) in _ON_ITS_SIDE
            return (image.width, image.height) if turned else (image.height, image.width)
    except ValueError as error:
        raise ViewSetError(f"{path}: {error}") from error


def _orientation(image: Image.Image) -> int:
    # Without this question, Pillow would read all of a PNG to look for it.
    return int(image.getexif().get(_ORIENTATION, 1)) if "exif" in image.info else 1


def _read_pixels(path: Path, content: bytes | None, image_size: tuple[int, int] | None) -> tuple[str, Tensor]:
    """Pillow's mode, and the values as they are stored, ``[channels, H, W]``: bytes, or float32 for more than those."""
    try:
        with opened(path if content is None else io.BytesIO(content)) as stored:
            # An orientation may stand behind the pixels: which side is which is known, and checked, later.
            if image_size is not None and sorted(stored.size) != sorted(image_size):
                check_size(path, (stored.height, stored.width), image_size)
            stored.load()
            image = ImageOps.exif_transpose(stored) if _orientation(stored) != 1 else stored
            wide = image.mode.startswith(("I", "F"))
            mode = image.mode if wide else _plain_mode(image)
            pixels = np.array(image if wide else image.convert(mode), np.float32 if wide else np.uint8)
    except FileNotFoundError:
        raise ViewSetError(f"{path}: no such image.") from None
    except ValueError as error:
        raise ViewSetError(f"{path}: {error}") from error
    values = torch.from_numpy(pixels)
    return mode, values[None] if values.dim() == 2 else values.movedim(-1, 0)


def _plain_mode(image: Image.Image) -> str:
    transparent = "A" in image.mode or "transparency" in image.info
    if image.mode in ("1", "L", "LA"):
        return "LA" if transparent else "L"
    return "RGBA" if transparent else "RGB"


def save_rendering(rendering: Rendering, folder: Path) -> list[Path]:
    """Write each image of a rendering and return the paths.

    Colours and alpha go into one PNG (``rgb``, RGBA where both are there; ``alpha`` alone is grey), normals into a PNG
    as ``(n + 1) / 2``, and depth, face_index and barycentric into ``.npy`` files as they are: depth is camera z, in
    scene units. Names carry the leading index: ``rgb_1_0.png``.

    Raises:
        OSError: The folder cannot be written to.
    """
    folder.mkdir(parents=True, exist_ok=True)
    images = rendering.detach().to("cpu").as_dict()
    written = []
    for index in itertools.product(*(range(size) for size in rendering.leading_shape)):
        suffix = "_".join(str(number) for number in index)
        one = {name: image[index] for name, image in images.items()}
        files: dict[str, bytes] = {}
        if "rgb" in one or "alpha" in one:
            name = "rgb" if "rgb" in one else "alpha"
            files[f"{name}_{suffix}.png"] = encode_png(one.get("rgb"), one.get("alpha"))
        if "normal" in one:
            files[f"normal_{suffix}.png"] = png.encode(normal_pixels(one["normal"]))
        for name in _AS_ARRAYS:
            if name in one:
                files[f"{name}_{suffix}.npy"] = encode_npy(one[name].numpy())
        for name, content in files.items():
            with atomic_write(folder / name) as stream:
                stream.write(content)
            written.append(folder / name)
    return written
