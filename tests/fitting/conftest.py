import dataclasses
import functools
import importlib
from collections.abc import Callable

import pytest
import torch
import trimesh

from render3d import Cameras, Mesh
from render3d.fitting import FitResult, FitSettings, TemplateFitSettings, fit, visual_hull
from render3d.fitting.levels import Level, Quality
from render3d.renderers import OpenGL, Renderer, Shading
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


def _hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    shape = Level(stage="shape", pixels=64, updates=8)
    colour = Level(stage="colour", pixels=64, updates=4, rounds=2, smoothness=4.0, rates=(0.5, 0.1), rgb=1.0)
    levels: dict[Quality, tuple[Level, ...]] = {
        "draft": (shape, colour),
        "normal": (dataclasses.replace(shape, pixels=32), shape, colour),
        "high": (shape, shape, shape, colour),
    }
    monkeypatch.setattr(importlib.import_module("render3d.fitting.levels"), "_LEVELS", levels)
    monkeypatch.setattr(
        importlib.import_module("render3d.fitting.fit"),  # the package has a function of that name
        "visual_hull",
        functools.partial(visual_hull, resolution=32),
    )


@pytest.fixture
def quick_photo_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fits to photographs of any quality are done in a second: few updates, and a hull of large cubes."""
    _hurry(monkeypatch)


@pytest.fixture(scope="session")
def cup() -> Mesh:
    """A ring and a ball on it: one handle, no symmetry, and a colour that changes everywhere."""
    ring = trimesh.creation.torus(0.6, 0.2, major_sections=32, minor_sections=16)
    ball = trimesh.creation.icosphere(3, 0.3).apply_translation([0.62, 0.1, 0.2])
    both = trimesh.util.concatenate([ring, ball])
    vertices = torch.tensor(both.vertices, dtype=torch.float32)
    x, y, z = vertices.unbind(-1)
    colors = 0.5 + 0.4 * torch.stack([(4 * x).sin(), (5 * y + 1).sin(), (6 * z + 3 * x).sin()], dim=-1)
    return Mesh(vertices, torch.tensor(both.faces), colors=colors)


@pytest.fixture(scope="session")
def photographs(cup: Mesh) -> ViewSet:
    """Of the cup from all round, higher than wide, with a principal point that is not in the middle."""
    cameras = Cameras.sphere(12, 3.0, vertical_fov_degrees=54.0, image_size=(72, 64)).crop(11, 3, 56, 53)
    rendering = OpenGL(Shading.unlit())(cup, cameras, ("rgb", "alpha", "depth", "normal"))
    names = tuple(f"{number:02d}.png" for number in range(12))
    images = {name: getattr(rendering, name) for name in ("rgb", "depth", "normal")}
    return ViewSet(cameras, rendering.alpha, names=names, **images)


@pytest.fixture(scope="session")
def drafted(photographs: ViewSet) -> FitResult:
    """A quick fit to the photographs."""
    with pytest.MonkeyPatch.context() as patch:
        _hurry(patch)
        return fit(photographs, settings=FitSettings(quality="draft"))
