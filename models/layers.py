"""Small networks that the parts share."""

import math
from typing import Literal

import torch
from torch import Tensor, nn

from render3d.errors import ModelError
from render3d.spatial import Affine, ScaleShift, Transform

TransformKind = Literal["scale_shift", "affine"]


def mlp(inputs: int, hidden: int, outputs: int) -> nn.Sequential:
    """One hidden layer."""
    return nn.Sequential(nn.Linear(inputs, hidden), nn.SiLU(), nn.Linear(hidden, outputs))


class TransformHead(nn.Module):
    """From a state to a place on a canvas: always one that can be written to.

    Args:
        inputs: Size of the state.
        dims: 2 or 3.
        kind: ``"scale_shift"``, or ``"affine"`` with all 6 or 12 degrees. The paper does not say which it used.
        scale: What the scales begin with, as a share of the canvas.
    """

    def __init__(self, inputs: int, dims: int, kind: TransformKind, scale: float) -> None:
        super().__init__()
        if kind not in ("scale_shift", "affine"):
            raise ModelError(f"The transform must be 'scale_shift' or 'affine'; got {kind!r}.")
        self.dims, self.kind = dims, kind
        self.log_scale = math.log(scale)
        self.head = nn.Linear(inputs, dims * (2 if kind == "scale_shift" else dims + 1))

    def forward(self, state: Tensor) -> Transform:
        """``[..., inputs]`` to transforms ``[...]``."""
        values = self.head(state)
        shift, rest = values[..., : self.dims], values[..., self.dims :]
        if self.kind == "scale_shift":
            return ScaleShift(torch.exp(self.log_scale + 2 * torch.tanh(rest / 2)), shift)
        # The exponential of any matrix is invertible: its determinant is the exponential of the trace.
        linear = torch.linalg.matrix_exp(torch.tanh(rest).reshape(*rest.shape[:-1], self.dims, self.dims))
        return Affine(torch.cat([math.exp(self.log_scale) * linear, shift[..., None]], dim=-1))
