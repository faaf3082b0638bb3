"""Meshes from single images by several gradients, each in as many seconds of the processor.

    python examples/single_images.py --seconds 120 --out out/single_images

trains the recipe ``meshes`` once for each gradient and writes, beside the folders of the runs, ``metrics.json`` and the
table of docs/single_images.md. Updates are the unit of a run: how many go into the seconds is measured first, so that
learning rates fall over the same time, and a run that was stopped goes on.
"""

import dataclasses
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
import tyro

from render3d.atomic import write_json
from render3d.models.base import Recipe, TrainSettings
from render3d.models.experiments import SingleImages
from render3d.models.recipes.images import meshes
from render3d.models.training.checkpoints import run_folder
from render3d.models.training.distributed import World
from render3d.models.training.folder import train_to_folder
from render3d.models.training.loop import CHECKPOINT, TrainingRun
from render3d.models.training.run import configuration_in
from render3d.report import provenance

_WARM_UP = 2
_MEASURED = ("silhouette_iou", "novel_view_iou", "color_mean_square", "orientation_error_degrees")
_HEADS = ("gradient", "updates", "IoU", "IoU, novel views", "mean square error", "orientation, degrees")

SOFT = "one_image.soft_renderers:SoftPyTorch3D"
# The search of orientations draws far more images than a gradient does, and the same ones for each: it is left out.
PLAIN = SingleImages(orientation="of_state")
_LEARNING_RATE = (2e-3, 2e-4)  # the recipe's
METHODS = {
    "local_credit": dataclasses.replace(PLAIN, gradient="local_credit"),
    "leave_one_out": dataclasses.replace(PLAIN, gradient="leave_one_out"),
    "vimco": dataclasses.replace(PLAIN, gradient="vimco"),
    "pytorch3d": dataclasses.replace(PLAIN, gradient="own", renderer=SOFT),
}


def run(out: Path, *, seconds: float = 120.0, methods: tuple[str, ...] = tuple(METHODS), seed: int = 0) -> None:
    """Train by each gradient, and compare.

    Args:
        out: The folder for the results; runs that are in it are not made again.
        seconds: Of the processor, for each training.
        methods: Names of methods; pytorch3d only where that is installed.
        seed: Of everything random.
    """
    torch.set_num_threads(1)
    found = {}
    for name in methods:
        folder = out / name
        if not (folder / "metrics.json").exists():
            _train(folder, METHODS[name], seconds, seed)
        found[name] = _summary(folder)
        print(name, json.dumps(found[name]))
    write_json(out / "metrics.json", {"seconds": seconds, "methods": found, "made_with": provenance()})
    print(table(found))


def _train(folder: Path, experiment: SingleImages, seconds: float, seed: int) -> None:
    recipe = meshes(experiment=experiment, training=TrainSettings(learning_rate=_LEARNING_RATE))
    begun = run_folder(folder).is_begun
    if begun:
        recipe = configuration_in(folder)
    else:
        cost = seconds_per_update(recipe)
        updates = max(1, round(seconds / cost))
        training = dataclasses.replace(recipe.training, updates=updates, validate_every=updates, seed=seed)
        recipe = dataclasses.replace(recipe, training=training)
    print(f"{folder}: {recipe.training.updates} updates")
    train_to_folder(recipe, folder, resume=begun, device="cpu")


def seconds_per_update(recipe: Recipe, least: float = 3.0) -> float:
    """Of the processor, by updates of a run that is thrown away, over at least so many seconds."""
    with tempfile.TemporaryDirectory() as folder, World("cpu") as world:
        trial = TrainingRun(recipe, Path(folder) / CHECKPOINT, world)
        for _ in range(_WARM_UP):
            trial.update()
        began, count = time.process_time(), 0
        while time.process_time() - began < least:
            trial.update()
            count += 1
        return (time.process_time() - began) / count


def _summary(folder: Path) -> dict[str, Any]:
    metrics = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    found = metrics["findings"]
    return {"updates": metrics["updates"], **{name: found[name] for name in _MEASURED}}


def table(found: dict[str, dict[str, Any]]) -> str:
    """In Markdown, with the best that is fixed as the last row."""
    rows = [_HEADS, ("---",) * len(_HEADS)]
    for name, each in found.items():
        values = [f"{each[key]['mean']:.3g} ± {each[key]['standard_error']:.1g}" for key in _MEASURED]
        rows.append((name, f"{each['updates']:,}", *values))
    fixed = next(iter(found.values()))
    rows.append(("the best that is fixed", "", *(f"{fixed[key]['best_fixed']:.3g}" for key in _MEASURED)))
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


if __name__ == "__main__":
    tyro.cli(run, description=__doc__)
