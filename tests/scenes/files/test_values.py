"""What is not finite or absurd in a file is mended and listed; images that are no images are listed."""

import io

import numpy as np
import pytest
import torch
from PIL import Image

from render3d import Cameras, Mesh
from render3d.color import srgb_to_linear
from render3d.renderers import OpenGL
from render3d.scenes.files.raw import RawMesh, to_mesh

CORNERS = "v 0 0 0\nv 1 0 0\nv 0 1 0\n"
TEXTURED = "mtllib a.mtl\nusemtl a\n" + CORNERS + "vt {}\nvt {}\nvt {}\nf 1/1 2/2 3/3\n"


@pytest.fixture
def load(write, tmp_path):
    """Loads a triangle whose texture is a file of these bytes."""

    def load_triangle(content, name="t.png", uv=("0 0", "1 0", "0 1")):
        (tmp_path / name).write_bytes(content)
        write("a.mtl", f"newmtl a\nKd 0 0 1\nmap_Kd {name}\n")
        return Mesh.load(write("a.obj", TEXTURED.format(*uv)))

    return load_triangle


def encoded(image, kind, **options):
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def rgb(color, size=(3, 2)):
    return Image.new("RGB", size, color)


@pytest.mark.parametrize(
    ("row", "color", "problem"),
    [
        ("0.5 nan 0.5", [0.6] * 3, "1 of its vertex colours are not finite; drawn in neutral grey."),
        ("inf 0 0", [0.6] * 3, "1 of its vertex colours are not finite; drawn in neutral grey."),
        ("1e300 0 0", [0.6] * 3, "1 of its vertex colours are not finite; drawn in neutral grey."),
        ("2 -1 0", [1, 0, 0], "Its vertex colours reach from -0.0774 to 4.954, beyond 0-1 of linear light; clipped."),
    ],
)
def test_colors_of_vertices(write, row, color, problem):
    mesh = Mesh.load(write("a.obj", f"v 0 0 0 {row}\nv 1 0 0 0 1 0\nv 0 1 0 0 0 0\nf 1 2 3\n"))
    torch.testing.assert_close(mesh.colors, torch.tensor([color, [0, 1, 0], [0, 0, 0]], dtype=torch.float32))
    assert mesh.problems == (problem,)


def test_colors_of_0_to_255_are_known_by_the_file(write):
    mesh = Mesh.load(write("a.obj", "v 0 0 0 255 128 0\nv 1 0 0 1 0 1\nv 0 1 0 0 0 0\nf 1 2 3\n"))
    expected = srgb_to_linear(torch.tensor([[255, 128, 0], [1, 0, 1], [0, 0, 0]]) / 255)
    torch.testing.assert_close(mesh.colors, expected)
    assert mesh.problems == ("Its colours reach 255: they were taken for values of 0 to 255.",)


@pytest.mark.parametrize("far", [5000.0, 3.0e9])
def test_texture_coordinates_far_away_are_moved_by_whole_repetitions(load, far):
    mesh = load(encoded(rgb("red"), "PNG"), uv=(f"{far} 0.25", f"{far + 0.5} 0.25", f"{far} 0.75"))
    assert mesh.texture.uv[mesh.uv_faces[0]].tolist() == [[0, 0.25], [0.5, 0.25], [0, 0.75]]
    assert mesh.problems == ()


@pytest.mark.parametrize("absurd", ["3443870976", "1e39", "inf", "-1e300"])
def test_texture_coordinates_that_are_absurd_are_taken_for_0(load, absurd):
    mesh = load(encoded(rgb("red"), "PNG"), uv=("0 0", f"{absurd} 0.5", "0 1"))
    assert mesh.texture.uv.isfinite().all()
    assert mesh.texture.uv.abs().max() <= 2**20
    assert "1 faces have texture coordinates that are infinite or absurdly large" in mesh.problems[0]
    mesh.check_values()


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "BMP", "TGA", "GIF", "TIFF", "WEBP", "PPM", "MPO"])
def test_images_of_the_usual_types(load, kind):
    options = {"save_all": True, "append_images": [rgb((0, 0, 255))]} if kind == "MPO" else {}
    mesh = load(encoded(rgb((255, 0, 0), size=(16, 16)), kind, **options))
    torch.testing.assert_close(mesh.texture.image[8, 8], torch.tensor([1.0, 0, 0]), atol=0.02, rtol=0)
    assert mesh.problems == ()


@pytest.mark.parametrize(
    ("values", "dtype"), [([0, 32896, 65535], np.uint16), ([0, 32896, 65535], np.int32), ([0, 32896 / 65535, 1], "f4")]
)
def test_grey_of_more_than_8_bits_is_scaled_and_not_clipped(load, values, dtype):
    image = Image.fromarray(np.array([values], dtype=dtype))
    mesh = load(encoded(image, "TIFF"), "t.tif")
    expected = srgb_to_linear(torch.tensor([0, 128 / 255, 1]))[:, None].expand(3, 3)
    torch.testing.assert_close(mesh.texture.image[0], expected, atol=1e-5, rtol=0)


EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n%%EndComments\nshowpage\n%%EOF\n"
PNG = encoded(rgb("red", size=(64, 64)), "PNG")


@pytest.mark.parametrize(
    "content",
    [
        EPS,
        b"",
        b"GIF89a",
        PNG[:60],
        PNG[:20] + bytes(4) + PNG[24:],  # no rows
        PNG[:16] + b"\x7f\xff\xff\xff" * 2 + PNG[24:],
        encoded(rgb("red"), "PDF"),
        encoded(rgb("red"), "ICO"),
        b"DDS " + b"\xff" * 124,
        b"II*\0" + b"\xff" * 60,
    ],
)
def test_what_is_no_image_is_listed_and_starts_no_program(load, content, monkeypatch):
    monkeypatch.setattr("subprocess.check_call", lambda *_, **__: pytest.fail("a program was started"))
    mesh = load(content)
    assert mesh.texture is None
    torch.testing.assert_close(mesh.face_colors, torch.tensor([[0.0, 0, 1]]))
    assert "Its texture 't.png' is no image that can be read" in mesh.problems[0]
    assert " object at 0x" not in mesh.problems[0]  # the same every time


def test_whatever_a_decoder_raises_is_listed(load, monkeypatch):
    def broken(*_):
        raise KeyError("no such marker")

    monkeypatch.setattr("PIL.PngImagePlugin.PngImageFile.load", broken)
    assert "is no image that can be read: 'no such marker'" in load(PNG).problems[0]


@pytest.mark.parametrize("size", [(4, 20000), (20000, 4), (3, 39996)])
def test_a_texture_longer_than_opengl_takes_is_shrunk_along_that_side_and_listed(load, size):
    """Red, then green below: both are there, in the right halves."""
    pixels = np.zeros((size[1], size[0], 3), np.uint8)
    pixels[: size[1] // 2, :, 0] = 255
    pixels[size[1] // 2 :, :, 1] = 255
    mesh = load(encoded(Image.fromarray(pixels), "PNG"), uv=("0.1 0.9", "0.6 0.9", "0.1 0.6"))
    factor = -(-max(size) // 16384)
    sides = [side // factor if side > 16384 else side for side in reversed(size)]
    assert list(mesh.texture.image.shape) == [*sides, 3]
    middle = sides[0] // 2
    assert mesh.texture.image[middle - 1, 0].tolist() == [1, 0, 0]
    assert mesh.texture.image[middle, 0].tolist() == [0, 1, 0]
    assert f"of {size[0]} x {size[1]} pixels was shrunk to {sides[1]} x {sides[0]}" in mesh.problems[0]
    cameras = Cameras.look_at(torch.tensor([[0.3, 0.3, 2.0]]), target=(0.3, 0.3, 0.0), image_size=(9, 9))
    center = OpenGL()(mesh, cameras).rgb[0, :, 4, 4]
    assert center[0] > 0.3
    assert center[1] == 0


def test_long_textures_of_several_materials_fit_one_image(write, write_png):
    """Laid side by side as they are, they would be 16388 x 20000 pixels."""
    for name, shape in (("tall", (16384, 2, 3)), ("wide", (2, 16384, 3))):
        write_png(f"{name}.png", np.full(shape, 255))
    write("a.mtl", "newmtl a\nmap_Kd tall.png\nnewmtl b\nmap_Kd wide.png\n")
    head = "mtllib a.mtl\n" + CORNERS + "vt 0 0\nvt 1 0\nvt 0 1\n"
    mesh = Mesh.load(write("a.obj", head + "usemtl a\nf 1/1 2/2 3/3\nusemtl b\nf 1/1 3/3 2/2\n"))
    assert max(mesh.texture.image.shape) < 2 * 4096 + 16
    assert sum("is longer than 4096 pixels" in problem for problem in mesh.problems) == 2


def test_every_reader_is_checked(tmp_path):
    """What readers hand on, here from a made-up format, becomes a mesh that can be rendered."""
    raw = RawMesh(
        vertices=np.eye(3),
        faces=np.array([[0, 1, 2]]),
        corner_uv=np.array([[[0.0, 0], [1, 0], [0, 1]]]),
        face_image=np.array([0]),
        images=(np.array([[[np.nan, 0, 0], [7, 1, 0]]], dtype=np.float32),),
    )
    problems: list[str] = []
    mesh = to_mesh(raw, tmp_path / "a.new", problems)
    torch.testing.assert_close(mesh.texture.image, torch.tensor([[[0.6, 0.6, 0.6], [1.0, 1, 0]]]))
    assert len(problems) == 2
    assert mesh.check().renderable
