import dataclasses
import pickle

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from render3d import Mesh, Texture, collate, data
from render3d.errors import DeviceError, MeshError, ShapeError


def seamed(mesh, rows=9):
    """With a texture of which a corner takes any of so many coordinates."""
    corners = torch.arange(mesh.faces.numel()).reshape(-1, 3) % rows
    return dataclasses.replace(mesh, texture=Texture(torch.rand(2, 2, 3), torch.rand(rows, 2), corners))


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**31), st.floats(1e-3, 1e3))
def test_normalized_and_restored(seed, scale):
    generator = torch.Generator().manual_seed(seed)
    vertices = scale * torch.randn(2, 3, 10, 3, generator=generator, dtype=torch.float64)
    vertices[..., 9, :] = 1e6  # of no face
    mesh = Mesh(vertices, torch.arange(9).reshape(3, 3))
    used = mesh.normalized().vertices[..., :9, :]
    torch.testing.assert_close(used.norm(dim=-1).amax(-1), torch.ones(2, 3).double())
    torch.testing.assert_close(used.amin(-2), -used.amax(-2), atol=1e-12, rtol=0)
    restored = mesh.normalized().restored()
    assert restored.to_source is None
    torch.testing.assert_close(restored.vertices, vertices)


def test_restored_undoes_any_number_of_times(cube):
    once = cube.with_vertices(cube.vertices * 3 + 7).normalized()
    moved = once.with_vertices(once.vertices * 2 + 1)
    torch.testing.assert_close(moved.normalized().restored().vertices, moved.restored().vertices)
    assert cube.restored() is cube


def test_normalized_carries_gradients_at_its_scale(cube):
    vertices = (4 * cube.vertices).requires_grad_()
    cube.with_vertices(vertices).normalized().vertices.sum().backward()
    torch.testing.assert_close(vertices.grad, torch.full_like(vertices, 1 / (2 * 3**0.5)))


def test_what_cannot_be_normalized(cube):
    with pytest.raises(MeshError, match=r"The mesh cannot be normalized: its vertices are not finite or all in one"):
        cube.with_vertices(cube.vertices * 0).normalized()
    with pytest.raises(MeshError, match=r"cannot be normalized: .*mesh\.repair\(\) drops such faces"):
        cube.with_vertices(cube.vertices * torch.nan).normalized()
    with pytest.raises(MeshError, match="has no faces, so no size"):
        dataclasses.replace(cube, faces=torch.zeros(0, 3, dtype=torch.long)).normalized()


def test_pickles(cube, tmp_path):
    cube.save(tmp_path / "a.ply")
    mesh = Mesh.load(tmp_path / "a.ply").normalized()
    mesh = dataclasses.replace(mesh, texture=Texture(torch.rand(2, 2, 3), torch.rand(9, 2), 9 - 1 - mesh.faces))
    again = pickle.loads(pickle.dumps(mesh))
    assert (again.source, again.problems) == (mesh.source, mesh.problems)
    for name in ("vertices", "faces", "to_source"):
        assert torch.equal(getattr(again, name), getattr(mesh, name))
    for name in ("image", "uv", "faces"):
        assert torch.equal(getattr(again.texture, name), getattr(mesh.texture, name))


def test_moves_all_its_tensors(cube):
    mesh = dataclasses.replace(seamed(cube).normalized()).to("meta")
    tensors = (mesh.vertices, mesh.faces, mesh.to_source, mesh.texture.image, mesh.texture.uv, mesh.texture.faces)
    assert {tensor.device.type for tensor in tensors} == {"meta"}


@pytest.mark.parametrize("subdivisions", [0, 2])
def test_icosphere(subdivisions):
    sphere = Mesh.icosphere(subdivisions, 2.5)
    assert len(sphere.faces) == 20 * 4**subdivisions
    torch.testing.assert_close(sphere.vertices.norm(dim=-1), torch.full((len(sphere.vertices),), 2.5))
    report = sphere.check()
    assert report.watertight
    assert report.inside_out_bodies == 0


@pytest.mark.parametrize(("arguments", "message"), [((9, 1), "subdivisions .* 0 to 8; got 9"), ((1, 0), "got 0")])
def test_icosphere_refuses(arguments, message):
    with pytest.raises(ValueError, match=message):
        Mesh.icosphere(*arguments)


