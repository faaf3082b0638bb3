"""Renderers with settings of one's own, for command lines: classes that are made without arguments."""

from collections.abc import Sequence

from torch import Generator

from render3d import Cameras, Rendering, Shading
from render3d.randomness import Key
from render3d.renderers import PyTorch3D, SoftEdges
from render3d.scenes import Scene


class SoftPyTorch3D:
    """PyTorch3D with edges that are softer than by default, as fits an image of 32 pixels, and fewer faces a pixel."""

    def __init__(self, shading: Shading | None = None) -> None:
        self._renderer = PyTorch3D(shading, SoftEdges(sigma=1e-3, faces_per_pixel=10))
        self.capabilities = self._renderer.capabilities

    def __call__(
        self,
        scene: Scene,
        cameras: Cameras,
        outputs: Sequence[str] = ("rgb", "alpha"),
        *,
        generator: Generator | Key | None = None,
    ) -> Rendering:
        """Render; see `render3d.renderers.Renderer`."""
        return self._renderer(scene, cameras, outputs, generator=generator)
