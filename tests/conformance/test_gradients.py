"""Every renderer that is installed has the gradients that it claims, and refuses those that it lacks."""

import pytest

from render3d import Shading
from render3d.estimators import Smoothed, local_credit
from render3d.optional import MITSUBA
from render3d.renderers import DeferredShading, EdgeGradient, Mitsuba, OpenGL, Pyrender, Renderer
from render3d.testing.gradients import GradientContract


class TestOpenGL(GradientContract):
    """A black box: it refuses all."""

    def make_renderer(self, shading: Shading) -> Renderer:
        return OpenGL(shading)


class TestDeferredShading(GradientContract):
    """Colours alone."""

    tolerance = 1e-3

    def make_renderer(self, shading: Shading) -> Renderer:
        return DeferredShading(OpenGL(shading))


class TestSmoothedOpenGL(GradientContract):
    """The black box with its gradients by an estimator."""

    calls = 24
    shading = Shading.unlit()  # light on normals that noise tilts is another function than light on the surface

    def make_renderer(self, shading: Shading) -> Renderer:
        return Smoothed(OpenGL(shading), local_credit(64, scale=0.03))


class TestEdgesOfOpenGL(GradientContract):
    """The black box with the gradient of its edges."""

    tolerance = 0.02

    def make_renderer(self, shading: Shading) -> Renderer:
        return EdgeGradient(OpenGL(shading))


class TestEdgesOfPyrender(GradientContract):
    """The same of another black box."""

    tolerance = 0.02

    def make_renderer(self, shading: Shading) -> Renderer:
        return EdgeGradient(Pyrender(shading))


@pytest.mark.skipif(not MITSUBA.is_installed, reason="Mitsuba is not installed: pip install mitsuba")
class TestMitsuba(GradientContract):
    def make_renderer(self, shading: Shading) -> Renderer:
        return Mitsuba(shading)
