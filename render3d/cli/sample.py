"""``render3d sample``: volumes that a trained model imagines."""

import contextlib
from pathlib import Path
from typing import Annotated

import torch
import tyro
from rich.console import Console

from render3d import report
from render3d.atomic import atomic_write
from render3d.errors import ModelError, TrainingError, VolumeError
from render3d.models.batch import Batch
from render3d.models.pictures import portraits, turntable
from render3d.models.run import load_run
from render3d.randomness import Key
from render3d.scenes import Volume


@torch.no_grad()
def sample(
    run: Annotated[Path, tyro.conf.Positional],
    /,
    *,
    out: Path,
    count: int = 16,
    label: int | None = None,
    seed: int = 0,
) -> int:
    """Draw volumes from the prior of a model.

    Writes each as sample_000.npz (the mean of p(x given z), as a density) and sample_000.glb (its surface), and
    report.html.

    Args:
        run: The folder of a training run.
        out: The folder for the results.
        count: How many.
        label: The class, for a model that is conditioned on one.
        seed: Of the latents.
    """
    if count < 1:
        raise ModelError(f"--count must be at least 1; got {count}.")
    if out.resolve() == run.resolve():
        raise TrainingError(f"--out must be another folder than that of the run, whose report it would replace: {out}.")
    trained = load_run(run)
    recipe, model = trained.recipe, trained.model
    context = None if label is None else torch.full((count,), label)
    latents = model.noise(count, Key(seed)).to(model.start)
    states = model.imagine(latents, context)
    means = model.likelihood.mean(model.decode(states, Batch(latents), Key(seed)))
    out.mkdir(parents=True, exist_ok=True)
    for number, mean in enumerate(means):
        volume = Volume.from_occupancy(mean[0])
        volume.save(out / f"sample_{number:03d}.npz")
        with contextlib.suppress(VolumeError):  # nothing is more likely occupied than not
            volume.to_mesh().save(out / f"sample_{number:03d}.glb")
    page = report.page(
        "Samples of a generative model",
        f"{count} volumes from {run.name}, T = {recipe.experiment.steps}, seed {seed}: the mean of p(x given z).",
        report.gallery({"sample": portraits(means)}, [f"{number:03d}" for number in range(count)]),
        report.animation(turntable(means[0]), "The first sample on a turntable"),
        report.section(
            "How it was made", report.columns(report.facts(recipe.facts()), report.facts(report.provenance()))
        ),
    )
    with atomic_write(out / "report.html") as stream:
        stream.write(page.encode("utf-8"))
    Console().print(f"Report: {(out / 'report.html').resolve()}", soft_wrap=True, highlight=False)
    return 0
