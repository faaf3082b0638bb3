"""Support: which pixels may be credited to which vertex."""

import dataclasses
from typing import final

from torch import Tensor


@final
@dataclasses.dataclass(frozen=True)
class Everywhere:
    """Every pixel of a view is credited to every vertex: right for any renderer, and noisy for many vertices."""

    def collect(self, advantages: Tensor) -> Tensor:
        """The credit ``[K, *batch, views, 1]`` of all vertices, from ``[K, *batch, views, H, W]`` of the pixels."""
        return advantages.sum((-1, -2))[..., None]
