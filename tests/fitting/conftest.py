from collections.abc import Callable

import pytest
import torch

from render3d import Cameras, Mesh
from render3d.fitting import TemplateFitSettings
from render3d.renderers import OpenGL, Renderer
from render3d.view_sets import ViewSet

MakeViews = Callable[..., ViewSet]


@pytest.fixture
def renderer() -> OpenGL:
    return OpenGL()


@pytest.fixture
def ellipsoid() -> Mesh:
    """Not a sphere, not at the origin."""
    ball = Mesh.icosphere(3)
    return ball.with_vertices(ball.vertices * torch.tensor([0.9, 0.5, 0.6]) + torch.tensor([0.1, 0.0, -0.1]))


@pytest.fixture
def make_views(renderer: Renderer) -> MakeViews:
    """Silhouettes of a mesh from all round."""

    def make(mesh: Mesh, views: int = 6, size: int = 32) -> ViewSet:
        cameras = Cameras.sphere(views, 3.0, vertical_fov_degrees=46.0, image_size=(size, size))
        alpha = renderer(mesh, cameras, ("alpha",)).alpha
        return ViewSet(cameras, alpha, None, tuple(f"view {number}" for number in range(views)))

    return make


@pytest.fixture
def views(make_views: MakeViews, ellipsoid: Mesh) -> ViewSet:
    return make_views(ellipsoid)


@pytest.fixture
def quick() -> TemplateFitSettings:
    """A fit of a second."""
    return TemplateFitSettings(updates=12, samples=4, subdivisions=1, evaluate_every=5)
