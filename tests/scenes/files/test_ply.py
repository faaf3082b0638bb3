"""PLY: expected values are written from the description of the format, and files built byte by byte."""

import itertools
import struct

import numpy as np
import pytest
import torch
import trimesh
from PIL import Image

from render3d import Mesh
from render3d.color import NEUTRAL_GREY, srgb_to_linear
from render3d.errors import MeshError

CORNERS = [(-1, -1, 0), (1, -1, 0), (1, 1, 0), (-1, 1, 0), (0, 2, 0)]
QUAD_AND_TRIANGLE = [(0, 1, 2, 3), (3, 2, 4)]
TRIANGLES = [[0, 1, 2], [0, 2, 3], [3, 2, 4]]
CODES = {"char": "b", "uchar": "B", "short": "h", "ushort": "H", "int": "i", "uint": "I", "float": "f", "double": "d"}
ENCODINGS = {"ascii": None, "binary_little_endian": "<", "binary_big_endian": ">"}


def ply(encoding, *elements, comments=(), end="\n"):
    """A file; an element is its name, the properties as ``"type name"`` or ``"list type type name"``, and its rows."""
    header = ["ply", f"format {encoding} 1.0", *(f"comment {comment}" for comment in comments)]
    body = []
    for name, properties, rows in elements:
        header += [f"element {name} {len(rows)}", *(f"property {words}" for words in properties)]
        body += [
            b"".join(words(encoding, properties, row)) + (end.encode() if encoding == "ascii" else b"") for row in rows
        ]
    return end.join([*header, "end_header", ""]).encode() + b"".join(body)


def words(encoding, properties, row):
    order = ENCODINGS[encoding]
    for kind, value in zip(properties, row, strict=True):
        types = kind.split()[1:-1] if kind.startswith("list") else kind.split()[:1]
        numbers = [len(value), *value] if len(types) == 2 else [value]
        for type_, number in zip(itertools.chain(types[:1], itertools.repeat(types[-1])), numbers, strict=False):
            yield f"{number} ".encode() if order is None else struct.pack(order + CODES[type_], number)


def vertices(rows=CORNERS, more=(), kind="float"):
    return "vertex", [f"{kind} {name}" for name in "xyz"] + list(more), rows


def faces(rows=QUAD_AND_TRIANGLE, more=(), kind="list uchar int vertex_indices"):
    rows = [(row,) for row in rows] if not more else rows
    return "face", [kind, *more], rows


@pytest.fixture
def load(tmp_path):
    """Reads what `ply` made, or any bytes."""

    def load_bytes(content):
        (tmp_path / "a.ply").write_bytes(content)
        return Mesh.load(tmp_path / "a.ply")

    return load_bytes


def linear(*encoded):
    return srgb_to_linear(torch.tensor(encoded, dtype=torch.float64)).float()


def paint(tmp_path, **colors):
    for name, color in colors.items():
        Image.new("RGB", (2, 2), color).save(tmp_path / f"{name}.png")


def colors_of_faces(mesh):
    """What the texture shows in the middle of each face, where images are of one colour."""
    height, width = mesh.texture.image.shape[:2]
    uv = mesh.texture.uv[mesh.uv_faces if mesh.texture.faces is not None else mesh.faces].mean(1)
    return mesh.texture.image[((1 - uv[:, 1]) * height).long(), (uv[:, 0] * width).long()]


every_encoding = pytest.mark.parametrize("encoding", ENCODINGS)


@every_encoding
@pytest.mark.parametrize("name", ["vertex_indices", "vertex_index"])
@pytest.mark.parametrize("count_type", ["uchar", "char", "ushort", "int", "uint"])
@pytest.mark.parametrize("index_type", ["uchar", "short", "int", "uint"])
def test_polygons_of_mixed_sizes(load, encoding, name, count_type, index_type):
    mesh = load(ply(encoding, vertices(), faces(kind=f"list {count_type} {index_type} {name}")))
    assert mesh.vertices.tolist() == [list(map(float, row)) for row in CORNERS]
    assert mesh.faces.tolist() == TRIANGLES
    assert mesh.problems == ()
    assert (mesh.colors, mesh.face_colors, mesh.texture) == (None, None, None)


