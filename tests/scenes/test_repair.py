import dataclasses

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from render3d import Mesh, Texture
from render3d.errors import MeshError


def faults(mesh):
    """The counts of a report that are not zero."""
    fields = dataclasses.asdict(mesh.check())
    return {name: value for name, value in fields.items() if value and name not in ("vertices", "faces", "source")}


def with_faces(mesh, faces):
    return dataclasses.replace(mesh, faces=torch.as_tensor(faces))


def test_a_sound_mesh(cube):
    assert faults(cube) == {}
    assert cube.check().watertight
    assert str(cube.check()) == "mesh: 8 vertices, 12 faces, watertight"
    assert torch.equal(cube.repair().faces, cube.faces)


def test_no_faces(cube):
    mesh = with_faces(cube, torch.zeros(0, 3, dtype=torch.long))
    assert "no faces" in str(mesh.check())
    assert not mesh.check().renderable
    with pytest.raises(MeshError, match="The mesh: nothing that can be rendered is left.\nmesh: 8 vertices, 0 faces"):
        mesh.repair()


def test_no_vertices():
    mesh = Mesh(torch.zeros(0, 3), torch.zeros(1, 3, dtype=torch.long))
    assert faults(mesh) == {"out_of_range_faces": 1}


def test_vertices_that_are_not_finite(cube):
    vertices = cube.vertices.clone()
    vertices[7, 1:] = torch.tensor([torch.nan, torch.inf])
    mesh = cube.with_vertices(vertices)
    report = mesh.check()
    assert report.nonfinite_vertices == 1
    assert report.nonfinite_faces == int((cube.faces == 7).any(-1).sum())
    assert not report.renderable
    mended = mesh.repair()
    assert mended.vertices.isfinite().all()
    assert len(mended.faces) == 12 - report.nonfinite_faces


@pytest.mark.parametrize("index", [8, -1])
def test_indices_out_of_range(cube, index):
    faces = cube.faces.clone()
    faces[3, 1] = index
    mesh = with_faces(cube, faces)
    assert faults(mesh) == {"out_of_range_faces": 1, "open_edges": 3}
    assert not mesh.check().renderable
    assert torch.equal(mesh.repair().faces, torch.cat([faces[:3], faces[4:]]))


def test_faces_without_area(cube):
    vertices = torch.cat([cube.vertices, torch.tensor([[0.5, 0.0, 0.0]])])
    flat = torch.tensor([[0, 0, 4], [0, 8, 4]])
    mesh = Mesh(vertices, torch.cat([cube.faces, flat]))
    assert faults(mesh) == {"zero_area_faces": 2}
    assert torch.equal(mesh.repair().faces, cube.faces)
    assert mesh.repair().vertices.shape == (8, 3)


def test_thin_faces_are_kept():
    mesh = Mesh(torch.tensor([[0.0, 0, 0], [1, 0, 0], [0.5, 1e-5, 0]]), torch.tensor([[0, 1, 2]]))
    assert mesh.check().zero_area_faces == 0


def test_faces_in_one_place_by_index_or_position(cube):
    doubled = Mesh(
        torch.cat([cube.vertices, cube.vertices]),
        torch.cat([cube.faces, cube.faces[:2].roll(1, -1), cube.faces[2:5].flip(-1) + 8]),
        face_colors=torch.rand(17, 3),
    )
    assert faults(doubled) == {"duplicate_faces": 5, "unreferenced_vertices": 3}
    mended = doubled.repair()
    assert torch.equal(mended.faces, cube.faces)
    assert torch.equal(mended.face_colors, doubled.face_colors[:12])


def test_seams_of_a_texture_are_no_holes(cube):
    corners = cube.faces.reshape(-1)
    split = Mesh(cube.vertices[corners], torch.arange(36).reshape(12, 3))
    assert faults(split) == {}
    assert split.merged().vertices.shape == (8, 3)


