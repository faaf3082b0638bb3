"""A renderer of meshes that the package does not know: it inherits nothing, and keeps the seam."""

import dataclasses
from collections.abc import Sequence

from torch import Generator

from render3d import Cameras, Rendering, Shading
from render3d.randomness import Key
from render3d.renderers import OpenGL
from render3d.scenes import Scene


class Mine:
    """OpenGL by another name."""

    def __init__(self, shading: Shading | None = None) -> None:
        self.shading = shading or Shading()
        self._inner = OpenGL(shading)
        self.capabilities = dataclasses.replace(self._inner.capabilities, name="Mine", licence="WTFPL")

    def __call__(
        self,
        scene: Scene,
        cameras: Cameras,
        outputs: Sequence[str] = ("rgb", "alpha"),
        *,
        generator: Generator | Key | None = None,
    ) -> Rendering:
        """Render; see `render3d.renderers.Renderer`."""
        return self._inner(scene, cameras, outputs)