@every_encoding
@pytest.mark.parametrize("kind", ["char", "short", "int", "float", "double"])
def test_positions_of_any_type(load, encoding, kind):
    assert load(ply(encoding, vertices(kind=kind), faces())).vertices.tolist() == [list(row) for row in CORNERS]


@pytest.mark.parametrize("kind", ["float32 float64 int32", "float double int"])
def test_both_ways_to_name_types(load, kind):
    x, y, z = kind.split()
    text = f"ply\nformat ascii 1.0\nelement vertex 3\nproperty {x} x\nproperty {y} y\nproperty {z} z\n"
    text += (
        "element face 1\nproperty list uint8 int32 vertex_index\nend_header\n0 .5 0\n1 0 1e0\n-1.5e-1 +1 2\n3 0 1 2\n"
    )
    assert load(text.encode()).vertices.tolist() == torch.tensor([[0, 0.5, 0], [1, 0, 1], [-0.15, 1, 2]]).tolist()


@every_encoding
def test_elements_and_properties_in_any_order_among_unknown_ones(load, encoding):
    content = ply(
        encoding,
        ("camera", ["float view", "list uchar short lens"], [(1.5, (1, 2, 3)), (2.5, ())]),
        (
            "face",
            ["uchar flags", "list uchar float weights", "list uchar int vertex_indices", "double quality"],
            [(7, (0.5, 1), (0, 1, 2, 3), 1e300), (8, (), (3, 2, 4), 0)],
        ),
        ("nothing", [], []),
        ("vertex", ["float z", "uchar tag", "double x", "list int uchar ids", "float y"],
         [(z, 9, x, (1,) * number, y) for number, (x, y, z) in enumerate(CORNERS)]),
        ("edge", ["int vertex1", "int vertex2"], [(0, 1)]),
    )  # fmt: skip
    mesh = load(content)
    assert mesh.vertices.tolist() == [list(row) for row in CORNERS]
    assert mesh.faces.tolist() == TRIANGLES
    assert mesh.problems == ()


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@every_encoding
def test_line_ends(load, encoding, end):
    """The first byte of the rows is a line feed, which is no part of the header."""
    first = (struct.unpack("<f", b"\n\0\0\0")[0], 0, 0) if encoding == "binary_little_endian" else (0.5, 0, 0)
    mesh = load(ply(encoding, vertices([first, *CORNERS[1:]]), faces(), end=end))
    assert mesh.vertices[0].tolist() == list(first)
    assert mesh.faces.tolist() == TRIANGLES


def test_a_mark_of_utf_8_and_spaces_in_the_header(load):
    content = (
        ply("ascii", vertices(), faces()).replace(b"element", b" element ").replace(b"end_header", b"end_header  ")
    )
    assert load(b"\xef\xbb\xbf" + content).faces.tolist() == TRIANGLES


COLORS = [(255, 128, 0), (0, 0, 0), (255, 255, 255), (51, 0, 0), (0, 0, 102)]


@every_encoding
@pytest.mark.parametrize("names", ["red green blue", "r g b", "diffuse_red diffuse_green diffuse_blue"])
@pytest.mark.parametrize(("kind", "largest"), [("uchar", 255), ("ushort", 65535), ("float", 1), ("double", 1)])
def test_vertex_colors(load, encoding, names, kind, largest):
    scaled = [[channel / 255 * largest for channel in color] for color in COLORS]
    if largest > 1:
        scaled = [[round(channel) for channel in color] for color in scaled]
    rows = [(*corner, *color) for corner, color in zip(CORNERS, scaled, strict=True)]
    mesh = load(ply(encoding, vertices(rows, [f"{kind} {name}" for name in names.split()]), faces()))
    torch.testing.assert_close(mesh.colors, srgb_to_linear(torch.tensor(COLORS) / 255), atol=1e-5, rtol=0)


