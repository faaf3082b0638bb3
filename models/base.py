"""An experiment, a recipe, the run that comes of it, and what is found of it."""

import abc
import dataclasses
import math
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple, Self, final, get_args, get_origin, get_type_hints

import torch

from render3d import report
from render3d.datasets.base import DatasetSettings, Examples
from render3d.errors import ModelError, TrainingError
from render3d.models.parts.batch import Batch
from render3d.models.parts.sequential import SequentialModel
from render3d.models.training.checkpoints import TrainingRecord
from render3d.settings import check_at_least, facts_of, settings_from_json, settings_to_json

Precision = Literal["float32", "bfloat16"]


class Findings(NamedTuple):
    """What was found of a run beside its bound.

    Attributes:
        figures: For a file of measures: what JSON can hold.
        sections: For the page: figures and pictures.
    """

    figures: dict[str, Any]
    sections: tuple[report.Html, ...]

    def then(self, other: "Findings") -> "Findings":
        """Both, one after the other."""
        return Findings(self.figures | other.figures, self.sections + other.sections)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Experiment(abc.ABC):
    """What is modelled, given what: settings, and what follows from them. The seam between datasets and the model.

    Subclasses are frozen dataclasses, whose fields `render3d.settings` can write to a file.

    Attributes:
        steps: T.
    """

    steps: int = 1

    @abc.abstractmethod
    def batch(self, examples: Sequence[Any], device: torch.device | str = "cpu") -> Batch:
        """What the model sees of these, which `examples` gave, on ``device``."""

    @abc.abstractmethod
    def build(self, data: DatasetSettings, classes: int) -> SequentialModel:
        """Make a model with new parameters from torch's generator.

        Args:
            data: What it is to be a model of.
            classes: How many labels there are.

        Raises:
            DatasetError: The data are of another kind than what is modelled.
        """

    def examples(self, dataset: Examples) -> Examples:
        """What is read of a dataset: its examples, unless these are made into others, such as pictures of them."""
        return dataset

    def check(self, *, may_be_zero: Collection[str] = ()) -> None:
        """Raise `ModelError` for a whole number below one, and for a choice that there is not.

        Args:
            may_be_zero: Names of fields that are at least zero instead.
        """
        for name, kind in get_type_hints(type(self)).items():
            if kind is int:
                check_at_least(self, error=ModelError, **{name: int(name not in may_be_zero)})
            value = getattr(self, name)
            if get_origin(kind) is Literal and value not in get_args(kind):
                raise ModelError(f"{name} must be one of {', '.join(map(repr, get_args(kind)))}; got {value!r}.")

    @property
    def can_be_graphed(self) -> bool:
        """Whether the free energy is a fixed list of kernels: it looks at no value, and all its noise is given."""
        return False

    def volume_size(self, data: DatasetSettings) -> int | None:
        """Voxels along each side, if what is modelled are volumes, which can be sampled and completed; else None."""
        return None

    def baseline(self) -> "Experiment | None":
        """What is trained beside it, to be compared with; None for nothing."""
        return None

    def varied(self, steps: int, views: int) -> Self:
        """The same with another T, and so many views in the context, as a table of bounds has them.

        Raises:
            ModelError: It takes no views.
        """
        if views:
            raise ModelError(f"{type(self).__name__} takes no views as its context; got {views}. Give 0 views alone.")
        return dataclasses.replace(self, steps=steps)

    def findings(self, run: "Run") -> Findings:
        """What there is to be found of a run beside its bound, on examples that it has not learnt from."""
        return Findings({}, ())


