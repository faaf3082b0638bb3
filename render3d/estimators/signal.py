"""Signal: how the losses of the samples become credit, and credit a gradient."""

import abc
import dataclasses
import math
from typing import ClassVar, final

import torch
from torch import Tensor

from render3d.estimators.noise import Draw
from render3d.renderers.base import Renderer
from render3d.scenes.topology import neighbours


class Signal(abc.ABC):
    """How losses become a gradient. The seam for signals of one's own: `advantages` is all that one must have.

    Attributes:
        minimum_samples: The fewest samples that it is defined for.
        paired: Whether it is for antithetic noise; see `render3d.estimators.noise.Noise`.
    """

    minimum_samples: ClassVar[int] = 2
    paired: ClassVar[bool] = False

    @property
    def control(self) -> Renderer | None:
        """A renderer with gradients that sees the same noisy meshes and explains a part of the losses, or None.

        The losses that `advantages` gets are then what is left unexplained, and the other renderer's gradient is added.
        """
        return None

    @abc.abstractmethod
    def advantages(self, losses: Tensor) -> Tensor:
        """Credit of each sample and pixel, ``[K, ...]`` as the losses; a linear map of them."""

    def gradient(self, credit: Tensor, draw: Draw, faces: Tensor) -> Tensor:
        """The gradient in the coordinates of the noise, ``[*batch, views, V, d]``: ``1/K sum_k credit_k score_k``.

        Args:
            credit: ``[K, *batch, views, V or 1]``: sums of advantages over the pixels of each vertex, or of all.
            draw: The noise.
            faces: ``[F, 3]``.
        """
        return score_product(credit, draw.score)


@final
@dataclasses.dataclass(frozen=True)
class Plain(Signal):
    """The losses themselves: REINFORCE without a baseline (Williams 1992). Unbiased, and far noisier than the rest."""

    minimum_samples: ClassVar[int] = 1

    def advantages(self, losses: Tensor) -> Tensor:
        """See `Signal`."""
        return losses


@final
@dataclasses.dataclass(frozen=True)
class LeaveOneOut(Signal):
    """Each loss less the mean of the K - 1 others (supplement A.5; Mnih and Rezende 2016; Kool et al. 2019).

    The others are independent of a sample's own noise, so subtracting them leaves the expectation as it is. As
    ``l_k - mean of the others = K / (K - 1) * (l_k - mean of all)``, one pass does. On a function that is linear in D
    parameters, the estimator's relative variance ``tr Cov / |g|^2`` is ``(D + 1) / (K - 1)``.
    """

    def advantages(self, losses: Tensor) -> Tensor:
        """See `Signal`."""
        samples = losses.shape[0]
        return losses.sub(losses.mean(0, keepdim=True)).mul_(samples / (samples - 1))


@final
@dataclasses.dataclass(frozen=True)
class ControlVariate(Signal):
    """Leave-one-out on what a differentiable renderer leaves unexplained, plus the gradient of that renderer.

    With f the loss through the black box and c that through the other renderer, on the same noisy meshes,
    ``grad E f = E grad c(x + d) + E[(f - c) score(d)]``: exact whatever c is, as long as it is continuous and its
    autograd gradient is its own, and with the variance of ``f - c`` in the place of that of f (Grathwohl et al.,
    "Backpropagation through the void", 2018; Gu et al., "MuProp", 2016). Two renders a sample.

    What c leaves unexplained may lie as far from a vertex as c blurs: use `Everywhere`, or `Rings` with that as margin.

    Attributes:
        renderer: One with gradients. Vertices and cameras get them; colours are the black box's alone.

    Raises:
        ValueError: A black box.
    """

    renderer: Renderer

    def __post_init__(self) -> None:
        able = self.renderer.capabilities
        if not able.gradients:
            raise ValueError(
                f"A control variate must be a renderer with gradients, and {able.name} has none. Use leave_one_out."
            )

    @property
    def control(self) -> Renderer:
        """See `Signal`."""
        return self.renderer

    def advantages(self, losses: Tensor) -> Tensor:
        """See `Signal`; the losses are what is left unexplained."""
        return LeaveOneOut().advantages(losses)