@pytest.mark.parametrize("kind", ["short", "int", "uint", "float", "double"])
def test_bytes_in_types_that_are_too_wide(load, kind):
    """Whole numbers up to 255 are bytes, except in 16 bits, which do hold colours of 0 to 32767."""
    rows = [(*corner, *color) for corner, color in zip(CORNERS, COLORS, strict=True)]
    mesh = load(ply("ascii", vertices(rows, [f"{kind} {name}" for name in ("red", "green", "blue")]), faces()))
    expected = torch.tensor(COLORS) / (32767 if kind == "short" else 255)
    torch.testing.assert_close(mesh.colors, srgb_to_linear(expected))


@pytest.mark.parametrize(("kind", "stored", "expected"), [
    ("float", [127.5, 255, 0], [0.5, 1, 0]),
    ("float", [10, 20, 30], [10 / 255, 20 / 255, 30 / 255]),
    ("float", [0, 0.5, 1], [0, 0.5, 1]),
    ("int", [0, 1, 1], [0, 1, 1]),
    ("int", [0, 51, 255], [0, 0.2, 1]),
])  # fmt: skip
def test_numbers_that_are_wider_than_colours_are_known_by_the_largest(load, kind, stored, expected):
    rows = [(*corner, *stored) for corner in CORNERS]
    mesh = load(ply("ascii", vertices(rows, [f"{kind} red", f"{kind} green", f"{kind} blue"]), faces()))
    torch.testing.assert_close(mesh.colors, linear(expected).expand(5, 3))


def test_32_bits_of_colors(load):
    rows = [(*corner, 2**32 - 1, 2**31, 0) for corner in CORNERS]
    mesh = load(ply("binary_big_endian", vertices(rows, ["uint red", "uint green", "uint blue"]), faces()))
    torch.testing.assert_close(mesh.colors, linear((1, 0.5, 0)).expand(5, 3))


@pytest.mark.parametrize(
    ("alpha", "problems"), [(255, ()), (254, ("Its colours are transparent in places; drawn opaque.",))]
)
def test_opacity_is_listed(load, alpha, problems):
    rows = [(*corner, 255, 0, 0, alpha) for corner in CORNERS]
    mesh = load(ply("ascii", vertices(rows, ["uchar red", "uchar green", "uchar blue", "uchar alpha"]), faces()))
    assert mesh.colors.tolist() == [[1, 0, 0]] * 5
    assert mesh.problems == problems


@every_encoding
def test_colors_of_polygons_become_those_of_their_triangles(load, encoding):
    rows = [((0, 1, 2, 3), 255, 0, 0), ((3, 2, 4), 0, 0, 255)]
    mesh = load(ply(encoding, vertices(), faces(rows, ["uchar red", "uchar green", "uchar blue"])))
    assert mesh.face_colors.tolist() == [[1, 0, 0], [1, 0, 0], [0, 0, 1]]


def test_faces_of_two_corners_are_left_out_and_listed(load):
    rows = [((0, 1), 9, 9, 9), ((0, 1, 2, 3), 255, 0, 0), ((), 9, 9, 9), ((3, 2, 4), 0, 0, 255)]
    mesh = load(ply("ascii", vertices(), faces(rows, ["uchar red", "uchar green", "uchar blue"])))
    assert mesh.faces.tolist() == TRIANGLES
    assert mesh.face_colors.tolist() == [[1, 0, 0], [1, 0, 0], [0, 0, 1]]
    assert mesh.problems == ("2 faces of fewer than three corners were left out.",)


