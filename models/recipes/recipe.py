"""A recipe: everything that decides a run of training."""

import dataclasses
import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, TypeVar, final

from render3d.datasets.from_settings import DATA_SETTINGS, DataSettings
from render3d.errors import TrainingError
from render3d.models.experiments import EXPERIMENTS, Experiment

Precision = Literal["float32", "bfloat16"]

_Settings = TypeVar("_Settings")


@final
@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainSettings:
    """How a model is trained.

    Attributes:
        updates: Steps of the optimiser.
        batch_size: Examples a step, over all processes. The paper does not say.
        learning_rate: Of Adam, at the first and the last step; it decays geometrically. The paper does not say. Twice
            as much is quicker up to T = 6, and makes many runs of T = 12 and 24 jump back and stay behind: where
            readers look follows from the state, which follows from what they saw, and gradients through that explode.
        gradient_norm: Larger gradients are scaled down to this norm: LSTMs blow up now and then.
        kl_weight: Of the divergence of z in what is minimised: at the first step and, after a geometric path, from the
            middle of the training on. More than 1 at first (Higgins et al., "beta-VAE", 2017) keeps z from telling
            examples apart before the rest has learnt what they share. Bounds are measured with 1.
        precision: Of products and convolutions in training: ``"bfloat16"`` is quicker where the hardware has it.
            Parameters, latents, and the terms of the free energy are float32 in any case, and so are bounds.
        validate_every: Steps between two bounds on held-out data.
        validation_examples: How many of them are used.
        seed: Of parameters, data, their order, and latents.

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
        for name in ("updates", "batch_size", "validate_every", "validation_examples"):
            if getattr(self, name) < 1:
                raise TrainingError(f"{name} must be at least 1; got {getattr(self, name)}.")
        if not (0 < min(self.learning_rate) <= max(self.learning_rate) < 1 and self.gradient_norm > 0):
            raise TrainingError(
                "learning_rate must be two numbers between 0 and 1, and gradient_norm positive; got "
                f"{self.learning_rate} and {self.gradient_norm}."
            )
        if not 0 < min(self.kl_weight) <= max(self.kl_weight) < math.inf:
            raise TrainingError(f"kl_weight must be two positive numbers; got {self.kl_weight}.")
        if self.precision not in ("float32", "bfloat16"):
            raise TrainingError(f"precision must be 'float32' or 'bfloat16'; got {self.precision!r}.")

    def learning_rate_at(self, step: int) -> float:
        """Of the step with this number, from 0."""
        return _between(*self.learning_rate, step / self.updates)

    def kl_weight_at(self, step: int) -> float:
        """Of the step with this number, from 0."""
        return _between(*self.kl_weight, min(1.0, 2 * step / self.updates))


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

    data: DataSettings
    experiment: Experiment
    training: TrainSettings
    path: Path | None = None

    def to_json(self) -> str:
        """Text from which `from_json` makes the same again."""
        kinds = {"dataset": _name_of(self.data, DATA_SETTINGS), "kind": _name_of(self.experiment, EXPERIMENTS)}
        return json.dumps(kinds | dataclasses.asdict(self), default=str, indent=2)

    def facts(self) -> dict[str, str]:
        """Every setting by its full name, such as ``experiment.steps``."""
        return dict(_flat(json.loads(self.to_json())))

    @classmethod
    def from_json(cls, text: str) -> "Recipe":
        """Read what `to_json` wrote.

        Raises:
            TrainingError: It is something else.
        """
        try:
            values = json.loads(text)
            return cls(
                data=_read(DATA_SETTINGS[values["dataset"]], values["data"]),
                experiment=_read(EXPERIMENTS[values["kind"]], values["experiment"]),
                training=_read(TrainSettings, values["training"]),
                path=None if values["path"] is None else Path(values["path"]),
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise TrainingError(f"This is not the configuration of a run, or of another version: {error}.") from error


def _name_of(value: object, kinds: Mapping[str, type]) -> str:
    return next(name for name, kind in kinds.items() if type(value) is kind)


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for name, value in values.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", str(value)


def _read(kind: type[_Settings], values: Mapping[str, Any]) -> _Settings:
    return kind(**{name: tuple(value) if isinstance(value, list) else value for name, value in values.items()})
