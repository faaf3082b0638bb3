"""Draws docs/images/single_images.png from a run of the recipe meshes.

python docs/figures/single_images.py RUN
"""

import sys
from pathlib import Path

import torch

from render3d.datasets.pictures.colored import SHADING
from render3d.models.study.single_images import around, judge
from render3d.models.training.run import load_run
from render3d.models.training.sources import BatchSource
from render3d.renderers import OpenGL
from render3d.report.pictures import image_of

TARGET = Path(__file__).resolve().parent.parent / "images" / "single_images.png"
COLUMNS, ENLARGED = 12, 2

if __name__ == "__main__":
    run = load_run(Path(sys.argv[1]))
    test = judge(run.model, BatchSource(run.recipe, "test"))
    cameras = around(run.recipe.data, views=4, size=run.recipe.data.image_size)  # type: ignore[arg-type, union-attr]
    true, found = (OpenGL(SHADING)(each[:COLUMNS], cameras).rgb for each in (test.solids, test.meshes))
    rows = [torch.cat(list(pictures[:, view]), dim=-1) for view in (0, 1) for pictures in (true, found)]
    picture = torch.cat(rows, dim=-2)
    image_of(picture.repeat_interleave(ENLARGED, -1).repeat_interleave(ENLARGED, -2)).save(TARGET, optimize=True)
