"""Pyrender and OpenGL show the same: on a real mesh, a textured one and an asymmetric one."""

import dataclasses
from typing import Any

import pytest
import torch

from render3d import Cameras, Mesh, Shading
from render3d.data import bunny, chicken
from render3d.optional import MITSUBA
from render3d.renderers import Mitsuba, OpenGL, Pyrender
from render3d.testing.contracts import PROJECTIONS, Projection
from render3d.testing.parity import Parity, compare
from render3d.testing.reference import NumpyRenderer
from render3d.testing.scenes import asymmetric_mesh, seamed_mesh, uneven_cameras

MESHES = {"bunny": bunny, "chicken": chicken, "asymmetric": asymmetric_mesh}
OUTPUTS = ("rgb", "alpha", "depth")


def parity(mesh: Mesh, cameras: Cameras, moved: Cameras | None = None, shading: Shading | None = None) -> Parity:
    first = OpenGL(shading)(mesh, cameras, OUTPUTS)
    return compare(first, Pyrender(shading)(mesh, moved or cameras, OUTPUTS))


@pytest.mark.parametrize("projection", PROJECTIONS)
@pytest.mark.parametrize("name", MESHES)
@pytest.mark.parametrize("shading", [Shading(), Shading(normals="smooth", background=(0.1, 0.2, 0.3))], ids=["a", "b"])
def test_pyrender_and_opengl_agree(name: str, projection: Projection, shading: Shading) -> None:
    found = parity(MESHES[name]().normalized(), uneven_cameras(projection), shading=shading)
    assert found.coverage >= 0.05
    assert found.inside > 0.4
    assert found.differing <= 0.02
    assert found.far_differing == 0
    assert found.depth < 1e-3
    assert found.rgb < 2 / 255


@pytest.mark.parametrize("projection", PROJECTIONS)
@pytest.mark.parametrize("name", MESHES)
@pytest.mark.parametrize("shift", [(0.5, 0.0), (0.0, 0.5), (-0.5, 0.0), (0.0, -0.5)])
def test_half_a_pixel_would_be_noticed(name: str, projection: Projection, shift: tuple[float, float]) -> None:
    cameras = uneven_cameras(projection)
    offset = torch.zeros(3, 3)
    offset[:2, 2] = torch.tensor(shift)
    moved = dataclasses.replace(cameras, intrinsics=cameras.intrinsics + offset)
    assert parity(MESHES[name]().normalized(), cameras, moved).differing > 0.04


def test_real_meshes_agree_with_the_reference() -> None:
    """The rasteriser, and the textures of a model that nobody here made, against rays in NumPy."""
    for mesh in (bunny(), chicken()):
        cameras = uneven_cameras("perspective")[:2]
        outputs = (*OUTPUTS, "normal")
        found = compare(
            NumpyRenderer()(mesh.normalized(), cameras, outputs), OpenGL()(mesh.normalized(), cameras, outputs)
        )
        assert found.differing <= 0.02
        assert found.far_differing == 0
        assert found.depth < 1e-3
        assert found.normal_degrees < 1
        assert found.rgb < 2 / 255


@pytest.mark.parametrize("projection", PROJECTIONS)
@pytest.mark.parametrize("make", [NumpyRenderer, OpenGL, Pyrender, Mitsuba])
def test_a_mesh_with_seams_looks_like_one_whose_vertices_are_split(make: Any, projection: Projection) -> None:
    if make is Mitsuba and not MITSUBA.is_installed:
        pytest.skip("Mitsuba is not installed: pip install mitsuba")
    mesh, cameras, renderer = seamed_mesh(), uneven_cameras(projection), make()
    assert len(mesh.vertices) == 24 < 90 < len(mesh.split().vertices)
    outputs = (*OUTPUTS, "normal", "face_index", "barycentric")
    welded, split = renderer(mesh, cameras, outputs), renderer(mesh.split(), cameras, outputs)
    for name, image in welded.as_dict().items():
        torch.testing.assert_close(image, split.as_dict()[name], rtol=0, atol=2e-3, msg=name)
    grey = renderer(mesh.without_colors(), cameras, ("rgb",)).rgb
    assert (welded.rgb - grey).abs().sum() / welded.alpha.sum() > 0.1
