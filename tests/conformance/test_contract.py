"""Every back end that is installed keeps the contract."""

from render3d import Shading
from render3d.renderers import DeferredShading, OpenGL, Pyrender, Renderer
from render3d.testing.contracts import RendererContract
from render3d.testing.reference import NumpyRenderer


class TestOpenGL(RendererContract):
    def make_renderer(self, shading: Shading) -> Renderer:
        return OpenGL(shading)


class TestDeferredShading(RendererContract):
    def make_renderer(self, shading: Shading) -> Renderer:
        return DeferredShading(OpenGL(shading))


class TestPyrender(RendererContract):
    def make_renderer(self, shading: Shading) -> Renderer:
        return Pyrender(shading)


class TestNumpy(RendererContract):
    """The reference: what it shows is tested in tests/testing, and here that it keeps to the seam."""

    def make_renderer(self, shading: Shading) -> Renderer:
        return NumpyRenderer(shading)
