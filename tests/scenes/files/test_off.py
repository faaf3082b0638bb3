"""What OFF files of other programs hold: colours of either kind, edges among faces."""

import pytest
import torch

from render3d import Mesh
from render3d.color import srgb_to_linear
from render3d.errors import MeshError

ROWS = ["-1 -1 0", "1 -1 0", "1 1 0", "-1 1 0"]


def off(header, rows, faces):
    return "\n".join([header, f"{len(rows)} {len(faces)} 0", *rows, *faces, ""])


def linear(rows):
    return srgb_to_linear(torch.tensor(rows, dtype=torch.float64)).float()


def with_colors(colors):
    return [f"{row} {color}" for row, color in zip(ROWS, colors, strict=True)]


BLACK_TO_WHITE = [[1, 0.5, 0], [1, 0, 0], [0.5, 0.5, 0.5], [1, 1, 1]]


@pytest.mark.parametrize(
    ("colors", "expected"),
    [
        (["1.0 0.5 0.0 1", "1 0 0 1", "0.5 0.5 0.5 1", "1 1 1 1"], BLACK_TO_WHITE),  # whole rows among fractions
        (["255 0 51 255", "1 0 0 255", "0 0 0 255", "0 0 0 255"], [[1, 0, 0.2], [1 / 255, 0, 0], [0] * 3, [0] * 3]),
        (["1 0 0", "0 1 0", "0 0 1", "0 0 0"], [[1, 0, 0], [0, 1, 0], [0, 0, 1], [0, 0, 0]]),  # none above 1
        (["255.0 0 51.0", "1.0 0 0", "0 0 0", "0 0 0"], [[1, 0, 0.2], [1 / 255, 0, 0], [0] * 3, [0] * 3]),
        (["2 0 0", "1 0 0", "0 0 0", "0 0 0"], [[2 / 255, 0, 0], [1 / 255, 0, 0], [0] * 3, [0] * 3]),  # dark bytes
    ],
)
@pytest.mark.parametrize("header", ["COFF", "OFF"])
def test_colors_of_vertices(write, colors, expected, header):
    mesh = Mesh.load(write("a.off", off(header, with_colors(colors), ["4 0 1 2 3"])))
    torch.testing.assert_close(mesh.colors, linear(expected))
    told = "Its header announces no colours: the numbers after its vertices were taken for them."
    guess = "Its colours reach 255: they were taken for values of 0 to 255."
    assert mesh.problems == (*[told] * (header == "OFF"), *[guess] * ("255.0" in colors[0]))


@pytest.mark.parametrize(
    "extra", [["0 0 1", "0 0 -1", "1 0 0", "0 1 0"], ["0 1"] * 4, ["0 0 1", "0 0 1", "0 0 1", "0 0 1 1"]]
)
def test_other_numbers_after_vertices_are_no_colors(write, extra):
    assert Mesh.load(write("a.off", off("OFF", with_colors(extra), ["4 0 1 2 3"]))).colors is None


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ("1 0 0", "0.5 0.5 0.5", [[1, 0, 0], [0.5, 0.5, 0.5]]),
        ("1 0 0", "255 255 255", [[1 / 255, 0, 0], [1, 1, 1]]),
        ("1 0 0", "0 1 0 1", [[1, 0, 0], [0, 1, 0]]),
    ],
)
def test_colors_of_faces(write, first, second, expected):
    mesh = Mesh.load(write("a.off", off("OFF", ROWS, [f"3 0 1 2 {first}", f"3 0 2 3 {second}"])))
    torch.testing.assert_close(mesh.face_colors, linear(expected))


def test_numbers_of_a_table_of_colors_are_listed(write):
    mesh = Mesh.load(write("a.off", off("OFF", ROWS, ["3 0 1 2 7", "3 0 2 3 1"])))
    assert mesh.face_colors is None
    assert mesh.problems == ("Faces of it have the number of a colour in a table, which is not read; drawn in grey.",)


def test_edges_and_points_among_faces_are_left_out_and_listed(write):
    mesh = Mesh.load(write("a.off", off("OFF", ROWS, ["2 0 1", "4 0 1 2 3 0 255 0", "1 2", "3 0 1 2 255 0 0"])))
    assert mesh.faces.tolist() == [[0, 1, 2], [0, 2, 3], [0, 1, 2]]
    assert mesh.face_colors.tolist() == [[0, 1, 0], [0, 1, 0], [1, 0, 0]]  # colours stay with their faces
    assert mesh.problems == ("2 faces of fewer than three corners were left out.",)


def test_edges_alone_are_no_mesh(write):
    with pytest.raises(MeshError, match=r"a\.off: no faces; points and lines alone"):
        Mesh.load(write("a.off", off("OFF", ROWS, ["2 0 1"])))


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
@pytest.mark.parametrize("ending", ["\r", "\r\n"])
def test_marks_and_line_ends(tmp_path, encoding, ending):
    text = "# a comment\n" + off("OFF", ROWS, ["4 0 1 2 3"])
    (tmp_path / "a.off").write_bytes(text.replace("\n", ending).encode(encoding))
    assert Mesh.load(tmp_path / "a.off").faces.tolist() == [[0, 1, 2], [0, 2, 3]]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("OFF BINARY\n" + "\0" * 64, "no OFF file of text"),
        (off("COFF", [*with_colors(["1 0 0"] * 4)[:3], ROWS[3]], ["4 0 1 2 3"]), "a vertex without colour"),
        (off("OFF", ROWS, ["-3 0 1 2"]), "face '-3 0 1 2'"),
        (off("OFF", ROWS, ["9 0 1 2"]), "face '9 0 1 2'"),
    ],
)
def test_broken_files(write, text, message):
    with pytest.raises(MeshError, match=message):
        Mesh.load(write("a.off", text))
