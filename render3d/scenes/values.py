"""Which numbers a mesh may hold: finite, and not absurdly far from what they mean."""

from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor

from render3d.color import NEUTRAL_GREY
from render3d.errors import MeshError
from render3d.scenes.topology import remembered

LARGEST_SIDE = 16384
"""Pixels along a side of a texture: what OpenGL takes on nearly every machine."""

FARTHEST_UV = 2.0**20
"""The largest texture coordinate: beyond, float32 keeps less than an eighth of an image."""


class _Limit(NamedTuple):
    """The largest magnitude of a tensor of a mesh, what such a tensor holds, and what to do about others."""

    largest: float
    meaning: str
    advice: str


_REFLECTANCE = _Limit(
    10.0,  # noise and optimisers leave 0-1 by little; colours of 0-255 do by much
    "reflectances from 0 to 1 in linear light",
    "Divide colours of 0-255 by 255 and decode them by render3d.color.srgb_to_linear. mesh.repair() clips them and "
    "makes those grey that are not finite.",
)
_LIMITS = {
    "vertices": _Limit(
        1e10,  # beyond, normals overflow
        "positions within 1e10 of the origin",
        "mesh.check() counts those that are not finite, and mesh.repair() drops their faces; mesh.normalized() brings "
        "the others near.",
    ),
    "colors": _REFLECTANCE,
    "face_colors": _REFLECTANCE,
    "texture.image": _REFLECTANCE,
    "texture.uv": _Limit(
        FARTHEST_UV,
        "texture coordinates within 2**20 of 0",
        "Images repeat: subtract whole numbers. mesh.repair() sets such coordinates to 0.",
    ),
}


def check_inputs(inputs: Mapping[str, Tensor], where: str) -> None:
    """Raise `MeshError` if a tensor of a mesh, by its name in `Mesh.inputs`, is not finite or absurdly large."""
    found = [_largest(tensor) if "texture" in name else _measure(tensor) for name, tensor in inputs.items()]
    for name, largest in zip(inputs, torch.stack(found).tolist(), strict=True):
        limit = _LIMITS[name]
        if not largest <= limit.largest:
            must, got = "finite", "NaN or infinite values"
            if largest < float("inf"):
                must, got = limit.meaning, f"magnitudes up to {largest:.4g}"
            raise MeshError(f"{name} must be {must}; got {got}{where}. {limit.advice}")


def _measure(tensor: Tensor) -> Tensor:
    """The largest magnitude, float64; NaN if there is any. One pass, cheaper than testing each number."""
    if tensor.numel() == 0:
        return tensor.new_zeros((), dtype=torch.float64)
    low, high = torch.aminmax(tensor.detach())
    return torch.maximum(-low, high).double()


_largest = remembered(_measure)


def bad_rows(name: str, tensor: Tensor) -> tuple[int, int]:
    """Return how many rows of a tensor of a mesh are not finite, and how many others are beyond its limit."""
    rows = tensor.detach().reshape(-1, tensor.shape[-1])
    finite = rows.isfinite().all(-1)
    far = (rows.abs() > _LIMITS[name].largest).any(-1)
    return int((~finite).sum()), int((finite & far).sum())


def mended_colors(colors: Tensor) -> Tensor:
    """Return reflectances ``[..., 3]`` clipped to 0-1, and neutral grey where one of the three is not finite."""
    grey = colors.new_tensor(NEUTRAL_GREY)
    return torch.where(colors.isfinite().all(-1, keepdim=True), colors, grey).clamp(0, 1)


def mended_uv(uv: Tensor) -> Tensor:
    """Return texture coordinates ``[..., 2]``, 0 where they are not finite or absurdly large."""
    return torch.where((uv.abs() <= FARTHEST_UV).all(-1, keepdim=True), uv, 0)


def shrink(image: Tensor, factors: tuple[int, int]) -> Tensor:
    """Return an image ``[H, W, 3]`` at a whole fraction of its height and of its width, averaged over areas."""
    if factors == (1, 1):
        return image
    size = max(1, image.shape[0] // factors[0]), max(1, image.shape[1] // factors[1])
    return torch.nn.functional.adaptive_avg_pool2d(image.movedim(-1, 0), size).movedim(0, -1).contiguous()


def shrunk_to(image: Tensor, largest: int = LARGEST_SIDE) -> Tensor:
    """Return an image ``[H, W, 3]`` shrunk by the least whole factors with which neither side is above ``largest``."""
    height, width, _ = image.shape
    return shrink(image, (-(-height // largest), -(-width // largest)))
