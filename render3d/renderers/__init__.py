"""Renderers: one seam, one file or folder a renderer, each imported when first used."""

import importlib
from typing import TYPE_CHECKING, Any

from render3d.renderers.base import Capabilities, EmptyViewWarning, Renderer
from render3d.renderers.deferred_shading import DeferredShading
from render3d.renderers.edge_gradient import EdgeGradient
from render3d.renderers.registry import make_renderer
from render3d.renderers.shading import DirectionalLight, Shading
from render3d.renderers.table import KNOWN, renderers_of_scene, renderers_with_output

if TYPE_CHECKING:
    from render3d.renderers.kaolin import Kaolin, SoftMask
    from render3d.renderers.mitsuba import Mitsuba
    from render3d.renderers.nvdiffrast import Nvdiffrast
    from render3d.renderers.opengl import OpenGL
    from render3d.renderers.pyrender import Pyrender
    from render3d.renderers.pytorch3d import PyTorch3D, SoftEdges
    from render3d.renderers.volumetric import EmissionAbsorption, LearnedProjection, MaxProjection
    from render3d.renderers.volumetric.pytorch3d_volumes import PyTorch3DVolumes

_HOMES = {title: line.module for title, line in KNOWN.items()}
_HOMES |= {"SoftEdges": "pytorch3d", "SoftMask": "kaolin"}  # what renderers are made with

__all__ = [
    "Capabilities",
    "DeferredShading",
    "DirectionalLight",
    "EdgeGradient",
    "EmissionAbsorption",
    "EmptyViewWarning",
    "Kaolin",
    "LearnedProjection",
    "MaxProjection",
    "Mitsuba",
    "Nvdiffrast",
    "OpenGL",
    "PyTorch3D",
    "PyTorch3DVolumes",
    "Pyrender",
    "Renderer",
    "Shading",
    "SoftEdges",
    "SoftMask",
    "make_renderer",
    "renderers_of_scene",
    "renderers_with_output",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(f"render3d.renderers.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'render3d.renderers' has no attribute {name!r}")
