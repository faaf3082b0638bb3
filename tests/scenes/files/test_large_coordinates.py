"""Coordinates that float32 cannot hold: of maps, of planets, and of one thing far from another."""

import dataclasses

import numpy as np
import pytest
import torch

from render3d import Mesh
from render3d.datasets.collections.upright import upright
from render3d.errors import MeshError

UTM = np.array([500123.37, 4649776.22, 123.4])
EARTH = np.array([6378137.125, -12.3, 4.5e6])


def sphere(radius, center):
    ball = Mesh.icosphere(2)
    return ball.vertices.double().numpy() * radius + center, ball.faces.numpy()


def as_obj(vertices, faces):
    lines = [f"v {x!r} {y!r} {z!r}" for x, y, z in vertices.tolist()]
    return "\n".join([*lines, *(f"f {a} {b} {c}" for a, b, c in (faces + 1).tolist()), ""])


def as_off(vertices, faces):
    lines = [f"{x!r} {y!r} {z!r}" for x, y, z in vertices.tolist()]
    return "\n".join(["OFF", f"{len(vertices)} {len(faces)} 0", *lines, *(f"3 {a} {b} {c}" for a, b, c in faces), ""])


@pytest.mark.parametrize("written", [as_obj, as_off])
@pytest.mark.parametrize(("center", "radius"), [(UTM, 1.0), (UTM, 1000.0), (EARTH, 1.0), (UTM * 1e3, 1.0)])
def test_a_sphere_far_away_is_a_sphere(write, written, center, radius):
    vertices, faces = sphere(radius, center)
    mesh = Mesh.load(write("a." + written.__name__[3:], written(vertices, faces)))
    resolution = np.spacing(np.abs(center).max())  # of the float64 of the file
    assert mesh.vertices.dtype == torch.float32
    np.testing.assert_allclose(mesh.vertices.numpy(), vertices - center, atol=resolution + 2**-22 * radius)
    assert mesh.to_source.dtype == torch.float64
    np.testing.assert_allclose(mesh.to_source[:3, 3].numpy(), center, atol=2 * resolution)
    np.testing.assert_allclose(mesh.restored().vertices.numpy(), vertices, atol=3 * resolution + 2**-22 * radius)
    assert "are too far from the origin for float32" in mesh.problems[0]
    assert mesh.normalized().vertices.norm(dim=-1).sub(1).abs().max() < 1e-6 + 2 * resolution / radius


def test_normalised_and_turned_it_still_knows_where_it_was(write):
    vertices, faces = sphere(2.0, UTM)
    mesh = upright(Mesh.load(write("a.obj", as_obj(vertices, faces))), "z").normalized()
    np.testing.assert_allclose(mesh.restored().vertices.numpy(), vertices, atol=1e-6)


@pytest.mark.parametrize("suffix", ["obj", "off"])
def test_restored_it_is_saved_in_full(write, tmp_path, suffix):
    vertices, faces = sphere(1.0, UTM)
    mesh = Mesh.load(write("a.obj", as_obj(vertices, faces)))
    mesh.restored().save(tmp_path / f"b.{suffix}")
    again = Mesh.load(tmp_path / f"b.{suffix}")
    np.testing.assert_allclose(again.restored().vertices.numpy(), vertices, atol=1e-6)


@pytest.mark.parametrize("offset", [0.0, 0.7, -30.1, 100.1])
def test_coordinates_that_float32_holds_stay_bit_for_bit(write, offset):
    vertices, faces = sphere(1.0, offset)
    mesh = Mesh.load(write("a.obj", as_obj(vertices, faces)))
    assert mesh.vertices.numpy().tobytes() == vertices.astype(np.float32).tobytes()
    assert (mesh.to_source, mesh.problems) == (None, ())
    unit = mesh.normalized()
    low, high = mesh.vertices.amin(0), mesh.vertices.amax(0)
    radius = (mesh.vertices - (low + high) / 2).norm(dim=-1).max()
    assert torch.equal(unit.vertices, (mesh.vertices - (low + high) / 2) / radius)
    assert unit.to_source.dtype == torch.float32


def test_what_was_float32_when_it_was_written_returns_exactly(tmp_path):
    vertices, faces = sphere(1.0, UTM)
    coarse = Mesh(torch.from_numpy(vertices.astype(np.float32)), torch.from_numpy(faces))
    coarse.save(tmp_path / "a.obj")
    mesh = Mesh.load(tmp_path / "a.obj")
    assert torch.equal(mesh.vertices, coarse.vertices)
    assert mesh.to_source is None


