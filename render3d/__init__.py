"""render3d: differentiable rendering in which the renderer is a part that can be swapped.

``image = renderer(scene, cameras)`` has one meaning whatever stands behind ``renderer``. Names are imported when first
used, so that ``import render3d`` is instant and ``render3d doctor`` can diagnose a broken installation.
"""

import importlib
from typing import TYPE_CHECKING, Any

from render3d._version import __version__ as __version__

if TYPE_CHECKING:
    from render3d import conventions as conventions
    from render3d import estimators as estimators
    from render3d import fitting as fitting
    from render3d import renderers as renderers
    from render3d import view_sets as view_sets
    from render3d.cameras import Cameras as Cameras
    from render3d.collation import collate as collate
    from render3d.estimators import check_gradient as check_gradient
    from render3d.estimators import differentiable as differentiable
    from render3d.estimators import expected_loss as expected_loss
    from render3d.estimators import multi_sample_bound as multi_sample_bound
    from render3d.images import Rendering as Rendering
    from render3d.randomness import Key as Key
    from render3d.renderers import DirectionalLight as DirectionalLight
    from render3d.renderers import Shading as Shading
    from render3d.scenes import Mesh as Mesh
    from render3d.scenes import Texture as Texture
    from render3d.scenes import Volume as Volume
    from render3d.view_sets import ViewSet as ViewSet
    from render3d.view_sets import read_views as read_views
    from render3d.view_sets import write_views as write_views

_MODULES = ("conventions", "errors", "estimators", "fitting", "renderers", "view_sets")
_HOMES = {
    "Cameras": "cameras",
    "DirectionalLight": "renderers",
    "Key": "randomness",
    "Mesh": "scenes",
    "Rendering": "images",
    "Shading": "renderers",
    "Texture": "scenes",
    "ViewSet": "view_sets",
    "Volume": "scenes",
    "check_gradient": "estimators",
    "collate": "collation",
    "differentiable": "estimators",
    "expected_loss": "estimators",
    "multi_sample_bound": "estimators",
    "read_views": "view_sets",
    "write_views": "view_sets",
}

__all__ = [*_MODULES, *_HOMES, "__version__"]  # noqa: PLE0604  # names are strings, put together from the two tables


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return importlib.import_module(f"render3d.{name}")
    if name in _HOMES:
        return getattr(importlib.import_module(f"render3d.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'render3d' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
