"""Renderers: one seam, one file or folder a back end, each imported when first used."""

import importlib
from typing import TYPE_CHECKING, Any

from render3d.renderers.base import Capabilities as Capabilities
from render3d.renderers.base import DirectionalLight as DirectionalLight
from render3d.renderers.base import EmptyViewWarning as EmptyViewWarning
from render3d.renderers.base import Renderer as Renderer
from render3d.renderers.base import Shading as Shading

if TYPE_CHECKING:
    from render3d.renderers.opengl import OpenGL as OpenGL
    from render3d.renderers.pyrender import Pyrender as Pyrender

_BACK_ENDS = {"OpenGL": "opengl", "Pyrender": "pyrender"}

_OUTPUTS = {
    "OpenGL": ("rgb", "alpha", "depth", "normal", "face_index", "barycentric"),
    "Pyrender": ("rgb", "alpha", "depth"),
}


def __getattr__(name: str) -> Any:
    if name in _BACK_ENDS:
        return getattr(importlib.import_module(f"render3d.renderers.{_BACK_ENDS[name]}"), name)
    raise AttributeError(f"module 'render3d.renderers' has no attribute {name!r}")


def renderers_with_output(output: str) -> list[str]:
    """The names of the back ends that make ``output``."""
    return [name for name, outputs in _OUTPUTS.items() if output in outputs]