def test_vertices_of_no_face_do_not_count(write):
    vertices, faces = sphere(1.0, UTM)
    mesh = Mesh.load(write("a.obj", as_obj(np.concatenate([vertices, np.zeros((1, 3))]), faces)))
    np.testing.assert_allclose(mesh.vertices[:-1].numpy(), vertices - UTM, atol=1e-6)


def test_a_small_thing_beside_a_far_one_is_listed(write):
    """No one offset brings both near."""
    vertices, faces = sphere(0.01, UTM)
    far = np.array([[0.0, 0, 0], [1, 0, 0], [0, 1, 0]])
    mesh = Mesh.load(
        write("a.obj", as_obj(np.concatenate([vertices, far]), np.concatenate([faces, [[162, 163, 164]]])))
    )
    assert mesh.problems[-1] == "320 faces are too small for float32 beside the rest of it: their shape is lost."


def test_coordinates_beyond_float32_are_listed_and_their_faces_dropped(write):
    mesh = Mesh.load(write("a.obj", "v 0 0 0\nv 1 0 0\nv 0 1 0\nv 1e39 0 0\nv nan 0 0\nf 1 2 3\nf 1 2 4\nf 1 5 2\n"))
    assert mesh.problems == ("2 vertices are not finite numbers of float32; repair() drops their faces.",)
    assert mesh.check().nonfinite_faces == 2
    assert mesh.repair().faces.tolist() == [[0, 1, 2]]


def test_far_coordinates_beside_broken_ones_are_centred_all_the_same(write):
    vertices, faces = sphere(1.0, UTM)
    vertices = np.concatenate([vertices, [[np.nan, 0, 0]]])
    faces = np.concatenate([faces, [[0, 1, 162], [0, 1, 500]]])
    mesh = Mesh.load(write("a.obj", as_obj(vertices, faces).replace("nan", "NaN"))).repair()
    np.testing.assert_allclose(mesh.vertices.norm(dim=-1).numpy(), 1, atol=1e-6)


@pytest.mark.parametrize("scale", [1e-30, 1e-12, 1e12, 1e20])
def test_spheres_of_any_size_are_normalised(scale):
    ball = Mesh.icosphere(2)
    unit = Mesh(ball.vertices * scale, ball.faces).normalized()
    torch.testing.assert_close(unit.vertices, ball.vertices, atol=1e-6, rtol=0)


def test_a_mesh_of_arrays_far_away_is_centred_in_float64():
    corners = torch.tensor([[0.0, 0, 0], [0.5, 0, 0], [0, 0.5, 0], [0, 0, 0.5]]) + torch.tensor([500123.0, 4649776, 0])
    mesh = Mesh(corners, torch.tensor([[0, 1, 2], [0, 1, 3], [0, 2, 3], [1, 2, 3]])).normalized()
    low, high = mesh.vertices.amin(0), mesh.vertices.amax(0)
    torch.testing.assert_close(low, -high)
    torch.testing.assert_close(mesh.restored().vertices, corners.double())


def test_several_of_them_are_one_batch(write):
    vertices, faces = sphere(1.0, UTM)
    mesh = Mesh.load(write("a.obj", as_obj(vertices, faces)))
    batch = Mesh.stack([mesh, dataclasses.replace(mesh, vertices=mesh.vertices * 2)]).normalized()
    torch.testing.assert_close(batch.vertices[0], batch.vertices[1])
    np.testing.assert_allclose(batch.restored().vertices[0].numpy(), vertices, atol=1e-6)


@pytest.mark.parametrize("suffix", ["ply", "stl", "glb"])
def test_formats_of_float32_are_refused_what_they_would_move(tmp_path, suffix):
    far = Mesh.icosphere(2).vertices.double() + torch.tensor([500123.4, 4649777.1, 320.0], dtype=torch.float64)
    mesh = Mesh(far, Mesh.icosphere(2).faces)
    with pytest.raises(
        MeshError, match=rf"a\.{suffix}: \.{suffix} files hold float32, which would move .* Save as .obj"
    ):
        mesh.save(tmp_path / f"a.{suffix}")
    assert not list(tmp_path.iterdir())
    Mesh(far - far.mean(0), mesh.faces).save(tmp_path / f"a.{suffix}")
