import numpy as np
import pytest
import torch
import trimesh
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from render3d import Mesh
from render3d.color import srgb_to_linear
from render3d.errors import MeshError

TRIANGLE = "v 0 0 0\nv 1 0 0\nv 0 1 0\n"


def linear(*encoded):
    return srgb_to_linear(torch.tensor(encoded, dtype=torch.float64)).float()


def test_indices_count_back_from_the_latest_vertex(write):
    mesh = Mesh.load(write("a.obj", TRIANGLE + "f -3 -2 -1\nv 5 5 5\nv 6 5 5\nv 5 6 5\nf -3 -2 -1\n"))
    assert mesh.faces.tolist() == [[0, 1, 2], [3, 4, 5]]


def test_vertices_are_not_split_by_normals(write):
    text = TRIANGLE + "v 1 1 0\nvn 0 0 1\nvn 0 1 0\nf 1//1 2//1 3//1\nf 2//2 4//2 3//2\n"
    assert Mesh.load(write("a.obj", text)).vertices.shape == (4, 3)


def test_continued_lines_comments_and_line_ends(write):
    mesh = Mesh.load(write("a.obj", "# a\r\nv 0 0 0 # first\r\nv 1 \\\r\n0 0\r\nv 0 1 0\r\nf 1 2 3 # all"))
    assert mesh.vertices.tolist() == [[0, 0, 0], [1, 0, 0], [0, 1, 0]]


def test_vertex_colors_are_decoded(write):
    mesh = Mesh.load(write("a.obj", "v 0 0 0 1 0.5 0\nv 1 0 0 0 0 0\nv 0 1 0 1 1 1\nf 1 2 3\n"))
    torch.testing.assert_close(mesh.colors[0], linear(1, 0.5, 0))


def test_concave_polygons_are_not_filled_beyond_their_outline(write):
    # An L of area 3, listed from a corner from which a fan would cover the notch.
    corners = [(2, 0), (2, 1), (1, 1), (1, 2), (0, 2), (0, 0)]
    text = "".join(f"v 7 {x} {y}\n" for x, y in corners) + "f 1 2 3 4 5 6\n"
    mesh = Mesh.load(write("a.obj", text))
    cross = mesh._face_cross()
    assert cross[:, 0].min() > 0
    assert cross[:, 0].sum() / 2 == 3


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.tuples(st.floats(0.2, 1), st.integers(0, 1)), min_size=4, max_size=12), st.integers(0, 2), st.booleans()
)
def test_star_shaped_polygons_are_covered_exactly(radii, axis, backwards):
    from render3d.scenes.files.polygons import triangulate

    angles = np.linspace(0, 2 * np.pi, len(radii), endpoint=False)
    flat = np.array([[r * np.cos(a), r * np.sin(a)] for (r, _), a in zip(radii, angles, strict=True)])
    points = np.insert(flat[::-1] if backwards else flat, axis, 0.3, axis=1)
    cuts, owner = triangulate(points, np.arange(len(points)), np.array([len(points)]))
    assert len(cuts) == len(points) - 2
    assert (owner == 0).all()
    a, b, c = (points[cuts[:, corner]] for corner in range(3))
    areas = np.cross(b - a, c - a)[:, axis]
    outline = np.cross(points, np.roll(points, -1, axis=0))[:, axis].sum()
    assert np.isclose(areas.sum(), outline)
    assert np.isclose(np.abs(areas).sum(), abs(outline))  # none overlaps


def test_trimesh_reads_the_same_triangles_from_a_plain_file(tmp_path):
    sphere = Mesh.icosphere(2)
    sphere.save(tmp_path / "a.obj")
    reference = trimesh.load(tmp_path / "a.obj", process=False, maintain_order=True)
    loaded = Mesh.load(tmp_path / "a.obj")
    assert np.array_equal(reference.faces, loaded.faces)
    np.testing.assert_allclose(reference.vertices, loaded.vertices, atol=1e-7)


def test_materials_without_images_become_face_colors(write):
    write("a.mtl", "newmtl red\nKd 1 0 0\nnewmtl half grey\nKd 0.5 0.5 0.5\nd 0.3\n")
    mesh = Mesh.load(write("a.obj", "mtllib a.mtl\n" + TRIANGLE + "usemtl red\nf 1 2 3\nusemtl half grey\nf 3 2 1\n"))
    torch.testing.assert_close(mesh.face_colors, torch.stack([linear(1, 0, 0), linear(0.5, 0.5, 0.5)]))
    assert mesh.problems == ("Material 'half grey' is transparent; drawn opaque.",)


def test_a_texture_keeps_its_orientation(write, write_png, bilinear):
    write_png("pixel.png", [[[255, 0, 0], [0, 255, 0]], [[0, 0, 255], [128, 128, 128]]])
    write("a.mtl", "newmtl skin\nKd 0.2 0.1 0.1\nmap_Kd pixel.png\n")
    uv = "vt 0.25 0.25\nvt 0.75 0.25\nvt 0.25 0.75\n"
    mesh = Mesh.load(write("a.obj", "mtllib a.mtl\nusemtl skin\n" + TRIANGLE + uv + "f 1/1 2/2 3/3\n"))
    colors = bilinear(mesh.texture.image, mesh.texture.uv[mesh.uv_faces[0]]).float()
    expected = torch.stack([linear(0, 0, 1), linear(128 / 255, 128 / 255, 128 / 255), linear(1, 0, 0)])
    torch.testing.assert_close(colors, expected)