@pytest.mark.parametrize(("model", "faces"), [(data.bunny, 3674), (data.teapot, 992), (data.chicken, 2724)])
def test_models_that_come_along_are_sound(model, faces):
    mesh = model()
    report = mesh.check()
    assert report.faces == faces
    assert report.problems == ()
    assert report.renderable
    assert (report.zero_area_faces, report.duplicate_faces, report.inconsistent_edges) == (0, 0, 0)
    assert mesh.check().watertight == (model is data.bunny)


def test_the_textured_model_shows_its_texture():
    texture = data.chicken().texture
    assert texture.image.shape == (512, 512, 3)
    assert texture.image.std(dim=(0, 1)).min() > 0.05


def test_which_coordinate_a_corner_takes(cube):
    mesh = seamed(cube)
    assert mesh.uv_faces is mesh.texture.faces
    assert mesh.uv_faces.dtype == torch.int64
    assert repr(mesh.texture) == "Texture(image=[2, 2, 3], uv=[9, 2], faces=[12, 3], device='cpu')"
    plain = dataclasses.replace(cube, texture=Texture(torch.rand(2, 2, 3), torch.rand(8, 2)))
    assert plain.uv_faces is plain.faces
    assert plain.seams is None
    assert "faces" not in repr(plain.texture)
    narrow = Texture(torch.rand(2, 2, 3), torch.rand(9, 2), mesh.uv_faces.int())
    assert narrow.faces.dtype == torch.int64
    with pytest.raises(MeshError, match="The mesh has no texture, so no texture coordinates"):
        _ = cube.uv_faces


def test_a_texture_that_does_not_fit_is_named(cube):
    image, uv, corners = torch.rand(2, 2, 3), torch.rand(9, 2), torch.zeros(12, 3, dtype=torch.long)
    with pytest.raises(MeshError, match=r"texture\.faces must be integers; got torch\.float32"):
        Texture(image, uv, corners.float())
    with pytest.raises(ShapeError, match=r"texture\.faces must have shape \[F, 3\]; got \[12, 2\]"):
        Texture(image, uv, corners[:, :2])
    with pytest.raises(DeviceError, match="uv on cpu, faces on meta"):
        Texture(image, uv, corners.to("meta"))
    with pytest.raises(DeviceError, match=r"texture\.image on meta"):
        dataclasses.replace(cube, texture=Texture(image, uv, corners).to("meta"))
    with pytest.raises(ShapeError, match=r"texture\.faces must have one row for each of 12; got shape \[11, 3\]"):
        dataclasses.replace(cube, texture=Texture(image, uv, corners[1:]))
    with pytest.raises(ShapeError, match=r"texture\.uv must .* each of 8; got shape \[9, 2\]. If a vertex has several"):
        dataclasses.replace(cube, texture=Texture(image, uv))


def test_a_batch_shares_its_texture_and_seams(cube):
    mesh = seamed(cube)
    both = Mesh.stack([mesh, mesh.with_vertices(2 * mesh.vertices)])
    assert both.texture is mesh.texture
    assert both[1].texture is mesh.texture
    assert Mesh.cat([both, both]).batch_shape == (4,)
    assert torch.equal(collate([mesh, mesh]).uv_faces, mesh.uv_faces)
    other = dataclasses.replace(mesh.texture, faces=mesh.uv_faces.flip(0))
    with pytest.raises(ShapeError, match="must agree on 'texture'"):
        Mesh.stack([mesh, dataclasses.replace(mesh, texture=other)])
    no_seams = Texture(mesh.texture.image, mesh.texture.uv[:8])
    with pytest.raises(ShapeError, match="must agree on 'texture'"):
        Mesh.stack([mesh, dataclasses.replace(mesh, texture=no_seams)])


def test_the_coordinates_of_a_texture_are_an_input(cube):
    uv = torch.rand(9, 2, requires_grad=True)
    mesh = seamed(cube)
    mesh = dataclasses.replace(mesh, texture=dataclasses.replace(mesh.texture, uv=uv))
    assert mesh.inputs()["texture.uv"] == (uv, "colors")
    split = mesh.split()
    split.texture.uv.sum().backward()
    assert torch.equal(uv.grad[:, 0], torch.bincount(mesh.seams.of_uv).float())
    assert not mesh.detach().texture.uv.requires_grad
