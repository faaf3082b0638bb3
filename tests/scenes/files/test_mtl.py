"""Materials: their colours, what makes them transparent, options of images, and who names none."""

import numpy as np
import pytest
import torch

from render3d import Mesh
from render3d.color import srgb_to_linear

SQUARE = "v 0 0 0\nv 1 0 0\nv 1 1 0\nv 0 1 0\nvt 0 0\nvt 1 0\nvt 1 1\nvt 0 1\n"
LEFT, RIGHT = "f 1/1 2/2 3/3\n", "f 1/1 3/3 4/4\n"


@pytest.fixture
def load(write, write_png):
    """Loads the square with a library of one text, its two faces of two materials."""

    def load_square(mtl, head="mtllib a.mtl\nusemtl a\n", between=""):
        write_png("t.png", np.full((2, 2, 3), 255))
        write("a.mtl", mtl)
        return Mesh.load(write("a.obj", head + SQUARE + LEFT + between + RIGHT))

    return load_square


def linear(*encoded):
    return srgb_to_linear(torch.tensor(encoded, dtype=torch.float64)).float()


@pytest.mark.parametrize(
    ("mtl", "color"),
    [
        ("newmtl a\nKd 255 128 0\n", (1, 128 / 255, 0)),
        ("newmtl a\nKd 1 0 1\nnewmtl b\nKd 255 0 0\n", (1 / 255, 0, 1 / 255)),  # the file decides, not the row
        ("newmtl a\nKd 1 0.5 0\n", (1, 0.5, 0)),
        ("newmtl a\nKd 0.5\n", (0.5, 0.5, 0.5)),
        ("newmtl a\nKD\t0.5 0.25 1 # a comment\n", (0.5, 0.25, 1)),
        ("newmtl a\rKd 1 0 0\r", (1, 0, 0)),
    ],
)
def test_diffuse_colors(load, mtl, color):
    mesh = load(mtl)
    torch.testing.assert_close(mesh.face_colors[0], linear(*color))
    guess = "Its colours reach 255: they were taken for values of 0 to 255."
    assert mesh.problems == ((guess,) if "255" in mtl else ())


def test_colors_beyond_any_scale_are_clipped_and_listed(load):
    mesh = load("newmtl a\nKd 65535 -3 0.5\n")
    torch.testing.assert_close(mesh.face_colors[0], torch.tensor([1, 0, linear(0.5).item()]))
    assert "Its face colours reach from -0.2322 to" in mesh.problems[0]


TOLD = ("Material 'a' is transparent; drawn opaque.",)


@pytest.mark.parametrize(
    ("lines", "problems"),
    [
        ("d 1", ()),
        ("d 0.5", TOLD),
        ("d -halo 0.5", TOLD),
        ("Tr 0", ()),
        ("Tr 0.9", TOLD),
        ("tr .9", TOLD),
        ("Tr 1\nd 1", ()),  # as 3ds Max writes what is opaque: d decides
        ("d 0.5\nTr 0.5", TOLD),
        ("map_d t.png", TOLD),
        ("map_Tr -s 1 1 1 t.png", TOLD),
        ("d", ("Material 'a' has a line that cannot be read: 'd'.",)),
    ],
)
def test_transparency_is_listed_once(load, lines, problems):
    mesh = load(f"newmtl a\nKd 1 0 0\n{lines}\n")
    assert mesh.problems == problems
    assert mesh.face_colors.tolist() == [[1, 0, 0]] * 2


@pytest.mark.parametrize(
    "options", ["-s 1 1 1", "-o 0 0 0", "-t 0 0", "-s 1 1 1 -o 0.0 0 0", "-clamp off", "-mm 0 1", "-blendu on -s 1"]
)
def test_options_that_change_nothing_are_taken(load, options):
    mesh = load(f"newmtl a\nmap_Kd {options} t.png\n")
    assert mesh.problems == ()
    assert mesh.texture.image.tolist() == np.ones((2, 2, 3)).tolist()


@pytest.mark.parametrize("options", ["-s 2 1 1", "-o 0.5 0 0", "-clamp on", "-mm 0 2", "-boost 3", "-s 1 1 1 -o 1 0 0"])
def test_options_that_would_change_something_are_listed(load, options):
    mesh = load(f"newmtl a\nmap_Kd {options} t.png\n")
    assert mesh.texture is not None
    assert mesh.problems == (f"Material 'a' has texture options, which are not applied: '{options} t.png'.",)