def test_concave_polygons_and_holes(load):
    ring = [(0, 0, 0), (4, 0, 0), (4, 4, 0), (0, 4, 0), (1, 1, 0), (1, 3, 0), (3, 3, 0), (3, 1, 0)]
    mesh = load(ply("ascii", vertices(ring), faces([(0, 1, 2, 3, 0, 4, 5, 6, 7, 4)])))
    cross = mesh._face_cross()
    assert cross[:, 2].min() >= 0
    assert cross[:, 2].sum() / 2 == 12


UV = [(0, 0), (1, 0), (1, 1), (0, 1), (0.5, 0.25)]


@pytest.mark.parametrize("names", ["s t", "u v", "texture_u texture_v"])
@every_encoding
def test_texture_coordinates_of_vertices(load, tmp_path, encoding, names):
    paint(tmp_path, a="red")
    rows = [(*corner, *uv) for corner, uv in zip(CORNERS, UV, strict=True)]
    elements = vertices(rows, [f"float {name}" for name in names.split()]), faces()
    mesh = load(ply(encoding, *elements, comments=["TextureFile a.png"]))
    assert mesh.texture.uv[mesh.faces].tolist() == [[list(UV[corner]) for corner in face] for face in TRIANGLES]
    assert mesh.texture.image.unique(dim=0).unique(dim=1).tolist() == [[[1, 0, 0]]]
    plain = load(ply(encoding, *elements))
    assert (plain.texture, plain.colors, plain.face_colors, plain.problems) == (None, None, None, ())


@every_encoding
def test_texture_coordinates_of_corners(load, tmp_path, encoding):
    paint(tmp_path, a="red")
    rows = [((0, 1, 2, 3), (0, 0, 1, 0, 1, 1, 0, 1)), ((3, 2, 4), (0.5, 0.5, 1, 0.5, 0.75, 1))]
    surface = faces(rows, ["list uchar float texcoord"])
    mesh = load(ply(encoding, vertices(), surface, comments=["TextureFile a.png"]))
    uv = mesh.texture.uv[mesh.uv_faces].tolist()
    assert uv == [[[0, 0], [1, 0], [1, 1]], [[0, 0], [1, 1], [0, 1]], [[0.5, 0.5], [1, 0.5], [0.75, 1]]]
    assert load(ply(encoding, vertices(), surface)).texture is None


def test_corners_without_coordinates_fall_back_to_their_colour(load, tmp_path):
    paint(tmp_path, a="red")
    rows = [((0, 1, 2, 3), (0, 0, 1, 0, 1, 1, 0, 1)), ((3, 2, 4), ())]
    mesh = load(ply("ascii", vertices(), faces(rows, ["list uchar float texcoord"]), comments=["TextureFile a.png"]))
    torch.testing.assert_close(colors_of_faces(mesh), torch.tensor([[1, 0, 0], [1, 0, 0], NEUTRAL_GREY]))
    assert mesh.problems == ("1 faces have a texture image but no texture coordinates; drawn in one colour.",)


@every_encoding
def test_several_textures_by_number(load, tmp_path, encoding):
    paint(tmp_path, red="red", blue="blue", unused="white")
    rows = [((0, 1, 2, 3), (0, 0, 1, 0, 1, 1, 0, 1), 2), ((3, 2, 4), (0, 0, 1, 0, 1, 1), 0)]
    surface = faces(rows, ["list uchar float texcoord", "int texnumber"])
    comments = ["made by hand", "TextureFile red.png", "TextureFile none.png", "TextureFile blue.png"]
    mesh = load(ply(encoding, vertices(), surface, comments=comments))
    assert colors_of_faces(mesh).tolist() == [[0, 0, 1], [0, 0, 1], [1, 0, 0]]
    assert mesh.problems == ()  # the image that is missing is not used


