"""Draws docs/images/multiview.png from trained runs of multiview: held-out objects from novel cameras.

python docs/figures/multiview.py RUN [RUN ...]
"""

import sys
from pathlib import Path
from typing import cast

import torch
from torch import Tensor

from render3d.models.experiments import DepthViews
from render3d.models.study.depth_views import DepthStudy, study
from render3d.models.training.run import load_run
from render3d.report.pictures import image_of

TARGET = Path(__file__).resolve().parent.parent / "images" / "multiview.png"
OBJECTS, ENLARGED, GAP = (0, 2, 3, 5), 3, 2  # a cube, a pyramid, a cylinder and an ellipsoid


def row(pictures: Tensor) -> Tensor:
    """Pictures ``[N, 1, H, W]`` side by side, between white lines."""
    framed = torch.nn.functional.pad(pictures, (0, GAP, 0, GAP), value=1.0)
    return torch.cat(list(framed), dim=-1)


def of_object(studies: list[DepthStudy], number: int) -> Tensor:
    """The given views and, after them, novel ones: the truth, then what each run makes of it."""
    first = studies[0]
    given, truth = first.held_out.given[number], first.novel.truth[number]
    blank = torch.ones_like(given)
    lines = [torch.cat([given, truth])]
    lines += [torch.cat([blank, each.novel.pictures["model"][number]]) for each in studies]
    return torch.cat([row(line) for line in lines], dim=-2)


if __name__ == "__main__":
    runs = [load_run(Path(folder)) for folder in sys.argv[1:]]
    found = [study(run, cast(DepthViews, run.recipe.experiment).viewpoints) for run in runs]
    whole = torch.cat([of_object(found, number) for number in OBJECTS], dim=-2)
    enlarged = whole.repeat_interleave(ENLARGED, -1).repeat_interleave(ENLARGED, -2)
    image_of(enlarged).save(TARGET, optimize=True)
