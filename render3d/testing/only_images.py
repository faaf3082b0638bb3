"""A black box that shows images and tells nothing of faces, as most renderers do."""

import dataclasses
from collections.abc import Sequence
from typing import final

from torch import Generator

from render3d.cameras import Cameras
from render3d.images import Rendering
from render3d.randomness import Key
from render3d.renderers.base import Capabilities, check_call
from render3d.renderers.deferred_shading import Shaded
from render3d.renderers.shading import Shading
from render3d.scenes import Scene


@final
class OnlyImages:
    """A `Renderer` of the colours, the coverage and the depth of another one.

    Args:
        renderer: A black box of meshes.
    """

    def __init__(self, renderer: Shaded) -> None:
        self.renderer = renderer

    @property
    def capabilities(self) -> Capabilities:
        """Those of the other, less what it tells of faces."""
        return dataclasses.replace(
            self.renderer.capabilities, name="OnlyImages", outputs=("rgb", "alpha", "depth"), gradients=frozenset()
        )

    @property
    def shading(self) -> Shading:
        """That of the other: tensors in it are inputs as well."""
        return self.renderer.shading

    def __call__(
        self,
        scene: Scene,
        cameras: Cameras,
        outputs: Sequence[str] = ("rgb", "alpha"),
        *,
        generator: Generator | Key | None = None,
    ) -> Rendering:
        """Render; see `render3d.renderers.Renderer`."""
        check_call(self.capabilities, scene, cameras, outputs)
        return self.renderer(scene, cameras, outputs, generator=generator)
