"""How good the last gradient was, estimated from its own samples."""

import dataclasses
import math
from typing import final

import torch
from torch import Tensor

from render3d.estimators.perturbation import Perturbation


@final
@dataclasses.dataclass(frozen=True, kw_only=True)
class GradientStatistics:
    """What the samples of one gradient say of it; no further renders. Bias is not among it: see `check_gradient`.

    Attributes:
        relative_variance: ``tr Cov / |g|^2`` of the gradient in the vertices, from how much samples differ. Infinite
            where the noise hides the gradient.
        share: How many of an image's pixels a vertex is credited with, on average.
        samples: K.
        renders: Images that were rendered for it, one a view.
    """

    relative_variance: float
    share: float
    samples: int
    renders: int

    @property
    def signal_to_noise(self) -> float:
        """``|g|^2 / tr Cov``."""
        return 1 / self.relative_variance if self.relative_variance > 0 else math.inf


@torch.no_grad()
def statistics_of(perturbed: Perturbation, losses: Tensor) -> GradientStatistics:
    """The statistics of the gradient that ``losses`` ``[K, *batch, views, H, W]`` gave.

    Samples, or pairs of them, are independent, so the variance of their mean is a K-th of theirs. Baselines make it a
    little larger.
    """
    estimator, noisy = perturbed.estimator, perturbed.noisy
    credit = estimator.credit(losses, noisy)
    each = noisy.draw.world_gradient(credit[..., None] * noisy.draw.score).sum(-3)  # [K, *batch, V, 3]
    if estimator.noise.paired:
        first, second = each.chunk(2)
        each = (first + second) / 2
    variance = float(each.var(0).sum()) / len(each)
    squared_norm = float(each.mean(0).square().sum()) - variance
    return GradientStatistics(
        relative_variance=variance / squared_norm if squared_norm > 0 else math.inf,
        share=estimator.share(noisy, losses),
        samples=estimator.samples,
        renders=math.prod(losses.shape[:-2]),
    )
