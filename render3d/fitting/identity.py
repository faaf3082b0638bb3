"""What must be the same for a fit to go on, as words by name."""

from collections.abc import Mapping
from typing import Any

from torch import nn

from render3d.renderers.base import Renderer
from render3d.runs.identity import fingerprint
from render3d.settings import facts_of
from render3d.view_sets import ViewSet

# What else a renderer holds, lights and colours, does not change silhouettes.
_OF_SILHOUETTES = ("samples_per_pixel", "samples_per_voxel", "cull", "warp")


def identity(
    scene: str, settings: Mapping[str, Any], renderer: Renderer, views: ViewSet, held_out: ViewSet | None
) -> dict[str, str]:
    """Of a fit of this kind of scene; what it starts from comes on top, where that is given."""
    found = {"scene": scene} | facts_of(settings, "settings.") | _identity_of_renderer(renderer)
    return found | fingerprints_of(views=views, held_out=held_out)


def _identity_of_renderer(renderer: Renderer) -> dict[str, str]:
    found = {"renderer": renderer.capabilities.name}
    holder = getattr(renderer, "shading", renderer)
    prefix = "renderer" if holder is renderer else "shading"
    for name in _OF_SILHOUETTES:
        value = getattr(holder, name, None)
        if isinstance(value, int | float | str):  # 1 and 1.0 are the same
            found[f"{prefix}.{name}"] = value if isinstance(value, str) else f"{value:g}"
    if isinstance(renderer, nn.Module):
        found["renderer.parameters"] = fingerprint(*renderer.state_dict().values())
    return found


def fingerprints_of(**views: ViewSet | None) -> dict[str, str]:
    """Those of view sets by name, as `fingerprint_of_views`; ``"none"`` for one that is not there."""
    return {name: fingerprint_of_views(given) if given else "none" for name, given in views.items()}


def fingerprint_of_views(views: ViewSet) -> str:
    """As `fingerprint`, of images and cameras."""
    cameras = views.cameras
    model = f"{cameras.projection} {cameras.near} {cameras.far}"
    return fingerprint(cameras.world_to_camera, cameras.intrinsics, *views.images.values(), note=model)
