"""Renderers of another device, tested with scenes that live on the CPU."""

import dataclasses
from collections.abc import Sequence
from typing import Any, final

from torch import Generator

from render3d.cameras import Cameras
from render3d.images import Rendering
from render3d.randomness import Key
from render3d.renderers.base import Capabilities, Renderer, scene_list
from render3d.scenes import Scene


@final
@dataclasses.dataclass(frozen=True)
class OnDevice:
    """A `Renderer` that takes what lives on the CPU to ``device``, renders it there, and brings the images back.

    What lives elsewhere, or in two places, is passed on as it is. Gradients go through.

    Attributes:
        renderer: One that works on ``device``.
        device: Such as ``"cuda"``.
    """

    renderer: Renderer
    device: str

    @property
    def capabilities(self) -> Capabilities:
        """Those of the renderer."""
        return self.renderer.capabilities

    def __call__(
        self,
        scene: Scene,
        cameras: Cameras,
        outputs: Sequence[str] = ("rgb", "alpha"),
        *,
        generator: Generator | Key | None = None,
    ) -> Rendering:
        """Render; see `render3d.renderers.Renderer`. The images must come back on ``device``."""
        items = scene_list(scene)
        if any(getattr(item, "device", None) != cameras.device for item in items) or cameras.device.type != "cpu":
            return self.renderer(scene, cameras, outputs, generator=generator)
        moved = [item.to(self.device) for item in items]
        there: Any = moved if isinstance(scene, Sequence) else moved[0]
        rendering = self.renderer(there, cameras.to(self.device), outputs, generator=generator)
        assert rendering.device == moved[0].device, f"images came back on {rendering.device}"
        return rendering.to("cpu")