def test_seams_split_no_vertices(write, write_png):
    write_png("pixel.png", np.zeros((2, 2, 3)))
    write("a.mtl", "newmtl skin\nmap_Kd pixel.png\n")
    text = TRIANGLE + "v 1 1 0\nv 9 9 9\nvt 0 0\nvt 1 0\nvt 0 1\nvt 1 1\nvt 0.5 0.5\nf 1/1 2/2 3/3\nf 2/2 4/4 3/5\n"
    mesh = Mesh.load(write("a.obj", "mtllib a.mtl\nusemtl skin\n" + text))
    assert mesh.vertices[:, 0].tolist() == [0, 1, 0, 1, 9]  # those of the file
    assert mesh.faces.tolist() == [[0, 1, 2], [1, 3, 2]]
    assert mesh.texture.uv[mesh.uv_faces].tolist() == [[[0, 0], [1, 0], [0, 1]], [[1, 0], [1, 1], [0.5, 0.5]]]
    assert len(mesh.texture.uv) == 5


def test_without_seams_each_vertex_has_its_coordinate(write, write_png):
    write_png("pixel.png", np.zeros((2, 2, 3)))
    write("a.mtl", "newmtl skin\nmap_Kd pixel.png\n")
    text = TRIANGLE + "v 1 1 0\nvt 1 1\nvt 0 0\nvt 0 1\nvt 1 0\nvt 1 0\nf 1/2 2/4 3/3\nf 2/5 4/1 3/3\n"
    mesh = Mesh.load(write("a.obj", "mtllib a.mtl\nusemtl skin\n" + text))
    assert mesh.texture.faces is None
    assert mesh.texture.uv.tolist() == [[0, 0], [1, 0], [0, 1], [1, 1]]


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**31))
def test_an_atlas_looks_like_its_images_repeated(tmp_path_factory, bilinear, seed):
    """Every point of faces with two images and a flat colour, at coordinates far outside 0-1."""
    random = np.random.default_rng(seed)
    folder = tmp_path_factory.mktemp("atlas")
    images = {}
    for name, shape in (("a", (5, 7, 3)), ("b", (3, 4, 3))):
        pixels = random.integers(0, 256, shape, dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{name}.png")
        images[name] = srgb_to_linear(torch.from_numpy(pixels) / 255)
    (folder / "m.mtl").write_text("newmtl a\nmap_Kd a.png\nnewmtl b\nmap_Kd b.png\nnewmtl c\nKd 0 1 0\n")
    uv = random.uniform(-3, 3, (12, 2))
    lines = ["mtllib m.mtl", *(f"v {x} {y} {z}" for x, y, z in random.normal(size=(12, 3)))]
    lines += [f"vt {u} {v}" for u, v in uv]
    for material, start in (("a", 1), ("b", 4), ("a", 7), ("c", 10)):
        lines += [f"usemtl {material}", "f " + " ".join(f"{i}/{i}" for i in range(start, start + 3))]
    (folder / "m.obj").write_text("\n".join(lines))
    mesh = Mesh.load(folder / "m.obj")
    assert mesh.problems == ()
    weights = torch.from_numpy(random.dirichlet((1, 1, 1), 50))
    for face, name in enumerate("abac"):
        colors = bilinear(mesh.texture.image, weights @ mesh.texture.uv[mesh.uv_faces[face]].double())
        own = weights @ torch.from_numpy(uv[3 * face : 3 * face + 3])
        expected = bilinear(images.get(name, torch.tensor([[[0.0, 1, 0]]])), own)
        torch.testing.assert_close(colors, expected, atol=2e-4, rtol=0)


def test_a_texture_repeated_very_often_is_shrunk_and_told(write, write_png, bilinear):
    write_png("pixel.png", [[[255, 255, 255], [0, 0, 0]], [[0, 0, 0], [255, 255, 255]]])
    write("a.mtl", "newmtl skin\nmap_Kd pixel.png\nnewmtl red\nKd 1 0 0\n")
    text = TRIANGLE + "vt 0 0\nvt 9000 0\nvt 0 9000\nusemtl skin\nf 1/1 2/2 3/3\nusemtl red\nf 1 3 2\n"
    mesh = Mesh.load(write("a.obj", "mtllib a.mtl\n" + text))
    colors = bilinear(mesh.texture.image, mesh.texture.uv[mesh.uv_faces].mean(1)).float()
    torch.testing.assert_close(colors, torch.tensor([[0.5, 0.5, 0.5], [1.0, 0, 0]]))
    assert "1 of its textures are repeated so often that they were shrunk" in mesh.problems[0]


@pytest.mark.parametrize(
    ("mtl", "problem"),
    [
        (None, "refers to 'a.mtl', which is missing from its folder"),
        ("newmtl skin\nmap_Kd none.png\n", "refers to 'none.png', which is missing from its folder"),
        ("newmtl skin\nmap_Kd a.obj\n", "texture 'a.obj' is no image that can be read"),
        ("newmtl other\nKd 1 0 0\n", "Materials that it uses are not defined: 'skin'"),
        ("newmtl skin\nKd one 0 0\n", "Material 'skin' has a line that cannot be read: 'Kd one 0 0'"),
        ("newmtl skin\nmap_Kd -s 2 2 1 none.png\n", "texture options, which are not applied: '-s 2 2 1 none.png'"),
        ("newmtl skin\nmap_Kd /etc/passwd\n", "refers to '/etc/passwd', which lies outside its folder"),
        ("newmtl skin\nmap_Kd ../secret.png\n", "refers to '../secret.png', which lies outside its folder"),
        ("newmtl skin\nmap_Kd ..\\secret.png\n", "secret.png', which lies outside its folder"),
        ("newmtl skin\nmap_Kd C:\\x\\y.png\n", "which lies outside its folder"),
        ("newmtl skin\nmap_Kd link.png\n", "refers to 'link.png', which lies outside its folder"),
    ],
)
def test_the_shape_loads_and_what_is_missing_or_refused_is_told(write, tmp_path, mtl, problem):
    secret = tmp_path / "secret.png"
    secret.write_bytes(b"not to be read")
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "link.png").symlink_to(secret)
    if mtl is not None:
        write("sub/a.mtl", mtl)
    text = TRIANGLE + "vt 0 0\nvt 1 0\nvt 0 1\nusemtl skin\nf 1/1 2/2 3/3\n"
    mesh = Mesh.load(write("sub/a.obj", "mtllib a.mtl\n" + text))
    assert mesh.faces.shape == (1, 3)
    assert mesh.texture is None
    assert any(problem in told for told in mesh.problems), mesh.problems
    assert all(told in str(mesh.check()) for told in mesh.problems)


