"""A finished run, read from its folder."""

import json
from pathlib import Path

from render3d.errors import TrainingError
from render3d.models.base import Recipe, Run
from render3d.models.parts.sequential import SequentialModel
from render3d.models.training.checkpoints import Saved, read_checkpoint, restore
from render3d.models.training.loop import CHECKPOINT
from render3d.models.training.sources import model_of

CONFIG = "config.json"
BASELINE = "baseline"
"""The folder, in that of a run, of what it is compared with."""


def load_run(folder: Path, device: str = "cpu") -> Run:
    """Read a run; its data need not be there.

    Raises:
        TrainingError: There is none, or what is there is damaged or of another version.
    """
    recipe = configuration_in(folder)
    model, saved = _trained(recipe, folder, device)
    compared = recipe.baseline
    baseline = None
    if compared is not None and (folder / BASELINE / CHECKPOINT).exists():
        baseline, _ = _trained(compared, folder / BASELINE, device)
    return Run(recipe, model, saved.history, _classes(saved), baseline)


def configuration_in(folder: Path) -> Recipe:
    """What the run in a folder was asked for.

    Raises:
        TrainingError: There is none, or what is there is damaged or of another version.
    """
    path = folder / CONFIG
    if not path.is_file():
        raise TrainingError(f"{folder} holds no run: it has no {CONFIG}. Train one: render3d train RECIPE --out DIR.")
    try:
        config = json.loads(path.read_text(encoding="utf-8"))["recipe"]
    except (ValueError, KeyError, TypeError) as error:
        raise TrainingError(f"{path} is damaged: {error}.") from error
    return Recipe.from_json(config)


def _trained(recipe: Recipe, folder: Path, device: str) -> tuple[SequentialModel, Saved]:
    """The model of a checkpoint, in evaluation mode, and the rest."""
    tensors, saved = read_checkpoint(folder / CHECKPOINT)
    changed = {name: value for name, value in recipe.facts().items() if saved.identity.get(name) != value}
    if changed:
        raise TrainingError(
            f"The {CONFIG} of {folder} does not tell what {CHECKPOINT} was trained with: {', '.join(changed)} differ. "
            "Put back the file that was written with it."
        )
    model = model_of(recipe, _classes(saved))
    restore(tensors, model)
    return model.to(device).eval(), saved


def _classes(saved: Saved) -> tuple[str, ...]:
    return tuple(json.loads(saved.identity["data.classes"]))
