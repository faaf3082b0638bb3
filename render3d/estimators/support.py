"""Support: which pixels may be credited to which vertex."""

import abc
import dataclasses
import warnings
from typing import final

import torch
from torch import Tensor

from render3d.estimators.noisy import Noisy
from render3d.scenes.topology import neighbours

# The rasteriser rounds vertices to a fixed grid, of 1/16 pixel or finer.
_ROUNDING = 1 / 16
_EXACT = 2**16  # pixels of an image whose sums still fit float32


class NotLocalWarning(UserWarning):
    """A renderer whose pixels may depend on any vertex: credit goes to all of them."""


class Support(abc.ABC):
    """Which pixels may be credited to which vertex. The seam for supports of one's own."""

    @abc.abstractmethod
    def collect(self, advantages: Tensor, noisy: Noisy) -> Tensor:
        """Sum the advantages ``[K, *batch, views, H, W]`` of each vertex's pixels: ``[K, *batch, views, V or 1]``."""


@final
@dataclasses.dataclass(frozen=True)
class Everywhere(Support):
    """Every pixel of a view is credited to every vertex: right for any renderer, and noisy for many vertices."""

    def collect(self, advantages: Tensor, noisy: Noisy) -> Tensor:
        """The credit ``[K, *batch, views, 1]`` of all vertices, from ``[K, *batch, views, H, W]`` of the pixels."""
        return advantages.sum((-1, -2))[..., None]


@final
@dataclasses.dataclass(frozen=True, kw_only=True)
class Rings(Support):
    """A pixel is credited to the vertices near it: those whose ring of faces may have covered it in any sample.

    For each vertex and view the support B is a box of pixels: that of its ring, over all K samples together. Let p be
    a pixel outside. No face of the ring covers it in any sample, so ``l_p(x_k) = h_k`` is free of the vertex's noise
    ``d_k``; and as B depends on the samples of the vertex through minima and maxima, ``E[1(p outside B) d_k]``, given
    all other noise, is one number c for all k. What is left out is then, in expectation,
    ``sum_k (h_k - mean_j h_j) c = 0``: with a leave-one-out baseline the gradient stays exactly unbiased, although B
    is made of the same samples. For antithetic pairs, c itself is zero. (A box for each sample alone, or that of the
    mesh without noise, is biased by half and more.)

    Faces that reach behind the near plane have no box: their vertices are credited with the whole image.

    Source: Deliot, Heitz and Belcour, "Transforming a non-differentiable rasterizer into a differentiable one with
    stochastic gradient estimation", I3D 2024, arXiv 2404.09758, published first that a pixel need be credited only to
    the few parameters that contribute to it. They list these by ID buffers, in two renders a step. New here are boxes
    over all K samples, which keep the gradient unbiased, and their sums by summed-area tables.

    Attributes:
        rings: How many rings of faces change when a vertex moves. By default what the renderer says of itself
            (`render3d.renderers.Capabilities`): one, or two where smooth normals are lit. Where it says that any pixel
            may change, credit goes to all vertices, with a `NotLocalWarning`.
        margin: Pixels to grow the boxes by, for a loss that looks at neighbouring pixels or a renderer that blurs.
    """

    rings: int | None = None
    margin: float = 0.0

    def __post_init__(self) -> None:
        if self.rings is not None and self.rings < 1:
            raise ValueError(f"rings must be at least 1; got {self.rings}.")
        if not self.margin >= 0:
            raise ValueError(f"margin must be zero or more pixels; got {self.margin}.")

    def collect(self, advantages: Tensor, noisy: Noisy) -> Tensor:
        """The credit ``[K, *batch, views, V]``, from ``[K, *batch, views, H, W]`` of the pixels."""
        rings = self.rings or noisy.reach
        if rings is None:
            warnings.warn(
                f"{noisy.renderer_name} does not say that its pixels depend on near vertices only, so all are credited "
                "to all. Say Rings(rings=...) if they do, or use leave_one_out.",
                NotLocalWarning,
                stacklevel=2,
            )
            return Everywhere().collect(advantages, noisy)
        return box_sums(advantages, *self.boxes(noisy, rings))

    def boxes(self, noisy: Noisy, rings: int) -> tuple[Tensor, Tensor]:
        """Corners ``[*batch, views, V, 2]`` (x, y) int64 of each vertex's box: first pixel, and one past the last."""
        bounds = noisy.bounds
        table, _ = neighbours(noisy.faces, bounds.shape[-2])
        for _ in range(rings):
            bounds = bounds.index_select(-2, table.T.reshape(-1)).unflatten(-2, table.T.shape).amin(-3)  # type: ignore[no-untyped-call]
        low, high = (bounds - (self.margin + _ROUNDING)).floor().chunk(2, dim=-1)
        height, width = noisy.image_size
        size = low.new_tensor([width, height])
        low, high = torch.minimum(low.clamp(min=0), size), torch.minimum((-high).clamp(min=0), size)
        return low.long(), high.long()


def box_sums(images: Tensor, low: Tensor, high: Tensor) -> Tensor:
    """Sums ``[K, *batch, views, V]`` of images ``[K, *batch, views, H, W]`` over boxes ``[*batch, views, V, 2]``.

    By summed-area tables (Crow, "Summed-area tables for texture mapping", 1984).
    """
    *leading, height, width = images.shape
    exact = images if height * width <= _EXACT else images.double()
    table = exact.new_zeros(*leading, height + 1, width + 1)
    torch.cumsum(exact, -1, out=table[..., 1:, 1:])
    for row in range(1, height):  # a third of the time of cumsum, which goes down columns one by one
        table[..., row + 1, :] += table[..., row, :]
    left, top = low.unbind(-1)
    right, bottom = high.unbind(-1)
    corners = torch.cat(
        [y * (width + 1) + x for y, x in ((bottom, right), (top, left), (bottom, left), (top, right))], dim=-1
    )
    values = table.flatten(-2).gather(-1, corners.expand(*leading, -1))
    outer, inner, side, above = values.chunk(4, dim=-1)
    return outer.add_(inner).sub_(side).sub_(above).to(images.dtype)