@final
@dataclasses.dataclass(frozen=True)
class Paired(Signal):
    """Half of each loss less that of its mirror image, for `render3d.estimators.noise.Antithetic` noise.

    ``1/K sum_k l_k score_k`` over both of a pair is ``(l+ - l-) score+``: any baseline that the pair shares cancels.
    """

    paired: ClassVar[bool] = True

    def advantages(self, losses: Tensor) -> Tensor:
        """See `Signal`."""
        half = losses.shape[0] // 2
        return (losses - losses.roll(half, 0)) / 2


@final
@dataclasses.dataclass(frozen=True, kw_only=True)
class Regression(Signal):
    """Least squares of a vertex's credit on the noise of the vertex and of its neighbours.

    The slope of the best linear fit of ``f(x + d)`` in normal noise is the gradient of ``E f(x + d)`` (Stein), and
    fitting the neighbours too removes what they did (Berahas et al., "A theoretical and empirical comparison of
    gradient approximations in derivative-free optimization", 2022, for linear interpolation). With as many samples as
    coordinates, at least, and a bias of order 1/K where the loss is not linear over the noise. The noise of further
    vertices must be independent of that of the neighbours, or what it did would be put down to them.

    Attributes:
        ridge: Times K, it is added to the diagonal of the normal equations: a share by which the gradient shrinks.
    """

    ridge: float = 0.05

    minimum_samples: ClassVar[int] = 4

    def __post_init__(self) -> None:
        if not (self.ridge >= 0 and math.isfinite(self.ridge)):
            raise ValueError(f"ridge must be zero or positive; got {self.ridge}.")

    def advantages(self, losses: Tensor) -> Tensor:
        """See `Signal`."""
        return losses - losses.mean(0, keepdim=True)

    def gradient(self, credit: Tensor, draw: Draw, faces: Tensor) -> Tensor:
        """See `Signal`.

        Raises:
            ValueError: Too few samples.
        """
        coordinates = draw.coordinates - draw.coordinates.mean(0, keepdim=True)
        samples, vertices, dimensions = coordinates.shape[0], *coordinates.shape[-2:]
        table, real = neighbours(faces, vertices)  # [V, R], each vertex itself first
        around = coordinates[..., table, :] * real[..., None]  # [K, *batch, W, V, R, d]
        around = around.flatten(-2).movedim(0, -2)  # [*batch, W, V, K, R * d]
        needed = real.sum(-1).max() * dimensions
        if samples <= needed and self.ridge == 0:
            raise ValueError(
                f"samples must be more than the {int(needed)} coordinates round a vertex for a regression without "
                f"ridge; got {samples}. Use more samples, noise along normals, a ridge, or leave_one_out."
            )
        normal = around.mT @ around
        diagonal = torch.where(real, self.ridge * samples, 1.0).repeat_interleave(dimensions, -1)  # 1: absent ones
        normal = normal + torch.diag_embed(diagonal)
        sums = (
            credit.expand(*credit.shape[:-1], vertices).movedim(0, -1)[..., None, :] @ around
        )  # [*batch, w, V, 1, R * d]
        solved: Tensor = torch.linalg.solve(normal, sums[..., 0, :])
        return solved[..., :dimensions]


def score_product(credit: Tensor, score: Tensor) -> Tensor:
    """``1/K sum_k credit[k, ..., view, vertex] * score[k, ..., view, vertex]``, ``[*batch, views, V, d]``.

    Either may be shared: credit ``[K, *batch, views, 1]`` by all vertices, a score ``[K, *batch, 1, V, d]`` by all
    views; with both it is a matrix product.
    """
    if credit.shape[-1] > 1 and score.shape[-3] == 1:  # einsum would go through memory in strides
        return (credit[..., None] * score).sum(0) / credit.shape[0]
    return torch.einsum("k...v,k...vd->...vd", credit, score) / credit.shape[0]
