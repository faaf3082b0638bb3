"""Signal: how the losses of the samples become credit."""

import dataclasses
from typing import ClassVar, final

from torch import Tensor


@final
@dataclasses.dataclass(frozen=True)
class Plain:
    """The losses themselves: REINFORCE without a baseline (Williams 1992). Unbiased, and far noisier than the rest."""

    minimum_samples: ClassVar[int] = 1

    def advantages(self, losses: Tensor) -> Tensor:
        """The credit of each sample, from losses ``[K, ...]``; same shape."""
        return losses


@final
@dataclasses.dataclass(frozen=True)
class LeaveOneOut:
    """Each loss less the mean of the K - 1 others (supplement A.5; Mnih and Rezende 2016; Kool et al. 2019).

    The others are independent of a sample's own noise, so subtracting them leaves the expectation as it is. As
    ``l_k - mean of the others = K / (K - 1) * (l_k - mean of all)``, one pass does. On a function that is linear in D
    parameters, the estimator's relative variance ``tr Cov / |g|^2`` is ``(D + 1) / (K - 1)``.
    """

    minimum_samples: ClassVar[int] = 2

    def advantages(self, losses: Tensor) -> Tensor:
        """The credit of each sample, from losses ``[K, ...]``; same shape."""
        samples = losses.shape[0]
        return (losses - losses.mean(0, keepdim=True)) * (samples / (samples - 1))
