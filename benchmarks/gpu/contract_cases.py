"""Test the package's contracts with tensors on the device that ``RENDER3D_BENCHMARK_DEVICE`` names.

Pytest runs it, started by `benchmarks.gpu.contract`. What a renderer is known to do otherwise is as in
``tests/conformance``.
"""

import os

import pytest

from render3d import Shading
from render3d.errors import CapabilityError
from render3d.estimators import Smoothed, local_credit
from render3d.renderers import DeferredShading, Kaolin, Nvdiffrast, OpenGL, PyTorch3D, Renderer, SoftEdges
from render3d.testing.contracts import PROJECTIONS, Projection, RendererContract
from render3d.testing.devices import OnDevice
from render3d.testing.gradients import GradientContract
from render3d.testing.reference import NumpyRenderer
from render3d.testing.scenes import asymmetric_mesh, uneven_cameras

_DEVICE = os.environ.get("RENDER3D_BENCHMARK_DEVICE", "cpu")


def _on_device(renderer: Renderer) -> Renderer:
    """Return the renderer for scenes on the CPU, rendered on the device."""
    return OnDevice(renderer, _DEVICE)


class TestOpenGL(RendererContract):
    """OpenGL."""

    def make_renderer(self, shading: Shading) -> Renderer:
        """Return the renderer under test."""
        return _on_device(OpenGL(shading))


class TestDeferredShading(RendererContract):
    """OpenGL's surfaces, shaded by torch."""

    def make_renderer(self, shading: Shading) -> Renderer:
        """Return the renderer under test."""
        return _on_device(DeferredShading(OpenGL(shading)))


class TestNvdiffrast(RendererContract):
    """Nvdiffrast, which blends edges, inside the object as well."""

    def make_renderer(self, shading: Shading) -> Renderer:
        """Return the renderer under test."""
        return _on_device(Nvdiffrast(shading))

    @pytest.mark.parametrize("projection", PROJECTIONS)
    @pytest.mark.parametrize("cull", ["back", "front"])
    def test_culling(self, projection: Projection, cull: str) -> None:
        """Compare colours with the tolerance that blended edges need."""
        self.rgb = 12 / 255
        super().test_culling(projection, cull)  # type: ignore[arg-type]

    def test_supersampling_averages_colour_and_coverage(self) -> None:
        """Check that blended samples come closer to many samples than as many sharp ones do."""
        mesh, cameras = asymmetric_mesh(), uneven_cameras("perspective")[:1]
        exact = NumpyRenderer(Shading(samples_per_pixel=64))(mesh, cameras).alpha
        for samples, limit in ((1, 0.5), (4, 0.7)):
            shading = Shading(samples_per_pixel=samples)
            sharp = NumpyRenderer(shading)(mesh, cameras).alpha
            blended = self.make_renderer(shading)(mesh, cameras).alpha
            assert (blended - exact).abs().mean() < limit * (sharp - exact).abs().mean()


class TestKaolin(RendererContract):
    """Kaolin with sharp silhouettes; it refuses faces that near and far cut."""

    def make_renderer(self, shading: Shading) -> Renderer:
        """Return the renderer under test."""
        return _on_device(Kaolin(shading, soft=None))

    @pytest.mark.parametrize("projection", PROJECTIONS)
    def test_near_and_far_cut_the_object(self, projection: Projection) -> None:
        """Check that cut faces are refused."""
        with pytest.raises(CapabilityError, match="faces reach through near"):
            super().test_near_and_far_cut_the_object(projection)

    def test_faces_that_reach_behind_the_camera(self) -> None:
        """Check that faces behind the camera are refused."""
        with pytest.raises(CapabilityError, match="faces reach through near"):
            super().test_faces_that_reach_behind_the_camera()


class TestPyTorch3D(RendererContract):
    """PyTorch3D with hard edges."""

    def make_renderer(self, shading: Shading) -> Renderer:
        """Return the renderer under test."""
        return _on_device(PyTorch3D(shading, soft=None))


class TestGradientsOfDeferredShading(GradientContract):
    """Gradients of colours and lights."""

    tolerance = 1e-3

    def make_renderer(self, shading: Shading) -> Renderer:
        """Return the renderer under test."""
        return _on_device(DeferredShading(OpenGL(shading)))


class TestGradientsOfSmoothedOpenGL(GradientContract):
    """Gradients by an estimator."""

    calls = 24
    shading = Shading.unlit()

    def make_renderer(self, shading: Shading) -> Renderer:
        """Return the renderer under test."""
        return _on_device(Smoothed(OpenGL(shading), local_credit(64, scale=0.03)))


class TestGradientsOfPyTorch3D(GradientContract):
    """Gradients through soft edges about a pixel wide, which the tolerance allows for."""

    tolerance = 0.3

    def make_renderer(self, shading: Shading) -> Renderer:
        """Return the renderer under test."""
        return _on_device(PyTorch3D(shading, SoftEdges(sigma=1e-3, faces_per_pixel=30)))
