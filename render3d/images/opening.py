"""Open image files that may come from anywhere: by a fixed list of formats, and within bounds."""

import contextlib
import io
import warnings
from collections.abc import Iterator
from pathlib import Path

from PIL import Image, TiffImagePlugin, UnidentifiedImageError, features

from render3d.errors import Render3DError

PHOTOGRAPHS = ("PNG", "JPEG", *(["WEBP"] if features.check("webp") else []), "TIFF", "BMP")
"""Pillow's names of the formats of photographs and masks."""

TEXTURES = (*PHOTOGRAPHS, "TGA", "GIF", "PPM", "DDS", "PCX", "SGI")
"""Those of textures of meshes: also older ones, of which TGA has no mark that tells it from other files."""


@contextlib.contextmanager
def opened(file: Path | io.BytesIO, formats: tuple[str, ...] = PHOTOGRAPHS) -> Iterator[Image.Image]:
    """Open an image by what it holds, whatever its name; its pixels are not decoded yet.

    Left to itself, Pillow tries all formats that it knows, and some of them start other programs: an EPS file is run
    by Ghostscript.

    Args:
        file: The file, or its content.
        formats: Pillow's names of those that are tried.

    Raises:
        ValueError: No image of these formats, more pixels than ``PIL.Image.MAX_IMAGE_PIXELS``, or whatever goes wrong
            until the image is closed, but for errors of this package.
        FileNotFoundError: There is no such file.
    """
    try:
        with _unchecked(file, formats) as image:
            _check_pixels(image)
            yield image
    except (FileNotFoundError, Render3DError):
        raise
    except Image.DecompressionBombError as error:
        raise ValueError(f"too large to be opened safely ({error}). Resize it.") from error
    except Exception as error:  # broken files fail in any way
        reason = "of none of these types" if isinstance(error, UnidentifiedImageError) else error
        raise ValueError(
            f"cannot be read as an image, broken or truncated ({reason}). Known types: {', '.join(formats)}."
        ) from error


def _unchecked(file: Path | io.BytesIO, formats: tuple[str, ...]) -> Image.Image:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # `_check_pixels` makes it an error
        return Image.open(file, formats=formats)


def _check_pixels(image: Image.Image) -> None:
    """Refuse what Pillow would only warn of, and tiles of a TIFF that are larger than that, whatever its own size."""
    sizes = [image.size]
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        tags = (TiffImagePlugin.TILEWIDTH, TiffImagePlugin.TILELENGTH)
        width, height = (image.tag_v2.get(tag, 0) for tag in tags)
        sizes.append((width, height))
    most = Image.MAX_IMAGE_PIXELS
    for width, height in sizes:
        if most is not None and width * height > most:
            raise Image.DecompressionBombError(f"{width} x {height} pixels; at most {most} are")
