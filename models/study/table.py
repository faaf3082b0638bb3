"""The paper's table of bounds: one recipe by the number of steps, the number of views in the context, and the seed."""

import dataclasses
import itertools
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, final

import torch
from torch import Tensor

from render3d.errors import TrainingError
from render3d.models.base import Recipe
from render3d.models.training.checkpoints import run_folder
from render3d.models.training.evaluation import Estimate
from render3d.models.training.folder import train_to_folder
from render3d.models.training.loop import Progress
from render3d.models.training.run import configuration_in

METRICS = "metrics.json"

PAPER: Mapping[str, Mapping[int, tuple[int, int, int, int]]] = {
    "primitives": {12: (501, 495, 468, 472), 24: (456, 460, 451, 459)},
    "mnist3d": {2: (594, 502, 483, 579), 6: (465, 445, 487, 434), 12: (411, 519, 410, 394)},
    "collection": {2: (1025, 927, 902, 964), 6: (884, 869, 914, 842), 12: (827, 889, 827, 815)},
}
"""Negative bounds in nats by recipe and T, with 0, 1, 2 and 3 views, read off a figure of Rezende et al. (2016): about
+-3 nats. Its collection is ShapeNet."""


class TableCase(NamedTuple):
    """One model of the table.

    Attributes:
        steps: T.
        views: Silhouettes in the context; 0 for none.
    """

    steps: int
    views: int

    @property
    def name(self) -> str:
        """Such as ``T12-views1``."""
        return f"T{self.steps}-views{self.views}"


@final
@dataclasses.dataclass(frozen=True)
class RunBound:
    """What one seed of a case came to; nats on test data.

    Attributes:
        total: The mean negative bound of one sample of the latents.
        tight: The importance-weighted one, of as many as `samples`.
        kl: The KL in `total`.
        samples: K.
        examples: How many.
        seconds: Of training.
        held_out: (update, negative bound on validation data) in the course of it.
    """

    total: float
    tight: float
    kl: float
    samples: int
    examples: int
    seconds: float
    held_out: tuple[tuple[float, float], ...]

    @classmethod
    def read(cls, path: Path) -> "RunBound":
        """From the file of measures of a run.

        Raises:
            TrainingError: It is something else.
        """
        try:
            metrics: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            test = metrics["test"]
            tight = test.get("importance_weighted", test)
            return cls(
                total=test["negative_bound_nats"],
                tight=tight["negative_bound_nats"],
                kl=test["kl_nats"],
                samples=tight["samples"],
                examples=test["examples"],
                seconds=metrics["seconds"],
                held_out=tuple((each["update"], each["validation"]) for each in metrics["history"]),
            )
        except (KeyError, TypeError, ValueError, OSError) as error:
            raise TrainingError(
                f"{path} is not of a run of this version ({error!r}). Move it away to evaluate the run anew."
            ) from error


Table = Mapping[TableCase, Sequence[RunBound]]
"""What was found by case, seed by seed."""

Announce = Callable[[str, Recipe], Progress]
"""Told of each run by its name before it begins; what it returns is told of its progress."""


def fill(
    recipe: Recipe,
    out: Path,
    cases: Sequence[TableCase],
    seeds: Sequence[int],
    announce: Announce,
    *,
    device: str | None = None,
    evaluation_samples: int,
) -> Table:
    """Train every case with every seed, or go on; what is finished is read.

    Seeds are of data, parameters, order and noise alike, and cases of one seed share them. They are taken one after the
    other, so that what is finished early can be compared.

    Args:
        recipe: Its steps, context and seed are the table's.
        out: Each run gets a folder in it, as ``render3d train`` writes it.
        cases: Columns and rows.
        seeds: At least two, for intervals.
        announce: See `Announce`.
        device: As in `train`.
        evaluation_samples: K of the importance-weighted bound.

    Raises:
        TrainingError: Less than two seeds, a run in ``out`` by other settings, or as in `train`.
        ModelError: As `Experiment.varied`.
    """
    if len(set(seeds)) < 2:
        raise TrainingError(f"seeds must be at least two different ones, for intervals; got {list(seeds)}.")
    found: dict[TableCase, list[RunBound]] = {case: [] for case in cases}
    runs = [(case, seed, _recipe_of(recipe, case, seed)) for seed, case in itertools.product(seeds, cases)]
    for case, seed, chosen in runs:
        folder = out / f"{case.name}-seed{seed}"
        if (folder / METRICS).exists():
            run_folder(folder).check_same(configuration_in(folder).facts(), chosen.facts())
        else:
            train_to_folder(
                chosen,
                folder,
                resume=run_folder(folder).is_begun,
                progress=announce(folder.name, chosen),
                device=device,
                evaluation_samples=evaluation_samples,
                with_findings=False,
            )
        found[case].append(RunBound.read(folder / METRICS))
    return found


def _recipe_of(recipe: Recipe, case: TableCase, seed: int) -> Recipe:
    experiment, training = recipe.experiment.varied(*case), dataclasses.replace(recipe.training, seed=seed)
    return dataclasses.replace(recipe, experiment=experiment, training=training)


def over_seeds(found: Sequence[RunBound], measure: str) -> Estimate:
    """The mean of a measure of `RunBound` over seeds, with its interval."""
    return Estimate.of(_values(found, measure))


def differences(table: Table, measure: str) -> dict[str, Estimate]:
    """What more steps, and views against none, change in nats, paired by seed; less is better."""
    pairs: dict[str, Estimate] = {}
    for case, found in table.items():
        fewer = [other for other in table if other.views == case.views and other.steps < case.steps]
        if fewer:
            before = max(fewer, key=lambda other: other.steps)
            name = f"T = {case.steps} less T = {before.steps}, {_views(case.views)}"
            pairs[name] = Estimate.of(_values(found, measure) - _values(table[before], measure))
        without = TableCase(case.steps, 0)
        if case.views and without in table:
            name = f"{_views(case.views)} less none, T = {case.steps}"
            pairs[name] = Estimate.of(_values(found, measure) - _values(table[without], measure))
    return pairs


def _values(found: Sequence[RunBound], measure: str) -> Tensor:
    return torch.tensor([getattr(each, measure) for each in found], dtype=torch.float64)


def _views(count: int) -> str:
    return f"{count or 'no'} view{'s' * (count != 1)}"
