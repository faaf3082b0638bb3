"""STL: expected values are written from the description of the format."""

import struct

import numpy as np
import pytest
import trimesh

from render3d import Mesh
from render3d.errors import MeshError

TRIANGLES = [[(0, 0, 0), (1, 0, 0), (0, 1, 0)], [(1, 0, 0), (1, 1, 0.5), (0, 1, 0)]]
VERTICES = [[0, 0, 0], [1, 0, 0], [0, 1, 0], [1, 1, 0.5]]
FACES = [[0, 1, 2], [1, 3, 2]]


def binary(triangles=TRIANGLES, header=b"", spare=0):
    rows = [struct.pack("<12fH", 0, 0, 1, *np.ravel(triangle), spare) for triangle in triangles]
    return header.ljust(80, b"\0") + struct.pack("<I", len(triangles)) + b"".join(rows)


def facet(triangle, normal="0 0 1"):
    corners = "".join(f"      vertex {x} {y} {z}\n" for x, y, z in triangle)
    return f"  facet normal {normal}\n    outer loop\n{corners}    endloop\n  endfacet\n"


def text(triangles=TRIANGLES, name="a"):
    return f"solid {name}\n" + "".join(map(facet, triangles)) + f"endsolid {name}\n"


@pytest.fixture
def load(tmp_path):
    def load_bytes(content):
        (tmp_path / "a.stl").write_bytes(content if isinstance(content, bytes) else content.encode())
        return Mesh.load(tmp_path / "a.stl")

    return load_bytes


def assert_both(mesh, problems=()):
    assert mesh.vertices.tolist() == VERTICES
    assert mesh.faces.tolist() == FACES
    assert mesh.problems == problems
    assert (mesh.colors, mesh.face_colors, mesh.texture) == (None, None, None)


@pytest.mark.parametrize("header", [b"", b"COLOR=\xff\0\0\xff", b"solid of a program", b"solid\nfacet normal 0 0 1"])
@pytest.mark.parametrize("spare", [0, 0x801F])
def test_binary_files_with_any_header_and_colours_in_the_spare_bytes(load, header, spare):
    assert_both(load(binary(header=header, spare=spare)))


@pytest.mark.parametrize("header", [b"", b"solid of a program"])
@pytest.mark.parametrize("more", [b"\0", b"\n", bytes(50), b"made by hand" * 20])
def test_what_follows_the_last_triangle_is_listed(load, header, more):
    assert_both(load(binary(header=header) + more), (f"{len(more)} bytes after its last triangle were not read.",))


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("change", [str, str.upper, lambda written: written.replace("  ", "\t")])
def test_text_of_any_case_and_line_ends(load, end, change):
    assert_both(load(change(text()).replace("\n", end)))


def test_text_after_a_mark_and_white_space(load):
    assert_both(load(b"\xef\xbb\xbf" + text().encode()))
    assert_both(load("\n  " + text()))


@pytest.mark.parametrize("normal", ["nan nan nan", "-nan(ind) -nan(ind) 1.#QNAN", "-1.#IND 0 0", "1e-400 0 1"])
def test_normals_are_not_read(load, normal):
    assert_both(load("solid\n" + "".join(facet(triangle, normal) for triangle in TRIANGLES) + "endsolid\n"))


def test_numbers_of_all_spellings(load):
    corners = [("+0", "-.0", "0.0e0"), ("1.", "0E+5", "0"), ("1e-3", "1000E-3", "2.5e1")]
    assert load(text([corners])).vertices.tolist() == [[0, 0, 0], [1, 0, 0], [np.float32(1e-3), 1, 25]]


def test_several_solids_and_empty_ones(load):
    first, second = (
        text([triangle], name) for triangle, name in zip(TRIANGLES, ("vertex 1 2 3", "endfacet loop"), strict=True)
    )
    assert_both(load(first + "solid empty\nendsolid empty\n\n" + second))


def test_what_is_not_finite_is_counted(load):
    assert load(text([[("nan", 0, 0), (1, 0, 0), (0, "inf", 0)]])).check().nonfinite_vertices == 2


@pytest.mark.parametrize("content", [binary([]), "solid a\nendsolid a\n"])
def test_files_without_triangles_are_refused(load, content):
    with pytest.raises(MeshError, match=r"a\.stl: no faces"):
        load(content)


@pytest.mark.parametrize("header", [b"", b"solid of a program"])
def test_every_binary_file_cut_short_is_refused(load, header):
    content = binary(header=header)
    for length in range(len(content)):
        with pytest.raises(MeshError, match=r"a\.stl.*(truncated|file is empty)"):
            load(content[:length])


def test_every_text_cut_short_is_refused(load):
    content = text().rstrip()
    for length in range(len(content) - len(" a")):
        with pytest.raises(MeshError, match=r"a\.stl.*(truncated|file is empty)"):
            load(content[:length])


def test_a_second_solid_without_end_is_refused(load):
    with pytest.raises(MeshError, match="truncated: the text ends without 'endsolid'"):
        load(text() + text().replace("endsolid a", ""))


def test_absurdly_many_triangles_take_no_memory(load):
    content = binary()
    with pytest.raises(MeshError, match=r"184 bytes, fewer than the 214748364834 of the 4294967295 triangles"):
        load(content[:80] + b"\xff" * 4 + content[84:])


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        ("vertex 1 0 0", "vertex 1 0", 5),
        ("vertex 1 0 0", "vertex 1 0 0 0", 5),
        ("vertex 1 0 0", "vertex 1 x 0", None),
        ("vertex 1 0 0", "vortex 1 0 0", 5),
        ("vertex 1 0 0\n", "vertex 1 0 0\nvertex 1 0 0\n", None),
        ("      vertex 1 0 0\n", "", None),
        ("endfacet", "endfacets", 8),
    ],
)
def test_broken_texts_say_where(load, old, new, line):
    where = "" if line is None else f", line {line}"
    with pytest.raises(MeshError, match=rf"a\.stl{where}: broken: not each facet is three vertices of three numbers"):
        load(text().replace(old, new, 1))


def test_a_vertex_that_moved_to_the_next_facet_is_no_triangle(load):
    """The text has as many words and numbers as it should."""
    moved = "      vertex 0 1 0\n"
    content = (
        text()
        .replace(moved, "", 1)
        .replace("    outer loop\n      vertex 1 0 0\n", f"    outer loop\n{moved}      vertex 1 0 0\n")
    )
    assert content.count("vertex") == 6
    with pytest.raises(MeshError, match="broken: not each facet"):
        load(content)


@pytest.mark.parametrize("kind", ["stl", "stl_ascii"])
def test_large_files_hold_what_trimesh_finds(load, kind):
    sphere = Mesh.icosphere(3)
    content = trimesh.Trimesh(sphere.vertices.numpy(), sphere.faces.numpy(), process=False).export(file_type=kind)
    mesh = load(content)
    assert len(mesh.vertices) == len(sphere.vertices)
    assert mesh.check().watertight
    np.testing.assert_allclose(mesh.vertices[mesh.faces], sphere.vertices[sphere.faces], atol=1e-7)