def test_numbers_of_textures_that_are_not_there_are_listed(load, tmp_path):
    paint(tmp_path, a="red")
    rows = [((0, 1, 2), (0, 0, 1, 0, 1, 1), 0), ((0, 2, 3), (0, 0, 1, 0, 1, 1), 1), ((3, 2, 4), (0, 0, 1, 0, 1, 1), -1)]
    surface = faces(rows, ["list uchar float texcoord", "int texnumber"])
    mesh = load(ply("ascii", vertices(), surface, comments=["TextureFile a.png"]))
    torch.testing.assert_close(colors_of_faces(mesh), torch.tensor([[1, 0, 0], NEUTRAL_GREY, NEUTRAL_GREY]))
    assert mesh.problems == ("1 faces have a texnumber of 1 or more, but the file names 1 textures; drawn without.",)


def test_a_missing_image_leaves_the_colors_of_vertices(load):
    rows = [(*corner, *uv, 255, 0, 0) for corner, uv in zip(CORNERS, UV, strict=True)]
    more = ["float s", "float t", "uchar red", "uchar green", "uchar blue"]
    mesh = load(ply("ascii", vertices(rows, more), faces(), comments=["TextureFile a b.png"]))
    assert mesh.colors.tolist() == [[1, 0, 0]] * 5
    assert "'a b.png', which is missing" in mesh.problems[0]


def test_names_of_images_in_any_encoding(load, tmp_path):
    """Two names that differ in bytes that are not UTF-8 stay two."""
    paint(tmp_path, red="red", blue="blue")
    (tmp_path / "red.png").rename(tmp_path / b"\xba\xec.png".decode(errors="surrogateescape"))
    (tmp_path / "blue.png").rename(tmp_path / b"\xc0\xb6.png".decode(errors="surrogateescape"))
    rows = [((0, 1, 2), (0, 0, 1, 0, 1, 1), 0), ((0, 2, 3), (0, 0, 1, 0, 1, 1), 1)]
    surface = faces(rows, ["list uchar float texcoord", "int texnumber"])
    content = ply("ascii", vertices(), surface, comments=["TextureFile ONE.png", "TextureFile TWO.png"])
    mesh = load(content.replace(b"ONE", b"\xba\xec").replace(b"TWO", b"\xc0\xb6"))
    assert colors_of_faces(mesh).tolist() == [[1, 0, 0], [0, 0, 1]]


@every_encoding
def test_strips_of_triangles(load, encoding):
    """Each second triangle turns over; -1 begins a new strip, and so does a new row."""
    strips = ("tristrips", ["list int int vertex_indices"], [((0, 1, 3, 2, -1, 3, 2, 4),), ((1, 2, 0, 3),), ((0, 1),)])
    mesh = load(ply(encoding, vertices(), strips))
    assert mesh.faces.tolist() == [[0, 1, 3], [3, 1, 2], [3, 2, 4], [1, 2, 0], [0, 2, 3]]
    assert mesh.problems == ()


def test_a_vertex_twice_in_a_strip_only_leads_on(load):
    """Triangles of no area count among those of which each second one turns over."""
    strips = ("tristrips", ["list int int vertex_indices"], [((0, 1, 3, 3, 2, 4),)])
    assert load(ply("ascii", vertices(), strips)).faces.tolist() == [[0, 1, 3], [2, 3, 4]]


def test_strips_beside_polygons(load):
    strips = ("tristrips", ["list int int vertex_indices"], [((0, 1, 3, 2),)])
    mesh = load(ply("ascii", vertices(), faces([(3, 2, 4)]), strips))
    corners = mesh.vertices[mesh.faces].tolist()
    expected = [[CORNERS[corner] for corner in face] for face in ([3, 2, 4], [0, 1, 3], [3, 1, 2])]
    assert corners == [[list(corner) for corner in face] for face in expected]


def test_indices_out_of_range_are_counted(load):
    mesh = load(ply("ascii", vertices(), faces([(0, 1, 2), (0, 1, 99), (-1, 1, 2)])))
    assert mesh.check().out_of_range_faces == 2


