"""The transfer curve of sRGB: files hold encoded colours, the renderers work in linear light."""

import functools

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

NEUTRAL_GREY = (0.6, 0.6, 0.6)
"""Reflectance of what has no colour, linear light."""


def srgb_to_linear(encoded: Tensor) -> Tensor:
    """Decode sRGB values to linear light, elementwise.

    The curve of IEC 61966-2-1: ``c / 12.92`` up to 0.04045, ``((c + 0.055) / 1.055) ** 2.4`` above. Values outside 0-1
    follow the same two pieces. Differentiable everywhere.

    Args:
        encoded: Floating point, any shape; 0-1 is black to white.
    """
    # The argument of the power is clamped so that the branch not taken has a finite gradient.
    power = ((encoded.clamp(min=0.04045) + 0.055) / 1.055) ** 2.4
    return torch.where(encoded <= 0.04045, encoded / 12.92, power)


def linear_to_srgb(linear: Tensor) -> Tensor:
    """Encode linear light as sRGB values, elementwise; the inverse of `srgb_to_linear`.

    ``12.92 * c`` up to 0.0031308, ``1.055 * c ** (1 / 2.4) - 0.055`` above. Differentiable everywhere.

    Args:
        linear: Floating point, any shape; 0-1 is black to white.
    """
    power = 1.055 * linear.clamp(min=0.0031308) ** (1 / 2.4) - 0.055
    return torch.where(linear <= 0.0031308, linear * 12.92, power)


def to_bytes(values: Tensor) -> Tensor:
    """Return fractions as ``uint8`` of 255, clipped to 0-1 and rounded; what is ``uint8`` already stays."""
    return values if values.dtype == torch.uint8 else (values.float().clamp(0, 1) * 255 + 0.5).byte()


def srgb_bytes(linear: Tensor) -> Tensor:
    """Return linear light as sRGB of 8 bits, clipped to 0-1, on the CPU."""
    return to_bytes(linear_to_srgb(linear.detach().cpu().float().clamp(0, 1)))


def linear_of_bytes(encoded: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return sRGB of 8 bits as linear light, by a table: a look-up is much quicker than a power a pixel."""
    return np.take(_table_of_bytes(), encoded)


@functools.cache
def _table_of_bytes() -> NDArray[np.float32]:
    table: NDArray[np.float32] = srgb_to_linear(torch.arange(256) / 255).numpy()
    return table


def srgb_of_hex(color: str) -> Tensor:
    """Return a colour of a style sheet, ``#rrggbb``, as sRGB values ``[3]``, 0-1."""
    return torch.tensor(list(bytes.fromhex(color[1:]))) / 255