def test_the_only_material_is_that_of_faces_that_name_none(load):
    mesh = load("newmtl a\nKd 1 0 0\n", head="mtllib a.mtl\n")
    assert mesh.face_colors.tolist() == [[1, 0, 0]] * 2
    assert mesh.problems == (
        "Faces of it name no material (usemtl); they are drawn in 'a', the only one of its library.",
    )
    assert load("newmtl a\nmap_Kd t.png\n", head="mtllib a.mtl\n").texture.image.mean() == 1


def test_of_several_materials_none_is_that_of_faces_that_name_none(load):
    mesh = load("newmtl a\nKd 1 0 0\nnewmtl b\nKd 0 1 0\n", head="mtllib a.mtl\n", between="usemtl b\n")
    torch.testing.assert_close(mesh.face_colors, torch.tensor([[0.6, 0.6, 0.6], [0, 1, 0]]))
    assert mesh.problems == ("Faces of it name no material (usemtl); they are drawn in neutral grey.",)


def test_colors_of_vertices_are_kept_where_faces_name_no_material(write, load):
    load("newmtl a\nKd 1 0 0\n")
    text = "mtllib a.mtl\nv 0 0 0 0 1 0\nv 1 0 0 0 1 0\nv 1 1 0 0 1 0\nf 1 2 3\n"
    mesh = Mesh.load(write("b.obj", text))
    assert mesh.colors.tolist() == [[0, 1, 0]] * 3
    assert mesh.problems == ()


# Two characters each: in GBK they are no UTF-8, and the second halves of the last of each are a backslash in ASCII.
@pytest.mark.parametrize(
    ("encoding", "names"),
    [
        ("gbk", ("红", "绿")),
        ("shift-jis", ("赤", "緑")),
        ("shift-jis", ("表", "ソ")),
        ("utf-8", ("红", "绿")),
        ("utf-8-sig", ("红", "绿")),
        ("utf-16", ("红", "绿")),
        ("utf-16-le", ("红", "绿")),
        ("utf-16-be", ("红", "绿")),
        ("latin-1", ("rötlich", "rätlich")),
        ("utf-8", ("a\u2028b", "a\u2029b")),
        ("utf-8", ("a\x0cb", "a\x85b")),
        ("ascii", ("light  red", "light red")),
    ],
)
@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
def test_names_stay_apart_in_any_encoding(tmp_path, encoding, names, ending):
    first, second = names
    mtl = f"newmtl {first}\nKd 1 0 0\nnewmtl {second}\nKd 0 1 0\n"
    obj = f"mtllib a.mtl\n{SQUARE}usemtl {first}\n{LEFT}usemtl {second} \n{RIGHT}"
    (tmp_path / "a.mtl").write_bytes(mtl.replace("\n", ending).encode(encoding))
    (tmp_path / "a.obj").write_bytes(obj.replace("\n", ending).encode(encoding))
    mesh = Mesh.load(tmp_path / "a.obj")
    assert mesh.face_colors.tolist() == [[1, 0, 0], [0, 1, 0]]
    assert mesh.problems == ()


@pytest.mark.parametrize(("encoding", "name"), [("gbk", "红"), ("shift-jis", "表"), ("latin-1", "rötlich")])
def test_files_with_names_in_any_encoding_are_found(tmp_path, write_png, encoding, name):
    encoded = name.encode(encoding)
    image = write_png("t.png", np.full((1, 1, 3), 255))
    image.rename(tmp_path / (encoded + b".png").decode("utf-8", "surrogateescape"))
    (tmp_path / (encoded + b".mtl").decode("utf-8", "surrogateescape")).write_bytes(
        b"newmtl a\nmap_Kd " + encoded + b".png\n"
    )
    (tmp_path / "a.obj").write_bytes(b"mtllib " + encoded + b".mtl\nusemtl a\n" + (SQUARE + LEFT).encode())
    mesh = Mesh.load(tmp_path / "a.obj")
    assert mesh.problems == ()
    assert mesh.texture.image.tolist() == [[[1, 1, 1]]]


def test_what_is_listed_of_such_names_can_be_printed_and_stored(tmp_path):
    (tmp_path / "a.obj").write_bytes("mtllib 红.mtl\nusemtl 绿\n".encode("gbk") + (SQUARE + LEFT).encode())
    problems = Mesh.load(tmp_path / "a.obj").problems
    assert len(problems) == 2
    assert all(problem.encode() for problem in problems)
