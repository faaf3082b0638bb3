"""PyTorch3D keeps the contract where it is installed."""

import pytest
import torch

from render3d import Cameras, Shading, Volume
from render3d.data import bunny
from render3d.optional import PYTORCH3D
from render3d.renderers import EmissionAbsorption, PyTorch3D, PyTorch3DVolumes, Renderer, SoftEdges
from render3d.testing.contracts import PROJECTIONS, Projection, RendererContract
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
    """With edges about a pixel wide: much sharper ones fall between the pixels of so small a picture.

    Its colours bleed into each other and into the background; docs/renderers.md has what remains where.
    """

    tolerance = 0.3

    def make_renderer(self, shading: Shading) -> Renderer:
        return PyTorch3D(shading, SoftEdges(sigma=1e-3, faces_per_pixel=30))


@pytest.mark.parametrize("projection", PROJECTIONS)
def test_soft_edges_are_sharp_in_the_limit(projection: Projection) -> None:
    cameras = uneven_cameras(projection)
    hard, soft = (
        PyTorch3D(soft=edges)(asymmetric_mesh(), cameras)
        for edges in (None, SoftEdges(sigma=1e-8, gamma=1e-6, faces_per_pixel=8))
    )
    assert float((hard.alpha - soft.alpha).abs().mean()) < 1e-3
    assert float((hard.rgb - soft.rgb).abs().mean()) < 1e-3


def fog(resolution: int) -> Volume:
    """The bunny, blurred: where density jumps, interpolating it and interpolating opacity differ."""
    solid = Volume.from_mesh(bunny().normalized(), resolution, extent=1.2).values
    return Volume(3 * torch.nn.functional.avg_pool3d(solid, 5, 1, 2), 1.2)


@pytest.mark.parametrize("projection", PROJECTIONS)
def test_volumes_look_like_those_of_emission_and_absorption(projection: Projection) -> None:
    colors = torch.rand(3, 16, 16, 16, generator=torch.Generator().manual_seed(0))
    volume = Volume(torch.cat([fog(16).values, colors]), 1.2)
    cameras = uneven_cameras(projection).resize(48, 80)
    outputs = ("rgb", "alpha", "depth")
    expected = EmissionAbsorption(samples_per_voxel=4)(volume, cameras, outputs)
    found = PyTorch3DVolumes(points=256)(volume, cameras, outputs)
    assert float((expected.alpha - found.alpha).abs().max()) < 0.04
    assert float((expected.rgb - found.rgb).abs().max()) < 0.04
    there = expected.alpha > 0.5
    assert float((expected.depth / found.depth - 1)[there].abs().max()) < 0.02


def test_gradients_of_volumes_are_those_of_emission_and_absorption() -> None:
    cameras = Cameras.orbit(2, 4.0, image_size=(24, 32))
    gradients = []
    for renderer in (EmissionAbsorption(samples_per_voxel=4), PyTorch3DVolumes(points=256)):
        values = fog(12).values.clone().requires_grad_()
        loss = renderer(Volume(values, 1.2), cameras, ("alpha",)).alpha.square().sum()
        gradients.append(torch.autograd.grad(loss, values)[0])
    assert float((gradients[0] - gradients[1]).norm() / gradients[0].norm()) < 0.05
