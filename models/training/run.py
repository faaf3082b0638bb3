"""A finished run, read from its folder."""

import json
from pathlib import Path

from render3d.datasets.collections.checksums import sha256_of
from render3d.errors import TrainingError
from render3d.models.base import Recipe, Run
from render3d.models.training.checkpoints import read_checkpoint, restore_model, run_folder
from render3d.models.training.sources import model_of
from render3d.runs.folder import CHECKPOINT, CONFIG
from render3d.runs.identity import changes_between

BASELINE = "baseline"
"""The folder, in that of a run, of what it is compared with."""


def load_run(folder: Path, device: str = "cpu") -> Run:
    """Read a run; its data need not be there.

    Raises:
        TrainingError: There is none, or what is there is damaged or of another version.
    """
    run = _trained(folder, device)
    beside = folder / BASELINE
    if run.recipe.baseline is None or not (beside / CHECKPOINT).exists():
        return run
    return run._replace(baseline=_trained(beside, device).model)


def configuration_in(folder: Path) -> Recipe:
    """What the run in a folder was asked for.

    Raises:
        TrainingError: There is none, or what is there is damaged or of another version.
    """
    return _configured(folder)[0]


def identity_of(folder: Path) -> dict[str, str]:
    """What must be the same for results that come of a run: its checkpoint."""
    return {"run": sha256_of(folder / CHECKPOINT)[:16]}


def _configured(folder: Path) -> tuple[Recipe, tuple[str, ...]]:
    """The recipe, and the name of each label."""
    config = run_folder(folder).read()
    recipe = Recipe.from_json(config.settings)
    facts = recipe.facts()
    changes = changes_between({name: config.identity.get(name, "absent") for name in facts}, facts)
    if changes:
        raise TrainingError(
            f"{folder / CONFIG} does not hold the settings that its run was begun with: {'; '.join(changes)}. Put back "
            "the file that was written with it."
        )
    try:
        return recipe, tuple(json.loads(config.identity["data.classes"]))
    except (KeyError, TypeError, ValueError) as error:
        raise TrainingError(f"{folder / CONFIG} is damaged: {error!r}. Put it back.") from error


def _trained(folder: Path, device: str) -> Run:
    recipe, classes = _configured(folder)
    model = model_of(recipe, classes)
    saved = read_checkpoint(folder / CHECKPOINT, model)
    restore_model(saved, model)
    return Run(recipe, model.to(device).eval(), saved.records, classes)
