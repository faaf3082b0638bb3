"""Draws docs/images/class_conditional.png or view_conditional.png from a trained run, and prints its tables.

python docs/figures/conditional.py RUN
"""

import csv
import json
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import render3d as r3
from render3d.models.experiments.silhouettes import other_cameras
from render3d.models.findings.class_conditional import SAMPLES_PER_CLASS, sample_classes
from render3d.models.findings.likeness import nearest_training
from render3d.models.findings.view_conditional import SAMPLES, held_out, sample_context
from render3d.models.pictures import portraits, seen_from
from render3d.models.run import Run, load_run
from render3d.models.sources import Source
from render3d.report.pictures import image_of

IMAGES = Path(__file__).resolve().parent.parent / "images"
COLUMNS, SIDE, ROWS = 6, 80, 4


def beside(pictures: Tensor) -> Tensor:
    """``[N, 3, h, w]`` in a row."""
    return torch.cat(list(pictures), dim=-1)


def below(rows: list[Tensor]) -> Tensor:
    """Rows, one below the other."""
    return torch.cat(rows, dim=-2)


def figure_of_classes(run: Run) -> Tensor:
    """A row for each class: samples, then the training volumes that these are most like."""
    volumes, _ = sample_classes(run, SAMPLES_PER_CLASS)
    chosen = volumes.reshape(len(run.classes), SAMPLES_PER_CLASS, *volumes.shape[1:])[:, :COLUMNS]
    near = nearest_training(chosen.flatten(0, 1), Source(run.recipe, "train")).volumes.reshape(chosen.shape)
    rows = [
        torch.cat([beside(portraits(part, SIDE)) for part in parts], -1) for parts in zip(chosen, near, strict=True)
    ]
    return below(rows)


def figure_of_views(run: Run) -> Tensor:
    """For each example: c; then truth, two samples and the network without latents, each from c's angle, r1 and r2."""
    seen = held_out(run, range(ROWS))
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
    print("| class | samples recognised | held-out real volumes recognised |\n|---|---|---|")
    samples, held_out_ = found["samples"], found["held_out"]
    rows = {"all": (samples["accuracy"], held_out_["accuracy"])}
    rows |= {name: (share, held_out_["by_class"][name]) for name, share in samples["by_class"].items()}
    for name, shares in rows.items():
        print(f"| {name} | {' | '.join(map(_share, shares))} |")
    print(json.dumps(found["iou_with_nearest_training_volume"], indent=1))


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


def print_credits(folder: Path) -> None:
    """The creators of all models by licence, as Markdown."""
    creators = defaultdict(set)
    with (folder / "CREDITS.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            creators[" ".join(row["license"].split())].add(row["creator"])
    for license_, names in sorted(creators.items()):
        print(f"- {license_}: {', '.join(sorted(names))}")


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
    if run.recipe.path is not None and (run.recipe.path / "CREDITS.csv").is_file():
        print_credits(run.recipe.path)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