def test_open_and_crowded_edges(cube):
    assert faults(with_faces(cube, cube.faces[1:])) == {"open_edges": 3}
    vertices = torch.cat([cube.vertices, torch.tensor([[2.0, 2, 2]])])
    fin = Mesh(vertices, torch.cat([cube.faces, torch.tensor([[0, 1, 8]])]))
    assert faults(fin) == {"open_edges": 2, "crowded_edges": 1}


@settings(max_examples=50, deadline=None)
@given(st.lists(st.booleans(), min_size=80, max_size=80), st.booleans())
def test_winding_is_mended_however_faces_turn(flips, batched):
    sphere = Mesh.icosphere(1)
    turned = sphere.faces.clone()
    flip = torch.tensor(flips)
    turned[flip] = turned[flip][:, [0, 2, 1]]
    mesh = with_faces(sphere, turned)
    if batched:
        mesh = mesh.with_vertices(torch.stack([sphere.vertices, 2 * sphere.vertices + 5]))
    if flip.any() and not flip.all():
        assert mesh.check().inconsistent_edges > 0
    mended = mesh.repair()
    assert faults(mended) == {}
    assert torch.equal(mended.faces.sort(-1).values, sphere.faces.sort(-1).values)
    outwards = (mended.face_normals() * mended.vertices[..., mended.faces[:, 0], :].sub(5 if batched else 0)).sum(-1)
    assert (outwards.reshape(-1, 80)[-1] > 0).all()


def test_inside_out_bodies_are_counted_one_by_one(cube):
    both = Mesh(torch.cat([cube.vertices, cube.vertices + 3]), torch.cat([cube.faces, cube.faces.flip(-1) + 8]))
    assert faults(both) == {"inside_out_bodies": 1}
    assert faults(both.repair()) == {}


def test_an_open_surface_keeps_the_side_of_most_of_its_faces(cube):
    faces = cube.faces[2:].clone()
    faces[0] = faces[0].flip(-1)
    mended = with_faces(cube, faces).repair()
    assert torch.equal(mended.face_normals(), with_faces(cube, cube.faces[2:]).face_normals())


def test_what_belongs_to_vertices_stays_with_them(cube):
    vertices = torch.cat([torch.full((1, 3), torch.nan), cube.vertices])
    faces = torch.cat([torch.tensor([[0, 1, 2]]), cube.faces + 1])
    values = torch.arange(9.0)[:, None]
    colored = Mesh(vertices, faces, colors=values.expand(-1, 3)).repair()
    assert colored.colors[:, 0].tolist() == list(range(1, 9))
    textured = Mesh(vertices, faces, texture=Texture(torch.rand(2, 2, 3), values.expand(-1, 2))).repair()
    assert textured.texture.uv[:, 0].tolist() == list(range(1, 9))


def test_a_batch_is_at_fault_where_any_element_is(cube):
    bad = cube.vertices.clone()
    bad[3] = torch.nan
    mesh = cube.with_vertices(torch.stack([cube.vertices, bad]))
    assert mesh.check().nonfinite_vertices == 1
    assert mesh.repair().vertices.shape == (2, 7, 3)


def test_merging_keeps_what_differs(cube):
    twice = Mesh(torch.cat([cube.vertices, cube.vertices]), torch.cat([cube.faces, cube.faces + 8]))
    assert twice.merged().vertices.shape == (8, 3)
    assert torch.equal(twice.merged().faces, torch.cat([cube.faces, cube.faces]))
    colored = dataclasses.replace(twice, colors=torch.cat([torch.zeros(8, 3), torch.ones(8, 3)]))
    assert colored.merged().vertices.shape == (16, 3)
    assert Mesh(torch.tensor([[0.0, 0, 0], [-0.0, 0, 0]]), torch.tensor([[0, 1, 5]])).merged().faces.tolist() == [
        [0, 0, -1]
    ]


def seamed(mesh, seed=0):
    """With a texture whose corners take any of seven coordinates."""
    generator = torch.Generator().manual_seed(seed)
    uv, corners = torch.rand(7, 2, generator=generator), torch.randint(7, mesh.faces.shape, generator=generator)
    return dataclasses.replace(mesh, texture=Texture(torch.rand(2, 2, 3), uv, corners))


