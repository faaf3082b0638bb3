"""``render3d complete``: volumes of which a part is missing."""

import json
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import tyro
from torch import Tensor

from render3d.atomic import write_text
from render3d.cli.calls import Json, Out, Result
from render3d.errors import ModelError
from render3d.models.study.completion_report import Completed, complete_held_out, completion_report
from render3d.models.training.run import identity_of, load_run
from render3d.runs.folder import RunFolder
from render3d.settings import facts_of

_SIDES = {"left": (2, 0), "right": (2, 1), "bottom": (1, 0), "top": (1, 1), "back": (0, 0), "front": (0, 1)}
"""Axis of (z, y, x), and which half of it is missing."""


def complete(
    run: Annotated[Path, tyro.conf.Positional],
    /,
    *,
    out: Out,
    missing: str = "left",
    count: int = 60,
    iterations: int = 100,
    chains: int = 3,
    tolerance: int = 0,
    seed: int = 0,
    as_json: Json = False,
) -> Result:
    """Complete held-out volumes by the Markov chain of a trained model.

    Writes metrics.json and report.html: the first eight iterations and the last, the overlap with the truth beside that
    of the nearest training volume, and a diagnostic of the chains.

    Args:
        run: Folder of a training run.
        missing: Half that is missing: left, right, bottom, top, back or front; or a .npy file of a bool array
            [D, H, W], true where it is missing.
        count: Number of test examples.
        iterations: Iterations of a chain.
        chains: Chains of each example, for the diagnostic.
        tolerance: Voxels by which thin structures may be off and still count as overlapping.
        seed: Seed of the noise.
    """
    if count < 2 or iterations < 8 or chains < 1 or tolerance < 0:
        raise ModelError(
            "--count must be at least 2, --iterations 8, --chains 1 and --tolerance 0; got "
            f"{count}, {iterations}, {chains} and {tolerance}."
        )
    trained = load_run(run)
    observed = ~missing_part(missing, trained.volume_size)
    asked = {"missing": missing, "count": count, "iterations": iterations, "chains": chains}
    asked |= {"tolerance": tolerance, "seed": seed}
    RunFolder(out, "complete", ModelError).begin(asked, facts_of(asked) | identity_of(run))
    completed = complete_held_out(trained, count, observed, iterations, chains=chains, seed=seed, tolerance=tolerance)
    metrics = _metrics(completed, missing)
    write_text(out / "metrics.json", json.dumps(metrics, indent=2) + "\n")
    write_text(out / "report.html", completion_report(trained, completed) + "\n")
    line = (
        f"IoU of the missing part: {metrics['iou_last_sample']:.3f}; nearest of {completed.training_count} training "
        f"volumes: {metrics['iou_nearest']:.3f}."
    )
    return Result(metrics, [line], out / "report.html")


def missing_part(name: str, size: int) -> Tensor:
    """``[D, H, W]`` bool."""
    if name in _SIDES:
        axis, upper = _SIDES[name]
        along = torch.arange(size).reshape([-1 if number == axis else 1 for number in range(3)])
        half = along >= size // 2 if upper else along < size // 2
        return half.expand(size, size, size)
    path = Path(name)
    if path.suffix != ".npy" or not path.is_file():
        raise ModelError(f"--missing must be one of {', '.join(_SIDES)}, or a .npy file that exists; got {name!r}.")
    try:
        mask = np.load(path, allow_pickle=False)
    except (ValueError, OSError, EOFError) as error:
        raise ModelError(f"{path} is not an array in the .npy format, or is damaged: {error}.") from error
    if mask.dtype != np.bool_ or mask.shape != (size, size, size):
        raise ModelError(f"{path} must hold a bool array of shape {[size] * 3}; got {mask.dtype} {list(mask.shape)}.")
    return torch.from_numpy(mask)


def _metrics(completed: Completed, missing: str) -> dict[str, float | int | str]:
    last, mean, near = (completed.iou(found) for found in (completed.shown[-1], completed.means, completed.nearest))
    difference = last - near
    return {
        "missing": missing,
        "examples": len(last),
        "tolerance": completed.tolerance,
        "iterations": completed.counts.shape[1],
        "iou_last_sample": float(last.mean()),
        "iou_mean": float(mean.mean()),
        "iou_nearest": float(near.mean()),
        "training_volumes": completed.training_count,
        "gain_over_nearest": float(difference.mean()),
        "gain_standard_error": float(difference.std() / len(difference) ** 0.5),
        "r_hat_median": float(completed.r_hat.median()),
    }
