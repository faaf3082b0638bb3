"""Image files are opened by a fixed list of formats, and never grow beyond their bounds."""

import io
import struct
from pathlib import Path

import pytest
from PIL import Image

from render3d.errors import MeshError, ViewSetError
from render3d.images.files import read_image
from render3d.images.opening import PHOTOGRAPHS, TEXTURES, opened

EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n/x { } def\nshowpage\n%%EOF\n"


def content(format: str, size: tuple[int, int] = (3, 2)) -> bytes:
    stream = io.BytesIO()
    Image.new("L", size).save(stream, format=format)
    return stream.getvalue()


@pytest.mark.parametrize("format", PHOTOGRAPHS)
def test_every_format_of_the_list_is_opened_whatever_it_is_called(tmp_path: Path, format: str) -> None:
    with opened(io.BytesIO(content(format))) as image:
        assert (image.format, image.size) == (format, (3, 2))
    (tmp_path / "image.png").write_bytes(content(format))
    rgb, alpha = read_image(tmp_path / "image.png")
    assert (rgb is None, alpha is None) == ((False, True) if format == "WEBP" else (True, False))


def test_what_is_no_photograph_may_be_a_texture() -> None:
    file = content("TGA")
    with opened(io.BytesIO(file), TEXTURES) as image:
        assert image.size == (3, 2)
    with (
        pytest.raises(ValueError, match="of none of these types.*Known types: PNG, JPEG, WEBP, TIFF, BMP"),
        opened(io.BytesIO(file)),
    ):
        pass


@pytest.mark.parametrize("formats", [PHOTOGRAPHS, TEXTURES])
def test_no_other_program_is_started(formats: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    """Pillow would have Ghostscript run what an EPS file says."""
    from PIL import EpsImagePlugin

    monkeypatch.setattr(EpsImagePlugin.EpsImageFile, "load", lambda self: pytest.fail("an EPS was opened"))
    with pytest.raises(ValueError, match="cannot be read as an image"), opened(io.BytesIO(EPS), formats) as image:
        image.load()


@pytest.mark.parametrize("size", [(50, 50), (50, 31)])
def test_images_of_too_many_pixels_are_refused_before_they_are_decoded(
    size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pillow itself refuses twice as many as its limit, and warns between."""
    file = content("PNG", size)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1500)
    with pytest.raises(ValueError, match="too large to be opened safely"), opened(io.BytesIO(file)):
        pytest.fail("it was opened")


def test_tiles_are_counted_too() -> None:
    """Four pixels in a tile of 40,000 by 40,000, for which libtiff would take 1.5 GiB."""
    entries = [(256, 2), (257, 2), (258, 8), (259, 8), (262, 1), (277, 1), (322, 40000), (323, 40000), (324, 8)]
    entries.append((325, 64))
    fields = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in entries)
    file = b"II*\0" + struct.pack("<IH", 8, len(entries)) + fields + bytes(68)
    with pytest.raises(ValueError, match="too large to be opened safely"), opened(io.BytesIO(file)):
        pytest.fail("it was opened")


def test_errors_of_the_caller_pass() -> None:
    with pytest.raises(MeshError), opened(io.BytesIO(content("PNG"))):
        raise MeshError
    with pytest.raises(FileNotFoundError), opened(Path("none.png")):
        pass


def test_whatever_fails_while_it_is_decoded_is_one_error(tmp_path: Path) -> None:
    file = content("PNG", (40, 40))
    with pytest.raises(ValueError, match="broken or truncated"), opened(io.BytesIO(file[:-20])) as image:
        image.load()
    (tmp_path / "image.png").write_bytes(file[:-20])
    with pytest.raises(ViewSetError, match="image.png: cannot be read as an image, broken or truncated"):
        read_image(tmp_path / "image.png")
