"""What must be the same for a fit to go on, as words by name."""

import dataclasses
import hashlib
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from render3d.fitting.settings import Settings
from render3d.renderers.base import Renderer
from render3d.view_sets import ViewSet

# What else a renderer holds, lights and colours, does not change silhouettes.
_OF_SILHOUETTES = ("samples_per_pixel", "samples_per_voxel", "cull", "warp")


def identity(
    scene: str, settings: Settings, renderer: Renderer, views: ViewSet, held_out: ViewSet | None
) -> dict[str, str]:
    """Of a fit of this kind of scene; what it starts from comes on top, where that is given."""
    found = {"scene": scene}
    found |= {f"settings.{name}": str(value) for name, value in dataclasses.asdict(settings).items()}
    found |= _identity_of_renderer(renderer)
    for name, given in (("views", views), ("held_out", held_out)):
        found[name] = fingerprint_of_views(given) if given else "none"
    return found


def changes_between(was: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """What differs, for a message; nothing if it is the same."""
    return [
        f"{name} was {was.get(name, 'absent')} and is {now.get(name, 'absent')}"
        for name in dict.fromkeys([*now, *was])
        if was.get(name) != now.get(name)
    ]


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


def fingerprint_of_views(views: ViewSet) -> str:
    """As `fingerprint`, of silhouettes and cameras."""
    cameras = views.cameras
    model = f"{cameras.projection} {cameras.near} {cameras.far}"
    return fingerprint(cameras.world_to_camera, cameras.intrinsics, views.alpha, note=model)


def fingerprint(*tensors: Tensor, note: str = "") -> str:
    """Sixteen hexadecimal digits that change with any of the values."""
    digest = hashlib.sha256(note.encode())
    for tensor in tensors:
        digest.update(repr(tuple(tensor.shape)).encode())
        content = tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8)  # NumPy has no bfloat16
        digest.update(content.numpy().tobytes())
    return digest.hexdigest()[:16]