@final
@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainSettings:
    """How a model is trained.

    Attributes:
        updates: Updates of the optimiser.
        batch_size: Examples in an update, over all processes. The paper does not say.
        learning_rate: Of Adam, in the first and the last update; it decays geometrically. The paper does not say. Twice
            as much is quicker up to T = 6, and makes many runs of T = 12 and 24 jump back and stay behind: where
            readers look follows from the state, which follows from what they saw, and gradients through that explode.
        gradient_norm: Larger gradients are scaled down to this norm: LSTMs blow up now and then.
        kl_weight: Weight of the divergence of z in the loss: in the first update and, after a geometric path, from the
            middle of the training on. More than 1 at first (Higgins et al., "beta-VAE", 2017) keeps z from telling
            examples apart before the rest has learnt what they share. Bounds are measured with 1.
        precision: Precision of products and convolutions in training: ``"bfloat16"`` is quicker where the hardware has
            it. Parameters, latents, and the terms of the free energy are float32 in any case, and so are bounds.
        validate_every: Updates between two bounds on held-out data.
        validation_examples: Held-out examples in such a bound.
        seed: Seed of parameters, data, their order, and latents.

    Raises:
        TrainingError: A value outside its range.
    """

    updates: int = 10_000
    batch_size: int = 32
    learning_rate: tuple[float, float] = (1e-3, 2e-4)
    gradient_norm: float = 100.0
    kl_weight: tuple[float, float] = (1.0, 1.0)
    precision: Precision = "float32"
    validate_every: int = 500
    validation_examples: int = 300
    seed: int = 0

    def __post_init__(self) -> None:
        least = {"updates": 1, "batch_size": 1, "validate_every": 1, "validation_examples": 1}
        check_at_least(self, error=TrainingError, **least)
        if not (0 < min(self.learning_rate) <= max(self.learning_rate) < 1 and self.gradient_norm > 0):
            raise TrainingError(
                "learning_rate must be two numbers between 0 and 1, and gradient_norm positive; got "
                f"{self.learning_rate} and {self.gradient_norm}."
            )
        if not 0 < min(self.kl_weight) <= max(self.kl_weight) < math.inf:
            raise TrainingError(f"kl_weight must be two positive numbers; got {self.kl_weight}.")
        if self.precision not in ("float32", "bfloat16"):
            raise TrainingError(f"precision must be 'float32' or 'bfloat16'; got {self.precision!r}.")

    def learning_rate_at(self, update: int) -> float:
        """Of the update with this number, from 0."""
        return _between(*self.learning_rate, update / self.updates)

    def kl_weight_at(self, update: int) -> float:
        """Of the update with this number, from 0."""
        return _between(*self.kl_weight, min(1.0, 2 * update / self.updates))


def _between(first: float, last: float, share: float) -> float:
    """A geometric path."""
    return float(first * (last / first) ** share)


@final
@dataclasses.dataclass(frozen=True, kw_only=True)
class Recipe:
    """Everything that decides a run.

    Attributes:
        data: Which dataset, and how it is made.
        experiment: What is modelled of it, given what, and by which model.
        training: The training.
        path: The folder of the dataset's files, where it has any.
    """

    data: DatasetSettings
    experiment: Experiment
    training: TrainSettings
    path: Path | None = None

    def to_json(self) -> dict[str, Any]:
        """Return what `from_json` makes the same from again, in the types of JSON."""
        return settings_to_json(self)

    def facts(self) -> dict[str, str]:
        """Every setting by its full name, such as ``experiment.steps``."""
        return facts_of(self.to_json())

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "Recipe":
        """Read what `to_json` gave.

        Raises:
            TrainingError: It is something else.
        """
        return settings_from_json(cls, values, what="recipe", error=TrainingError)

    @property
    def baseline(self) -> "Recipe | None":
        """What the run is compared with, of the same data and as many updates; None where there is nothing."""
        compared = self.experiment.baseline()
        return None if compared is None else dataclasses.replace(self, experiment=compared)


class Run(NamedTuple):
    """A recipe, and what came of it.

    Attributes:
        recipe: Everything that decided it.
        model: After training, in evaluation mode.
        records: What training showed.
        classes: The name of each label.
        baseline: The model that it is compared with, likewise; None where there is none.
    """

    recipe: Recipe
    model: SequentialModel
    records: list[TrainingRecord]
    classes: tuple[str, ...]
    baseline: SequentialModel | None = None

    @property
    def volume_size(self) -> int:
        """Voxels along each side of the volumes that are modelled.

        Raises:
            ModelError: It is no model of volumes.
        """
        size = self.recipe.experiment.volume_size(self.recipe.data)
        if size is None:
            raise ModelError(
                f"The run is no model of volumes: {type(self.recipe.experiment).__name__} makes none. Take a run of "
                "volumes; what this one makes is on its own page, report.html."
            )
        return size