@every_encoding
def test_what_follows_the_last_row_is_listed(load, encoding):
    unit = "numbers" if encoding == "ascii" else "bytes"
    mesh = load(ply(encoding, vertices(), faces()) + b"1 2 3\n")
    assert mesh.faces.tolist() == TRIANGLES
    assert mesh.problems == (f"{3 if encoding == 'ascii' else 6} {unit} after its last row were not read.",)


@every_encoding
@pytest.mark.parametrize("element", [vertices(), ("face", ["list uchar int vertex_indices"], [])])
def test_files_without_faces_are_refused(load, encoding, element):
    with pytest.raises(MeshError, match=r"a\.ply: no faces; points and lines alone"):
        load(ply(encoding, element))


@every_encoding
def test_every_file_cut_short_is_refused(load, encoding):
    content = ply(encoding, vertices(), faces(), ("edge", ["uchar a", "list uchar short b"], [(1, (2, 3))])).rstrip(
        b" \n"
    )
    for length in range(len(content)):
        with pytest.raises(MeshError, match=r"a\.ply.*(truncated|no PLY file|file is empty)"):
            load(content[:length])


@pytest.mark.parametrize("encoding", ["binary_little_endian", "binary_big_endian"])
@pytest.mark.parametrize("count", [10**12, 10**17])
def test_absurdly_many_rows_take_no_memory(load, encoding, count):
    content = ply(encoding, vertices(), faces())
    body = len(content.partition(b"end_header\n")[2])
    with pytest.raises(
        MeshError, match=rf"a\.ply: truncated: {body // 12} of {count} vertex rows; fetch the file again"
    ):
        load(content.replace(b"vertex 5", f"vertex {count}".encode()))
    with pytest.raises(MeshError, match=rf"a\.ply: truncated: {body - 60} of {count} face rows; fetch the file again"):
        load(content.replace(b"face 2", f"face {count}".encode()))


@pytest.mark.parametrize(("old", "new", "message"), [
    (b"vertex 5", b"vertex 100000000000", "line 15: broken or truncated, 5 values where 3 are expected in a row of ve"),
    (b"face 2", b"face 999999999999", "truncated: 9 of 999999999999 face rows"),
    (b"vertex 5", b"vertex -5", "header is broken: cannot read 'element vertex -5'"),
    (b"vertex 5", b"vertex 1e3", "header is broken: cannot read 'element vertex 1e3'"),
    (b"vertex 5", b"vertex " + b"9" * 5000, "header is broken: cannot read 'element vertex 999"),
    (b"float x", b"half x", "header is broken: cannot read 'property half x'"),
    (b"element vertex 5\n", b"", "header is broken: cannot read 'property float x'"),
    (b"format ascii 1.0\n", b"", "header is broken: no format"),
    (b"ascii", b"text", "header is broken: cannot read 'format text 1.0'"),
    (b"float x", b"float q", "no element 'vertex' with the numbers x, y and z"),
    (b"element face", b"element vertex", "header is broken: a name stands twice among vertex, vertex"),
    (b"float y", b"float x", "header is broken: a name stands twice among x, x, z"),
    (b"end_header", b"end_of_header", "no PLY file, or its header is broken"),
    (b"\n4 0 1 2 3", b"\n5 0 1 2 3", "line 15: broken or truncated, 5 values where 6 are expected in a row of face"),
    (b"\n4 0 1 2 3", b"\n3 0 1 2 3", "line 15: broken or truncated, 5 values where 4 are expected in a row of face"),
    (b"\n4 0 1 2 3", b"\n-4 0 1 2 3", "line 15: broken or truncated, 5 values where 1 are expected in a row of face"),
    (b"\n4 0 1 2 3", b"\n4 0 1 x 3", "line 15: broken or truncated, b'x' is no number in a row of face"),
    (b"\n-1 1 0", b"\n-1 1", "line 13: broken or truncated, 2 values where 3 are expected in a row of vertex"),
])  # fmt: skip
def test_broken_files_of_text_say_where(load, old, new, message):
    content = ply("ascii", vertices(), faces()).replace(b" \n", b"\n")
    assert old in content
    with pytest.raises(MeshError, match=rf"a\.ply.*{message}"):
        load(content.replace(old, new, 1))


