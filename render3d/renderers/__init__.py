"""Renderers: one seam, one file or folder a back end, each imported when first used."""

import importlib
from typing import TYPE_CHECKING, Any, NamedTuple

from render3d.renderers.base import Capabilities as Capabilities
from render3d.renderers.base import DirectionalLight as DirectionalLight
from render3d.renderers.base import EmptyViewWarning as EmptyViewWarning
from render3d.renderers.base import Renderer as Renderer
from render3d.renderers.base import Shading as Shading
from render3d.renderers.deferred_shading import DeferredShading as DeferredShading
from render3d.scenes import Mesh, Volume

if TYPE_CHECKING:
    from render3d.renderers.kaolin import Kaolin as Kaolin
    from render3d.renderers.kaolin import SoftMask as SoftMask
    from render3d.renderers.mitsuba import Mitsuba as Mitsuba
    from render3d.renderers.nvdiffrast import Nvdiffrast as Nvdiffrast
    from render3d.renderers.opengl import OpenGL as OpenGL
    from render3d.renderers.pyrender import Pyrender as Pyrender
    from render3d.renderers.pytorch3d import PyTorch3D as PyTorch3D
    from render3d.renderers.pytorch3d import SoftEdges as SoftEdges
    from render3d.renderers.volumetric import EmissionAbsorption as EmissionAbsorption
    from render3d.renderers.volumetric import LearnedProjection as LearnedProjection
    from render3d.renderers.volumetric import MaxProjection as MaxProjection
    from render3d.renderers.volumetric.pytorch3d_volumes import PyTorch3DVolumes as PyTorch3DVolumes


class _BackEnd(NamedTuple):
    """Where a back end lives, and what must be known of it before it is imported."""

    module: str
    scene: type
    outputs: tuple[str, ...]


_ALL = ("rgb", "alpha", "depth", "normal", "face_index", "barycentric")

_BACK_ENDS = {
    "OpenGL": _BackEnd("opengl", Mesh, _ALL),
    "Pyrender": _BackEnd("pyrender", Mesh, ("rgb", "alpha", "depth")),
    "Kaolin": _BackEnd("kaolin", Mesh, _ALL),
    "Nvdiffrast": _BackEnd("nvdiffrast", Mesh, _ALL),
    "PyTorch3D": _BackEnd("pytorch3d", Mesh, _ALL),
    "Mitsuba": _BackEnd("mitsuba", Mesh, _ALL),
    "EmissionAbsorption": _BackEnd("volumetric", Volume, ("rgb", "alpha", "depth")),
    "MaxProjection": _BackEnd("volumetric", Volume, ("alpha",)),
    "LearnedProjection": _BackEnd("volumetric", Volume, ("rgb", "alpha", "depth")),
    "PyTorch3DVolumes": _BackEnd("volumetric.pytorch3d_volumes", Volume, ("rgb", "alpha", "depth")),
}

_SETTINGS = {"SoftEdges": "pytorch3d", "SoftMask": "kaolin"}  # what back ends are made with, and the module


def __getattr__(name: str) -> Any:
    modules = {name: back_end.module for name, back_end in _BACK_ENDS.items()} | _SETTINGS
    if name in modules:
        return getattr(importlib.import_module(f"render3d.renderers.{modules[name]}"), name)
    raise AttributeError(f"module 'render3d.renderers' has no attribute {name!r}")


def renderers_with_output(output: str) -> list[str]:
    """The names of the back ends that make ``output``."""
    return [name for name, back_end in _BACK_ENDS.items() if output in back_end.outputs]


def renderers_of_scene(kind: type) -> list[str]:
    """The names of the back ends that render scenes of this kind, `Mesh` or `Volume`."""
    return [name for name, back_end in _BACK_ENDS.items() if back_end.scene is kind]
