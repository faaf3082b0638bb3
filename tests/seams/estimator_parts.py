"""A noise law, a signal and an estimator of somebody else's, in the shortest way."""

import dataclasses
import math

from torch import Tensor
from torch.special import log_ndtr

from render3d.estimators import Estimator, Rings, Signal, VertexNoise
from render3d.randomness import Key, standard_normal
from render3d.renderers import Renderer


@dataclasses.dataclass(frozen=True, kw_only=True)
class Logistic(VertexNoise):
    """Noise of heavier tails than normal noise; its standard deviation is ``scale``."""

    def sample(self, key: Key, samples: int, examples: int, event: tuple[int, ...]) -> tuple[Tensor, Tensor]:
        normal, deviation = standard_normal(key, samples, examples, event), math.pi / math.sqrt(3)
        logistic = log_ndtr(normal) - log_ndtr(-normal)
        return logistic / deviation, deviation * (logistic / 2).tanh()


@dataclasses.dataclass(frozen=True)
class LessTheNext(Signal):
    """Each loss less that of the next sample, which is independent of it; and less what another renderer explains."""

    control: Renderer | None = None

    def advantages(self, losses: Tensor) -> Tensor:
        return losses - losses.roll(-1, 0)


def logistic(samples: int, scale: float) -> Estimator:
    noise = Logistic(scale=scale, along="normals", per_view=True)
    return Estimator(samples=samples, noise=noise, support=Rings(), signal=LessTheNext())


def unsigned(samples, scale):
    raise AssertionError("a function that does not say what it returns is not called")
