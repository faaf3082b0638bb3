"""Draws docs/images/class_conditional.png or view_conditional.png from a trained run, and prints its tables.

python docs/figures/conditional.py RUN
"""

import json
import sys
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor

import render3d as r3
from render3d.models.base import Run
from render3d.models.experiments import Volumes
from render3d.models.parts.silhouettes import other_cameras
from render3d.models.study.class_conditional import SAMPLES_PER_CLASS, sample_classes
from render3d.models.study.pictures import portraits, seen_from
from render3d.models.study.view_conditional import SAMPLES, held_out, sample_context
from render3d.models.training.run import load_run
from render3d.report.pictures import image_of

IMAGES = Path(__file__).resolve().parent.parent / "images"
COLUMNS, SIDE, ROWS = 9, 64, 5


def beside(pictures: Tensor) -> Tensor:
    """``[N, 3, h, w]`` in a row."""
    return torch.cat(list(pictures), dim=-1)


def below(rows: list[Tensor]) -> Tensor:
    """Rows, one below the other."""
    return torch.cat(rows, dim=-2)


def figure_of_classes(run: Run) -> Tensor:
    """The first samples of each class, a row each."""
    volumes, _ = sample_classes(run, SAMPLES_PER_CLASS)
    rows = volumes.reshape(len(run.classes), SAMPLES_PER_CLASS, *volumes.shape[1:])[:, :COLUMNS]
    return below([beside(portraits(row, SIDE)) for row in rows])


def figure_of_views(run: Run) -> Tensor:
    """For each example: c; then truth, two samples and the network without latents, each from c's angle, r1 and r2."""
    seen = held_out(run, range(ROWS), cast(Volumes, run.recipe.experiment).context_cameras)
    samples = sample_context(run.model, seen.context, SAMPLES, r3.Key(0))[:, :2]
    assert run.baseline is not None
    shown = [seen.volumes[:, None], samples, sample_context(run.baseline, seen.context, 1, r3.Key(0))]
    rows = []
    for volumes, context, cameras in zip(torch.cat(shown, dim=1), seen.context, seen.cameras, strict=True):
        large = torch.nn.functional.interpolate(1 - context[:1].repeat(1, 3, 1, 1), (SIDE, SIDE))
        rigs = (cameras.resize(SIDE, SIDE), other_cameras((SIDE, SIDE)))
        views = torch.cat([seen_from(volumes, rig)[:, : 1 + number] for number, rig in enumerate(rigs)], dim=1)
        rows.append(torch.cat([beside(large), *(beside(one) for one in views)], dim=-1))
    return below(rows)


def print_classes(metrics: dict[str, Any]) -> None:
    """Accuracy, as Markdown."""
    found = metrics["findings"]["class_conditional"]
    print(f"chance {found['chance']:.3f}; majority {found['majority_of_held_out']:.3f}")
    kinds = ("samples", "reconstructions", "held_out")
    print(f"| class | {' | '.join(kinds)} |\n|---|---|---|---|")
    rows = {"all": [found[kind]["accuracy"] for kind in kinds]}
    rows |= {name: [found[kind]["by_class"][name] for kind in kinds] for name in run_classes(found)}
    for name, shares in rows.items():
        print(f"| {name} | {' | '.join(map(_share, shares))} |")
    print(json.dumps(found["iou_with_nearest_training_volume"], indent=1))


def run_classes(found: dict[str, Any]) -> list[str]:
    """Their names."""
    return list(found["samples"]["by_class"])


def _share(share: dict[str, Any]) -> str:
    low, high = share["interval_95"]
    return f"{share['share']:.2f} ({low:.2f} to {high:.2f}) of {share['of']}"


def print_views(metrics: dict[str, Any]) -> None:
    """Agreement and variety, as Markdown."""
    found = metrics["findings"]["view_conditional"]
    heads = ("", "IoU with c", "with the truth", "best of samples", "diversity from c", "from r1, r2", "in 3D")
    print(f"| {' | '.join(heads)} |\n|{'---|' * len(heads)}")
    for name in ("samples", "without_latents"):
        print(f"| {name.replace('_', ' ')} | {' | '.join(f'{value:.3f}' for value in found[name].values())} |")
    print(f"samples for another c: {found['context_iou_of_samples_for_the_next_example']:.3f}")


def main(folder: Path) -> None:
    """All of it, of a run given classes or views."""
    run, metrics = load_run(folder), json.loads((folder / "metrics.json").read_text())
    given_classes = "class_conditional" in metrics["findings"]
    name, figure = ("class", figure_of_classes) if given_classes else ("view", figure_of_views)
    image_of(figure(run)).save(IMAGES / f"{name}_conditional.png", optimize=True)
    (print_classes if given_classes else print_views)(metrics)
    test = metrics["test"]
    print(f"negative bound {test['negative_bound_nats']:.1f} +- {test['standard_error']:.1f}, KL {test['kl_nats']:.1f}")
    print(f"{metrics['updates']} updates in {metrics['seconds'] / 60:.0f} minutes")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