def test_a_material_library_outside_the_folder_is_not_read(write):
    write("outside.mtl", "newmtl skin\nKd 1 0 0\n")
    mesh = Mesh.load(write("sub/a.obj", "mtllib ../outside.mtl\nusemtl skin\n" + TRIANGLE + "f 1 2 3\n"))
    assert mesh.face_colors is None
    assert "refers to '../outside.mtl', which lies outside its folder" in mesh.problems[0]


def test_several_libraries_and_names_with_spaces(write):
    write("one.mtl", "newmtl red\nKd 1 0 0\n")
    write("two.mtl", "newmtl blue\nKd 0 0 1\n")
    write("my own.mtl", "newmtl green\nKd 0 1 0\n")
    head = "mtllib one.mtl two.mtl\nmtllib my own.mtl\n"
    faces = "usemtl red\nf 1 2 3\nusemtl blue\nf 1 2 3\nusemtl green\nf 1 2 3\n"
    mesh = Mesh.load(write("a.obj", head + TRIANGLE + faces))
    assert mesh.face_colors.tolist() == [[1, 0, 0], [0, 0, 1], [0, 1, 0]]


def test_faces_without_coordinates_keep_a_flat_color(write, write_png):
    write_png("pixel.png", np.zeros((2, 2, 3)))
    write("a.mtl", "newmtl skin\nmap_Kd pixel.png\n")
    mesh = Mesh.load(write("a.obj", "mtllib a.mtl\nusemtl skin\n" + TRIANGLE + "f 1 2 3\n"))
    assert mesh.texture is None
    assert "1 faces have a texture image but no texture coordinates" in mesh.problems[0]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (TRIANGLE + "v 0 1", r"a\.obj, line 4: cannot read 'v 0 1'.*truncated; fetch it again"),
        (TRIANGLE + "f 1 2 x\nf 1 2 3\n", r"a\.obj, line 4: cannot read 'f 1 2 x'\.$"),
        (TRIANGLE, r"a\.obj: no faces; points and lines alone"),
    ],
)
def test_broken_files(write, text, message):
    with pytest.raises(MeshError, match=message):
        Mesh.load(write("a.obj", text))


def test_faces_cut_short_are_told(write):
    mesh = Mesh.load(write("a.obj", TRIANGLE + "f 1 2 3\nf 1 2"))
    assert mesh.problems == ("1 faces of fewer than three corners were left out.",)


@pytest.mark.parametrize("corner", ["9", "-9", "0"])
@pytest.mark.parametrize("textured", [False, True])
def test_indices_out_of_range_load_are_reported_and_mended(write, write_png, corner, textured):
    write_png("pixel.png", np.zeros((2, 2, 3)))
    write("a.mtl", "newmtl skin\nmap_Kd pixel.png\n")
    head = "mtllib a.mtl\nusemtl skin\nvt 0 0\n" if textured else ""
    mesh = Mesh.load(
        write("a.obj", head + TRIANGLE + f"f 1/1 2/1 3/1\nf 1/1 2/1 {corner}/1\nf 1/1 2/1 3/1 {corner}/1\n")
    )
    assert mesh.check().out_of_range_faces == 2
    assert mesh.repair().faces.tolist() == [[0, 1, 2]]
