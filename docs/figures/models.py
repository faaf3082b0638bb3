"""Draws docs/images/models.png from trained runs: what they saw, imagined and completed.

python docs/figures/models.py RUN [RUN ...]
"""

import sys
from pathlib import Path

import torch
from torch import Tensor

from render3d import Key
from render3d.cli.complete import missing_part
from render3d.models.base import Run
from render3d.models.study.completion_report import complete_held_out
from render3d.models.study.pictures import portraits
from render3d.models.training.run import load_run
from render3d.models.training.sources import BatchSource
from render3d.report.pictures import image_of

TARGET = Path(__file__).resolve().parent.parent / "images" / "models.png"
COLUMNS, SIZE = 9, 80


def rows(run: Run) -> Tensor:
    """Training volumes, samples, then truth, what is observed of it, and the completion; ``[3, 5 * SIZE, ...]``."""
    size = run.recipe.data.size
    training = BatchSource(run.recipe, "train").batch(range(COLUMNS)).x
    with torch.no_grad():
        imagined = run.model.likelihood.mean(run.model.sample(COLUMNS, Key(1)))  # type: ignore[arg-type]
    observed = ~missing_part("left", size)
    completed = complete_held_out(run, COLUMNS, observed, 100, chains=1)
    shown = (training, imagined, completed.truth, completed.truth * observed, completed.shown[-1])
    return torch.cat([torch.cat(list(portraits(volumes, size=SIZE)), dim=-1) for volumes in shown], dim=-2)


if __name__ == "__main__":
    runs = [load_run(Path(folder)) for folder in sys.argv[1:]]
    image_of(torch.cat([rows(run) for run in runs], dim=-2)).save(TARGET, optimize=True)
