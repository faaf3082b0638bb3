"""Renderers: one seam, one file or folder a renderer, each imported when first used."""

import importlib
from typing import TYPE_CHECKING, Any

from render3d.renderers.base import Capabilities as Capabilities
from render3d.renderers.base import DirectionalLight as DirectionalLight
from render3d.renderers.base import EmptyViewWarning as EmptyViewWarning
from render3d.renderers.base import Renderer as Renderer
from render3d.renderers.base import Shading as Shading
from render3d.renderers.deferred_shading import DeferredShading as DeferredShading
from render3d.renderers.registry import make_renderer as make_renderer
from render3d.renderers.table import KNOWN
from render3d.renderers.table import renderers_of_scene as renderers_of_scene
from render3d.renderers.table import renderers_with_output as renderers_with_output

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

_HOMES = {title: line.module for title, line in KNOWN.items()}
_HOMES |= {"SoftEdges": "pytorch3d", "SoftMask": "kaolin"}  # what renderers are made with

__all__ = [  # noqa: PLE0604  # names are strings, some of them from the table
    *_HOMES,
    "Capabilities",
    "DeferredShading",
    "DirectionalLight",
    "EmptyViewWarning",
    "Renderer",
    "Shading",
    "make_renderer",
    "renderers_of_scene",
    "renderers_with_output",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(f"render3d.renderers.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'render3d.renderers' has no attribute {name!r}")
