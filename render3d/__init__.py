"""render3d: differentiable rendering in which the renderer is a part that can be swapped.

``image = renderer(scene, cameras)`` has one meaning whatever stands behind ``renderer``. Names are imported when first
used, so that ``import render3d`` is instant and ``render3d doctor`` can diagnose a broken installation.
"""

from typing import TYPE_CHECKING

from render3d._version import __version__ as __version__
from render3d.lazy import lazy

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

_HOMES = {
    "_version": ("__version__",),
    "cameras": ("Cameras",),
    "collation": ("collate",),
    "estimators": ("check_gradient", "differentiable", "expected_loss", "multi_sample_bound"),
    "images": ("Rendering",),
    "randomness": ("Key",),
    "renderers": ("DirectionalLight", "Shading"),
    "scenes": ("Mesh", "Texture", "Volume"),
    "view_sets": ("ViewSet", "read_views", "write_views"),
}

__getattr__, __dir__, __all__ = lazy(
    __name__, _HOMES, ("conventions", "errors", "estimators", "fitting", "renderers", "view_sets")
)
