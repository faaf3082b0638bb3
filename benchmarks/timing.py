"""Two ways of doing the same, timed in turns."""

import dataclasses
from collections.abc import Callable
from typing import final

from render3d.comparison.costs import rate

_SECONDS = 0.5


@final
@dataclasses.dataclass(frozen=True)
class Comparison:
    """How much of something both do a second, the best of the rounds.

    Attributes:
        ours: The package's rate.
        theirs: The peer's rate.
        case: What was measured.
        unit: Of the rates.
        peer: What it is compared with.
        floor: The least ratio that ``--check`` lets pass; None where nothing is promised.
        note: What else must be known, such as the errors of both.
    """

    ours: float
    theirs: float
    _: dataclasses.KW_ONLY
    case: str
    unit: str
    peer: str
    floor: float | None = None
    note: str = ""

    @property
    def ratio(self) -> float:
        """How many times faster the package is."""
        return self.ours / self.theirs

    @property
    def is_slow(self) -> bool:
        """Whether the ratio is below its floor."""
        return self.floor is not None and self.ratio < self.floor


def race(ours: Callable[[], object], theirs: Callable[[], object], count: int, rounds: int) -> tuple[float, float]:
    """The rates of both, if a call does ``count`` things: in turns after a warm-up, and the best round of each."""
    rates = [(rate(ours, count, _SECONDS), rate(theirs, count, _SECONDS)) for _ in range(rounds + 1)][1:]
    first, second = (max(side) for side in zip(*rates, strict=True))
    return first, second
