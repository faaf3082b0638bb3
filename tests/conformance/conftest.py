"""How gradients of renderers are compared with finite differences of the reference."""

import dataclasses
import functools
from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.nn.functional import max_pool2d

from render3d import Cameras, Mesh, Shading
from render3d.renderers import Renderer
from render3d.testing.contracts import Projection
from render3d.testing.reference import NumpyRenderer
from render3d.testing.scenes import asymmetric_mesh, uneven_cameras

_STEP = 1e-4


def moved(mesh: Mesh, amount: Tensor, projection: Projection) -> tuple[Mesh, Cameras]:
    """The first six of ``amount`` [9] move the cameras, the seventh and eighth stretch the mesh, the last zooms."""
    cameras = uneven_cameras(projection)[:2].resize(48, 80)
    stretch = torch.stack([1 + amount[6], 1 + amount[7], torch.ones_like(amount[0])])
    zoom = torch.cat([(1 + amount[8]).expand(2), torch.ones(1)])
    cameras = dataclasses.replace(
        cameras, world_to_camera=cameras.world_to_camera.double(), intrinsics=cameras.intrinsics.double() * zoom
    )
    return mesh.with_vertices(mesh.vertices.double() * stretch), cameras.retract(amount[:6])


@pytest.fixture
def error_of_surface_gradients() -> Callable[[Callable[[Shading], Renderer], Projection], Tensor]:
    """The relative errors ``[9]`` of a renderer's gradients of colours, depths and normals away from all edges."""

    def error(make: Callable[[Shading], Renderer], projection: Projection) -> Tensor:
        shading, outputs = Shading(normals="smooth"), ("rgb", "depth", "normal")

        def images(renderer: Renderer, amount: Tensor) -> Tensor:
            rendering = renderer(*moved(asymmetric_mesh(), amount, projection), outputs)
            return torch.cat([rendering.as_dict()[name] for name in outputs], dim=1).double()

        resting = moved(asymmetric_mesh(), torch.zeros(9).double(), projection)
        face = NumpyRenderer()(*resting, ("face_index",)).face_index.float()
        inside = (max_pool2d(face, 3, 1, 1) == face) & (max_pool2d(-face, 3, 1, 1) == -face) & (face >= 0)
        assert inside.sum() > 100
        weights = torch.randn(7, 1, 1, generator=torch.Generator().manual_seed(0)).double() * inside
        amount = torch.zeros(9, dtype=torch.float64, requires_grad=True)
        (images(make(shading), amount) * weights).sum().backward()
        steps = _STEP * torch.eye(9).double()
        reference = NumpyRenderer(shading)
        changes = [(images(reference, step) - images(reference, -step)) / (2 * _STEP) for step in steps]
        expected = torch.stack([(change * weights).sum() for change in changes])
        return (amount.grad - expected).abs() / expected.abs().clamp(min=1)

    return error


def solid() -> Mesh:
    """A tetrahedron."""
    corners = torch.tensor([[-0.7, -0.5, 0.4], [0.8, -0.4, 0.5], [0.1, 0.8, 0.1], [0.2, -0.3, -0.8]])
    return Mesh(corners, torch.tensor([[0, 1, 2], [1, 3, 2], [3, 0, 2], [0, 3, 1]]))


def coverage(renderer: Renderer, amount: Tensor, projection: Projection) -> Tensor:
    """The mean of a window of alpha."""
    window = torch.linspace(0, 1, 80).double() * torch.linspace(1, 0.3, 48).double()[:, None]
    return (renderer(*moved(solid(), amount, projection), ("alpha",)).alpha * window).mean()


@functools.cache
def differences_of_coverage(projection: Projection) -> Tensor:
    """The gradient ``[9]`` of `coverage`, by finite differences: it is the same for every renderer."""
    reference, step = NumpyRenderer(Shading(samples_per_pixel=25)), 0.02
    ahead, behind = (
        torch.stack([coverage(reference, sign * each, projection) for each in step * torch.eye(9).double()])
        for sign in (1, -1)
    )
    return (ahead - behind) / (2 * step)


@pytest.fixture
def gradients_of_coverage() -> Callable[[Renderer, Projection], tuple[Tensor, Tensor]]:
    """Gradients ``[9]`` of the mean of a window of alpha: a renderer's, and those of finite differences."""

    def gradients(renderer: Renderer, projection: Projection) -> tuple[Tensor, Tensor]:
        amount = torch.zeros(9, dtype=torch.float64, requires_grad=True)
        coverage(renderer, amount, projection).backward()  # type: ignore[no-untyped-call]
        assert amount.grad is not None
        return amount.grad, differences_of_coverage(projection)

    return gradients
