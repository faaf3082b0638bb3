"""Every renderer that is installed keeps the contract."""

import pytest

from render3d import Shading
from render3d.optional import MITSUBA
from render3d.renderers import DeferredShading, EdgeGradient, Mitsuba, OpenGL, Pyrender, Renderer
from render3d.testing.contracts import RendererContract
from render3d.testing.reference import NumpyRenderer


class TestOpenGL(RendererContract):
    def make_renderer(self, shading: Shading) -> Renderer:
        return OpenGL(shading)


class TestDeferredShading(RendererContract):
    def make_renderer(self, shading: Shading) -> Renderer:
        return DeferredShading(OpenGL(shading))


class TestEdgesOfOpenGL(RendererContract):
    def make_renderer(self, shading: Shading) -> Renderer:
        return EdgeGradient(OpenGL(shading))


class TestEdgesOfPyrender(RendererContract):
    def make_renderer(self, shading: Shading) -> Renderer:
        return EdgeGradient(Pyrender(shading))


class TestPyrender(RendererContract):
    def make_renderer(self, shading: Shading) -> Renderer:
        return Pyrender(shading)


@pytest.mark.skipif(not MITSUBA.is_installed, reason="Mitsuba is not installed: pip install mitsuba")
class TestMitsuba(RendererContract):
    def make_renderer(self, shading: Shading) -> Renderer:
        return Mitsuba(shading)


class TestNumpy(RendererContract):
    """The reference: what it shows is tested in tests/testing, and here that it keeps to the seam."""

    def make_renderer(self, shading: Shading) -> Renderer:
        return NumpyRenderer(shading)