@pytest.mark.parametrize(("count_type", "size", "message"), [
    ("char", -4, "broken, a list of -4 values follows: 0 of 2 face rows"),
    ("int", -(2**31), "broken, a list of -2147483648 values follows: 0 of 2 face rows"),
    ("uint", 2**32 - 1, "broken, a list of 4294967295 values follows: 0 of 2 face rows"),
    ("float", float("nan"), "broken, a list of nan values follows: 0 of 2 face rows"),
    ("float", 2.5, "broken, a list of 2.5 values follows: 0 of 2 face rows"),
    ("uchar", 200, "broken, a list of 200 values follows: 0 of 2 face rows"),
])  # fmt: skip
def test_broken_binary_files_say_where(load, count_type, size, message):
    content = ply("binary_little_endian", vertices(), faces(kind=f"list {count_type} int vertex_indices"))
    start = content.index(b"end_header\n") + len("end_header\n") + 5 * 12
    code = "<" + CODES[count_type]
    with pytest.raises(MeshError, match=rf"a\.ply: ({message})"):
        load(content[:start] + struct.pack(code, size) + content[start + struct.calcsize(code) :])


def test_a_last_list_that_is_longer_than_the_file(load):
    content = ply("binary_little_endian", vertices(), faces())
    with pytest.raises(MeshError, match=r"a\.ply: truncated: 1 of 2 face rows"):
        load(content[:-13] + b"\x04" + content[-12:])


def test_an_element_of_nothing_takes_no_time(load):
    """Neither when the file is read nor when a fault in it is looked for."""
    content = ply("ascii", ("nothing", [], []), vertices(), faces()).replace(
        b"nothing 0", b"nothing 999999999999999999"
    )
    assert load(content).faces.tolist() == TRIANGLES
    with pytest.raises(MeshError, match="line 16: broken or truncated, 4 values where 5 are expected in a row of face"):
        load(content.replace(b"4 0 1 2 3", b"4 0 1 2"))


@pytest.mark.parametrize("encoding", ["ascii", "binary_little_endian"])
def test_large_files_hold_what_trimesh_finds(tmp_path, encoding):
    sphere = Mesh.icosphere(3)
    reference = trimesh.Trimesh(sphere.vertices.numpy(), sphere.faces.numpy(), process=False)
    reference.visual.vertex_colors = np.random.default_rng(0).integers(0, 256, (len(sphere.vertices), 3), np.uint8)
    path = tmp_path / "a.ply"
    path.write_bytes(reference.export(file_type="ply", encoding="ascii" if encoding == "ascii" else "binary"))
    mesh, expected = Mesh.load(path), trimesh.load(path, process=False)
    assert mesh.faces.tolist() == expected.faces.tolist()
    np.testing.assert_array_equal(mesh.vertices.numpy(), expected.vertices.astype(np.float32))
    torch.testing.assert_close(mesh.colors, linear(*(expected.visual.vertex_colors[:, :3] / 255).tolist()))


def test_many_polygons_of_sizes_by_chance(load):
    """The rows of a binary file begin where those before them end: a slow twin is the text of the same rows."""
    generator = np.random.default_rng(0)
    rows = [tuple(generator.integers(0, 5, size).tolist()) for size in generator.integers(3, 6, 500)]
    text, little, big = (load(ply(encoding, vertices(), faces(rows))).faces for encoding in ENCODINGS)
    assert torch.equal(text, little)
    assert torch.equal(text, big)
    assert len(text) == sum(len(row) - 2 for row in rows)
