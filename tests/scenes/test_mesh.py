import dataclasses
import pickle

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from render3d import Mesh, Texture, data
from render3d.errors import MeshError


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
    mesh = dataclasses.replace(mesh, texture=Texture(torch.rand(2, 2, 3), torch.rand(8, 2)))
    again = pickle.loads(pickle.dumps(mesh))
    assert (again.source, again.problems) == (mesh.source, mesh.problems)
    for name in ("vertices", "faces", "to_source"):
        assert torch.equal(getattr(again, name), getattr(mesh, name))
    assert torch.equal(again.texture.image, mesh.texture.image)


def test_moves_all_its_tensors(cube):
    mesh = dataclasses.replace(cube.normalized(), texture=Texture(torch.rand(2, 2, 3), torch.rand(8, 2))).to("meta")
    tensors = (mesh.vertices, mesh.faces, mesh.to_source, mesh.texture.image, mesh.texture.uv)
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
