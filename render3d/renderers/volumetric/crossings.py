"""What rays meet on planes across a grid, and what is absorbed there."""

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from render3d.renderers.volumetric.planes import Planes


class Crossings(NamedTuple):
    """What P rays meet on K planes.

    ``values`` are ``[K, C, P]``: the density per unit length, which falls to zero outside the grid, then colours, those
    of the border where density falls. ``first`` and ``step`` ``[P]`` are distances along the ray, in scene units: of
    place 0, and of one voxel. ``along`` ``[P]`` is depth (camera z) per distance. ``visible`` ``[K, P]`` is the share
    of each plane's part that lies between near and far; None where that is all.
    """

    values: Tensor
    planes: Planes
    first: Tensor
    step: Tensor
    along: Tensor
    visible: Tensor | None

    @property
    def density(self) -> Tensor:
        """``[K, P]``."""
        # Of a single channel, a view whose backward pass is one as well: that of indexing fills a gradient.
        return self.values.flatten(0, 1) if self.values.shape[1] == 1 else self.values[:, 0]

    def optical_depth(self) -> Tensor:
        """``[P]``: the integral of the density."""
        density = self.density if self.visible is None else self.density * self.visible
        return density.sum(0) * (self.planes.share * self.step)

    def absorb(self) -> "Absorbed":
        """What the planes take from the light on its way to the camera."""
        thickness = self.planes.share * self.step
        if self.visible is not None:
            thickness = thickness * self.visible
        found: tuple[Tensor, Tensor, Tensor] = _Absorption.apply(self.values, thickness, self.planes.descending)  # type: ignore[no-untyped-call]
        return Absorbed(*found)

    def mean_depth(self, absorbed: "Absorbed") -> Tensor:
        """``[P]``: camera z at every crossing, weighted by what is absorbed there, and summed."""
        places = self.planes.place @ absorbed.weights
        return (self.first * absorbed.alpha + self.step * places) * self.along


class Absorbed(NamedTuple):
    """Shares of the light: of all planes ``[P]``, of each ``[K, P]``, and colours weighted by those ``[C - 1, P]``."""

    alpha: Tensor
    weights: Tensor
    color: Tensor


class _Absorption(torch.autograd.Function):
    """From densities and colours ``[K, C, P]``, and thicknesses ``[P]`` or ``[K, P]``, to `Absorbed`.

    With optical depths d, ``T_k = exp(-sum_{j <= k} d_j)`` is left behind plane k, so that it absorbs
    ``w_k = T_{k-1} - T_k``. ``dw_k / dd_j`` is ``-w_k`` for planes behind j and ``T_j`` for j itself: the backward pass
    is one cumulative sum, and fills one gradient, where autograd would take several passes over memory more.
    """

    @staticmethod
    def forward(ctx: Any, values: Tensor, thickness: Tensor, descending: bool) -> tuple[Tensor, Tensor, Tensor]:
        depth = values[:, 0] * thickness
        left = torch.exp(-_turned(depth, descending).cumsum(0))
        weights = left.neg()
        weights[1:] += left[:-1]
        weights[0] += 1
        alpha, weights, left = 1 - left[-1], _turned(weights, descending), _turned(left, descending)
        color = (weights[:, None] * values[:, 1:]).sum(0)
        ctx.save_for_backward(values, thickness, weights, left)
        ctx.descending = descending
        ctx.set_materialize_grads(False)
        return alpha, weights, color

    @staticmethod
    @once_differentiable
    def backward(
        ctx: Any, alpha: Tensor | None, weights: Tensor | None, color: Tensor | None
    ) -> tuple[Tensor, Tensor | None, None]:
        values, thickness, absorbed, left = ctx.saved_tensors
        grad = torch.empty_like(values)
        by_weight = torch.zeros_like(left) if weights is None else weights.clone()
        if alpha is not None:  # the sum of all weights
            by_weight += alpha
        color = left.new_zeros(grad.shape[1:])[1:] if color is None else color
        for channel, own in zip(values.unbind(1)[1:], color, strict=True):
            by_weight.addcmul_(channel, own)
        torch.mul(absorbed[:, None], color, out=grad[:, 1:])
        lost = _turned(_turned(absorbed * by_weight, ctx.descending).cumsum(0), ctx.descending)
        by_depth = torch.addcmul(lost - lost[0 if ctx.descending else -1], by_weight, left)
        torch.mul(by_depth, thickness, out=grad[:, 0])
        if not ctx.needs_input_grad[1]:
            return grad, None, None
        by_thickness = by_depth * values[:, 0]
        return grad, by_thickness if thickness.dim() > 1 else by_thickness.sum(0), None


def _turned(planes: Tensor, descending: bool) -> Tensor:
    return planes.flip(0) if descending else planes
