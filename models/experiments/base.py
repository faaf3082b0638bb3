"""The seam between datasets and the model."""

from collections.abc import Sequence
from typing import Any, ClassVar, Protocol

import torch

from render3d.datasets.from_settings import DataSettings, Examples
from render3d.errors import ModelError
from render3d.models.parts.batch import Batch
from render3d.models.parts.sequential import SequentialModel


def check_counts(experiment: "Experiment", *names: str) -> None:
    """Raise `ModelError` for fields that count something, given by name, below one."""
    for name in names:
        if getattr(experiment, name) < 1:
            raise ModelError(f"{name} must be at least 1; got {getattr(experiment, name)}.")


class Experiment(Protocol):
    """What is modelled, given what: settings, and what follows from them.

    A frozen dataclass whose fields JSON holds.
    """

    __dataclass_fields__: ClassVar[dict[str, Any]]

    @property
    def steps(self) -> int:
        """T."""
        ...

    @property
    def can_be_graphed(self) -> bool:
        """Whether the free energy is a fixed list of kernels: it looks at no value, and all its noise is given."""
        ...

    def examples(self, dataset: Examples) -> Examples:
        """What is read of a dataset: its examples, or pictures of them."""
        ...

    def batch(self, examples: Sequence[Any], device: torch.device | str = "cpu") -> Batch:
        """What the model sees of these, which `examples` gave, on ``device``."""
        ...

    def build(self, data: DataSettings, classes: int) -> SequentialModel:
        """A model with new parameters from torch's generator.

        Args:
            data: What it is to be a model of.
            classes: How many labels there are.
        """
        ...
