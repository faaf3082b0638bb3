"""Draws docs/images/furniture.png from a trained run that is given nothing: two rows of test volumes, four of samples.

python docs/figures/samples.py RUN
"""

import sys
from pathlib import Path

import torch

from render3d import Key
from render3d.models.study.pictures import portraits
from render3d.models.training.run import load_run
from render3d.models.training.sources import BatchSource
from render3d.report.pictures import image_of

TARGET = Path(__file__).resolve().parent.parent / "images" / "furniture.png"
COLUMNS, SIZE = 12, 64

if __name__ == "__main__":
    run = load_run(Path(sys.argv[1]))
    held_out = BatchSource(run.recipe, "test")
    real = held_out.batch(range(0, len(held_out), len(held_out) // (2 * COLUMNS))[: 2 * COLUMNS]).x
    with torch.no_grad():
        imagined = run.model.likelihood.mean(run.model.sample(4 * COLUMNS, Key(0)))  # type: ignore[arg-type]
    pictures = portraits(torch.cat([real, imagined]), size=SIZE)
    rows = [torch.cat(list(row), dim=-1) for row in torch.split(pictures, COLUMNS)]
    image_of(torch.cat(rows, dim=-2)).save(TARGET, optimize=True)
