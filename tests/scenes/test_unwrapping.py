"""Unwrapped meshes: the same surface, with charts that do not overlap."""

import sys
from pathlib import Path

import pytest
import torch

from render3d import Mesh
from render3d.errors import MeshError, RendererError, ShapeError
from render3d.scenes.unwrapping import LARGEST_SIDE
from render3d.testing.scenes import asymmetric_mesh


@pytest.mark.parametrize("mesh", [Mesh.icosphere(2), asymmetric_mesh()], ids=["sphere", "boxes"])
def test_charts_cover_the_surface_to_scale_without_overlap(mesh: Mesh) -> None:
    """The area of the faces in texels is that on the surface, and no point lies in two faces."""
    texel = 0.02
    found = mesh.unwrapped(texel)
    assert torch.equal(found.vertices, mesh.vertices) and torch.equal(found.faces, mesh.faces)
    texture = found.texture
    assert texture is not None and texture.faces is not None and found.colors is None
    height, width = texture.image.shape[:2]
    corners = (texture.uv * torch.tensor([width, height]))[texture.faces].double()
    (ax, ay), (bx, by) = ((corners[:, i] - corners[:, 0]).unbind(-1) for i in (1, 2))
    area = float((ax * by - ay * bx).abs().sum()) / 2
    a, b, c = mesh.vertices[mesh.faces].double().unbind(1)
    truth = float(torch.linalg.cross(b - a, c - a).norm(dim=-1).sum()) / 2 / texel**2
    assert area == pytest.approx(truth, rel=0.15)  # a sphere cannot lie flat without stretching
    random = torch.rand(4000, 2, generator=torch.Generator().manual_seed(0)) * torch.tensor([width, height])
    x, y = (corners[:, None] - random.double()[:, None]).unbind(-1)
    turns = x * y.roll(-1, -1) - y * x.roll(-1, -1)
    inside = ((turns > 1e-3).all(-1) | (turns < -1e-3).all(-1)).sum(0)
    assert int(inside.max()) == 1
    assert float(inside.double().mean()) * width * height == pytest.approx(area, rel=0.1)


def test_it_is_bounded() -> None:
    texture = Mesh.icosphere(1).unwrapped(1e-9).texture
    assert texture is not None and max(texture.image.shape) <= 1.5 * LARGEST_SIDE


def test_a_file_keeps_it(tmp_path: Path) -> None:
    """A GLB splits vertices on seams; merged, the surface and the coordinates of its corners are the same."""
    mesh = Mesh.icosphere(2).unwrapped(0.05)
    mesh.save(tmp_path / "a.glb")
    back = Mesh.load(tmp_path / "a.glb").merged()
    assert back.texture is not None and mesh.texture is not None
    assert len(back.vertices) == len(mesh.vertices)
    torch.testing.assert_close(back.texture.uv[back.uv_faces], mesh.texture.uv[mesh.uv_faces])


def test_bad_input_is_named() -> None:
    mesh = Mesh.icosphere(1)
    with pytest.raises(ValueError, match="texel must be above zero and finite; got 0"):
        mesh.unwrapped(0)
    with pytest.raises(ShapeError, match=r"Only one mesh can be unwrapped; got a batch of shape \[2\]"):
        Mesh.stack([mesh, mesh]).unwrapped(0.1)
    with pytest.raises(MeshError, match="has no faces"):
        Mesh(mesh.vertices, mesh.faces[:0]).unwrapped(0.1)


def test_without_xatlas_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "xatlas", None)
    with pytest.raises(
        RendererError, match=r"xatlas is not installed. Install the extra: pip install 'render3d\[fit\]'"
    ):
        Mesh.icosphere(1).unwrapped(0.1)
