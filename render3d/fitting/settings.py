"""What can be chosen about a fit."""

import dataclasses
import math
from typing import final


@final
@dataclasses.dataclass(frozen=True, kw_only=True)
class FitSettings:
    """Settings of `fit`. The defaults recover the bunny from 20 silhouettes of 64 x 64 pixels.

    Quantities that decay do so geometrically over the steps, from coarse to fine.

    Attributes:
        steps: Steps of the optimiser.
        samples: Noisy renderings of each view at each step, for a renderer without gradients.
        noise: Standard deviation of their noise at the first and at the last step, in pixels on the template.
        learning_rate: Largest move of a coordinate of the preconditioned shape in one step, first and last, as a share
            of the template's radius.
        smoothness: The ``lambda`` of the preconditioner ``I + lambda L``: how far vertices move together. Less follows
            the silhouettes more closely, and crumples the surface between them.
        subdivisions: Of the starting sphere, where no template is given: ``10 * 4**n + 2`` vertices.
        resolution: Larger views are shrunk until no side has more pixels than this; silhouettes need no more.
        evaluate_every: Steps between two measurements of the intersection over union.
        seed: Of all noise.

    Raises:
        ValueError: A value outside its range.
    """

    steps: int = 400
    samples: int = 24
    noise: tuple[float, float] = (1.0, 0.25)
    learning_rate: tuple[float, float] = (0.025, 0.00125)
    smoothness: float = 1.0
    subdivisions: int = 3
    resolution: int = 128
    evaluate_every: int = 10
    seed: int = 0

    def __post_init__(self) -> None:
        for name, least in (
            ("steps", 1),
            ("samples", 2),
            ("subdivisions", 0),
            ("resolution", 8),
            ("evaluate_every", 1),
            ("seed", 0),
        ):
            if getattr(self, name) < least:
                raise ValueError(f"{name} must be at least {least}; got {getattr(self, name)}.")
        for name in ("noise", "learning_rate"):
            if not all(value > 0 and math.isfinite(value) for value in getattr(self, name)):
                raise ValueError(f"{name} must be two positive numbers, first and last; got {getattr(self, name)}.")
        if not (self.smoothness >= 0 and math.isfinite(self.smoothness)):
            raise ValueError(f"smoothness must be zero or positive; got {self.smoothness}.")

    def noise_at(self, step: int) -> float:
        """Pixels, at this step."""
        return _geometric(self.noise, step / self.steps)

    def learning_rate_at(self, step: int) -> float:
        """Share of the template's radius, at this step."""
        return _geometric(self.learning_rate, step / self.steps)


def _geometric(ends: tuple[float, float], done: float) -> float:
    first, last = ends
    return first * math.pow(last / first, done)
