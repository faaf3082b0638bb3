"""How many are recognised: shares with intervals, and who is taken for whom."""

import dataclasses
from collections.abc import Sequence
from typing import Any, NamedTuple, final

import torch
from torch import Tensor

from render3d.models.training.evaluation import CONFIDENCE


class Share(NamedTuple):
    """So many of so many, as a share with its 95% interval by Wilson (1927).

    Attributes:
        hits: How many.
        total: Of how many.
    """

    hits: int
    total: int

    @property
    def value(self) -> float:
        """0-1; NaN of none."""
        return self.hits / self.total if self.total else float("nan")

    @property
    def interval(self) -> tuple[float, float]:
        """(low, high); everything, of none."""
        if not self.total:
            return 0.0, 1.0
        from scipy import stats  # takes a second to import

        found = stats.binomtest(self.hits, self.total).proportion_ci(CONFIDENCE, method="wilson")
        return float(found.low), float(found.high)

    def __str__(self) -> str:
        low, high = self.interval
        return f"{self.value:.3f} ({low:.3f} to {high:.3f}) of {self.total}"

    def figures(self) -> dict[str, Any]:
        """For a file of measures."""
        return {"share": self.value if self.total else None, "interval_95": self.interval, "of": self.total}


@final
@dataclasses.dataclass(frozen=True)
class Recognition:
    """Whose class was told right.

    Attributes:
        confusion: ``[C, C]`` counts: of each class, in rows, as what class it was taken.
        classes: Their names.
    """

    confusion: Tensor
    classes: tuple[str, ...]

    @classmethod
    def of(cls, truth: Tensor, found: Tensor, classes: Sequence[str]) -> "Recognition":
        """From labels ``[N]`` as they are and as they were told."""
        count = len(classes)
        pairs = (truth * count + found).bincount(minlength=count**2)
        return cls(pairs.reshape(count, count), tuple(classes))

    @property
    def accuracy(self) -> Share:
        """Of all."""
        return Share(int(self.confusion.diagonal().sum()), int(self.confusion.sum()))

    @property
    def by_class(self) -> dict[str, Share]:
        """Of each class."""
        hits, counts = self.confusion.diagonal().tolist(), self.confusion.sum(1).tolist()
        return {name: Share(hit, count) for name, hit, count in zip(self.classes, hits, counts, strict=True)}

    @property
    def mean_of_classes(self) -> float:
        """The mean of the accuracies of all classes that occur: each counts alike, whatever its size."""
        return float(torch.tensor([share.value for share in self.by_class.values() if share.total]).mean())

    @property
    def majority(self) -> Share:
        """Whoever names the most frequent class each time."""
        counts = self.confusion.sum(1)
        return Share(int(counts.max()), int(counts.sum()))

    def figures(self) -> dict[str, Any]:
        """For a file of measures."""
        return {
            "accuracy": self.accuracy.figures(),
            "mean_of_classes": self.mean_of_classes,
            "by_class": {name: share.figures() for name, share in self.by_class.items()},
            "confusion": self.confusion.tolist(),
        }
