"""PyTorch3D keeps the contract where it is installed."""

import pytest
import torch

from render3d import Cameras, Shading, Volume
from render3d.data import bunny
from render3d.optional import PYTORCH3D
from render3d.renderers import EmissionAbsorption, PyTorch3D, PyTorch3DVolumes, Renderer, SoftEdges
from render3d.testing.contracts import RendererContract
from render3d.testing.gradients import GradientContract
from render3d.testing.scenes import asymmetric_mesh, uneven_cameras

pytestmark = pytest.mark.skipif(not PYTORCH3D.is_installed, reason="PyTorch3D is not installed")


class TestHard(RendererContract):
    def make_renderer(self, shading: Shading) -> Renderer:
        return PyTorch3D(shading, soft=None)


class TestHardGradients(GradientContract):
    def make_renderer(self, shading: Shading) -> Renderer:
        return PyTorch3D(shading, soft=None)


class TestSoftGradients(GradientContract):
    def make_renderer(self, shading: Shading) -> Renderer:
        return PyTorch3D(shading, SoftEdges(faces_per_pixel=20))


@pytest.mark.parametrize("projection", ["perspective", "orthographic"])
def test_soft_edges_are_sharp_in_the_limit(projection: str) -> None:
    cameras = uneven_cameras(projection)  # type: ignore[arg-type]
    hard, soft = (
        PyTorch3D(soft=edges)(asymmetric_mesh(), cameras)
        for edges in (None, SoftEdges(sigma=1e-8, gamma=1e-6, faces_per_pixel=8))
    )
    assert float((hard.alpha - soft.alpha).abs().mean()) < 1e-3
    assert float((hard.rgb - soft.rgb).abs().mean()) < 1e-3


@pytest.mark.parametrize("projection", ["perspective", "orthographic"])
def test_volumes_look_like_those_of_emission_and_absorption(projection: str) -> None:
    values = torch.rand(4, 16, 16, 16, generator=torch.Generator().manual_seed(0))
    solid = Volume.from_mesh(bunny().normalized(), 16, extent=1.2).values
    volume = Volume(torch.cat([6 * solid, values[1:]]), 1.2)
    cameras = uneven_cameras(projection).resize(48, 80)  # type: ignore[arg-type]
    outputs = ("rgb", "alpha", "depth")
    expected = EmissionAbsorption(samples_per_voxel=4)(volume, cameras, outputs)
    found = PyTorch3DVolumes(points=256)(volume, cameras, outputs)
    assert float((expected.alpha - found.alpha).abs().max()) < 0.1
    assert float((expected.alpha - found.alpha).abs().mean()) < 0.01
    assert float((expected.rgb - found.rgb).abs().mean()) < 0.01
    solid_there = expected.alpha > 0.5
    assert float((expected.depth / found.depth - 1)[solid_there].abs().mean()) < 0.01


def test_gradients_of_volumes_are_those_of_emission_and_absorption() -> None:
    solid = Volume.from_mesh(bunny().normalized(), 12, extent=1.2).values
    cameras = Cameras.orbit(2, 4.0, image_size=(24, 32))
    gradients = []
    for renderer in (EmissionAbsorption(samples_per_voxel=4), PyTorch3DVolumes(points=192)):
        values = (3 * solid).clone().requires_grad_()
        renderer(Volume(values, 1.2), cameras, ("alpha",)).alpha.square().sum().backward()
        gradients.append(values.grad)
    torch.testing.assert_close(
        torch.nn.functional.cosine_similarity(*(g.flatten() for g in gradients), dim=0),
        torch.tensor(1.0),
        atol=0.01,
        rtol=0,
    )