def corners_of(mesh):
    """Where the corners of faces are, in space and in the texture, in an order that no turn of a face changes."""
    rows = torch.cat([mesh.vertices[mesh.faces], mesh.texture.uv[mesh.uv_faces]], -1)
    return [sorted(face) for face in rows.tolist()]


def test_coordinates_stay_with_their_corners_when_faces_are_turned_and_dropped(cube):
    faces = cube.faces.clone()
    faces[[3, 7]] = faces[[3, 7]][:, [0, 2, 1]]
    sound = seamed(with_faces(cube, faces))
    broken = dataclasses.replace(
        sound,
        faces=torch.cat([faces[:5], torch.tensor([[0, 0, 1]]), faces[5:]]),
        texture=dataclasses.replace(
            sound.texture, faces=torch.cat([sound.uv_faces[:5], torch.zeros(1, 3, dtype=int), sound.uv_faces[5:]])
        ),
    )
    mended = broken.repair()
    assert faults(mended) == {}
    assert not torch.equal(mended.faces, faces)
    assert corners_of(mended) == corners_of(sound)


def test_faces_without_a_coordinate_are_out_of_range(cube):
    mesh = seamed(cube)
    corners = mesh.uv_faces.clone()
    corners[2, 1], corners[4, 0] = 7, -1
    mesh = dataclasses.replace(mesh, texture=dataclasses.replace(mesh.texture, faces=corners))
    assert mesh.check().out_of_range_faces == 2
    assert not mesh.check().renderable
    with pytest.raises(MeshError, match=r"texture.faces must index 7 rows of texture.uv; got indices from -1 to 7"):
        mesh.check_values()
    mended = mesh.repair()
    mended.check_values()
    kept = [number for number in range(12) if number not in (2, 4)]
    assert torch.equal(mended.uv_faces, corners[kept])
    assert mesh.merged().check().out_of_range_faces == 2


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**31), st.booleans())
def test_splitting_and_merging_undo_each_other(seed, batched):
    sphere = Mesh.icosphere(1)
    if batched:
        sphere = sphere.with_vertices(torch.stack([sphere.vertices, 2 * sphere.vertices]))
    mesh = seamed(sphere, seed)
    split = mesh.split()
    assert split.texture.faces is None
    assert split.split() is split
    assert torch.equal(split.vertices[..., split.faces, :], mesh.vertices[..., mesh.faces, :])
    assert torch.equal(split.texture.uv[split.faces], mesh.texture.uv[mesh.uv_faces])
    welded = split.merged()
    assert torch.equal(welded.vertices, mesh.vertices)
    assert torch.equal(welded.faces, mesh.faces)
    assert torch.equal(welded.texture.uv[welded.uv_faces], mesh.texture.uv[mesh.uv_faces])
    assert len(welded.texture.uv) == 7


def test_merging_a_texture_without_seams_leaves_one_coordinate_a_vertex(cube):
    uv = torch.rand(8, 2)
    twice = Mesh(
        torch.cat([cube.vertices, cube.vertices]),
        torch.cat([cube.faces, cube.faces + 8]),
        texture=Texture(torch.rand(2, 2, 3), torch.cat([uv, uv]).requires_grad_()),
    )
    welded = twice.merged()
    assert welded.texture.faces is None
    assert torch.equal(welded.texture.uv, uv)
    assert welded.texture.uv.requires_grad


def test_a_texture_without_coordinates_is_merged_like_any_other(cube):
    none = torch.zeros(0, 3, dtype=torch.long)
    mesh = dataclasses.replace(with_faces(cube, none), texture=Texture(torch.rand(2, 2, 3), torch.zeros(0, 2), none))
    assert mesh.merged().texture.uv.shape == (0, 2)
    assert mesh.split().vertices.shape == (0, 3)
