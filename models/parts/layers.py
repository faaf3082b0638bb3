"""Small networks that the parts share."""

from collections.abc import Sequence
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
        scales: What the scales begin with, as shares of the canvas, in the order (x, y) or (x, y, z).
        kind: ``"scale_shift"``, or ``"affine"`` with all 6 or 12 degrees. The paper does not say which it used.
    """

    def __init__(self, inputs: int, scales: Sequence[float], kind: TransformKind) -> None:
        super().__init__()
        if kind not in ("scale_shift", "affine"):
            raise ModelError(f"The transform must be 'scale_shift' or 'affine'; got {kind!r}.")
        self.dims, self.kind = len(scales), kind
        self.log_scales: Tensor
        self.register_buffer("log_scales", torch.tensor(scales).log(), persistent=False)
        self.head = nn.Linear(inputs, self.dims * (2 if kind == "scale_shift" else self.dims + 1))

    def forward(self, state: Tensor) -> Transform:
        """``[..., inputs]`` to transforms ``[...]``."""
        values = self.head(state)
        shift, rest = values[..., : self.dims], values[..., self.dims :]
        if self.kind == "scale_shift":
            return ScaleShift(torch.exp(self.log_scales + 2 * torch.tanh(rest / 2)), shift)
        # The exponential of any matrix is invertible: its determinant is the exponential of the trace.
        linear = torch.linalg.matrix_exp(torch.tanh(rest).reshape(*rest.shape[:-1], self.dims, self.dims))
        return Affine(torch.cat([self.log_scales.exp()[:, None] * linear, shift[..., None]], dim=-1))


def cell_for_cell(patch: Sequence[int], canvas: Sequence[int]) -> list[float]:
    """The scales, x first, at which a patch has the cells of its canvas, but no more than all of it. Sizes: z first."""
    return [min(1.0, part / whole) for part, whole in zip(reversed(patch), reversed(canvas), strict=True)]
