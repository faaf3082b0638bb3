"""The transfer curve of sRGB: files hold encoded colours, the renderers work in linear light."""

import torch
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
