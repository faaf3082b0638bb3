"""``render3d sample``: volumes that a trained model imagines."""

import contextlib
from pathlib import Path
from typing import Annotated

import torch
import tyro
from torch import Tensor

from render3d import report
from render3d.atomic import write_text
from render3d.cli.calls import Device, Json, Out, Result
from render3d.errors import ModelError, VolumeError
from render3d.models.base import Run
from render3d.models.parts.batch import Batch
from render3d.models.study.pictures import portraits, turntable
from render3d.models.training.distributed import World
from render3d.models.training.run import identity_of, load_run
from render3d.models.training.sources import BatchSource
from render3d.randomness import Key
from render3d.runs.folder import RunFolder
from render3d.scenes import Volume
from render3d.settings import facts_of


@torch.no_grad()
def sample(
    run: Annotated[Path, tyro.conf.Positional],
    /,
    *,
    out: Out,
    count: int = 16,
    label: Annotated[str | None, tyro.conf.arg(help_behavior_hint="")] = None,
    example: Annotated[int | None, tyro.conf.arg(help_behavior_hint="")] = None,
    seed: int = 0,
    device: Device = None,
    as_json: Json = False,
) -> Result:
    """Draw volumes from the prior of a model.

    Writes each as sample_000.npz (the mean of p(x given z), as a density) and sample_000.glb (its surface), and
    report.html.

    Args:
        run: Folder of a training run.
        count: Number of samples.
        label: Class to draw, by name or number, for a model that is conditioned on the class.
        example: Test example whose views are the context, by number, for a model that is conditioned on views.
        seed: Seed of the latents.
    """
    if count < 1:
        raise ModelError(f"--count must be at least 1; got {count}.")
    trained = load_run(run, str(World(device).device))
    _ = trained.volume_size  # which anything but a model of volumes has not
    model = trained.model
    context = _context(trained, label, example)
    latents = model.noise(count, Key(seed)).to(model.start)
    given = None if context is None else context.to(model.start.device).expand(count, *context.shape)
    states = model.imagine(latents, given)
    means = model.likelihood.mean(model.decode(states, Batch(latents), Key(seed))).cpu()
    asked = {"count": count, "label": label, "example": example, "seed": seed}
    RunFolder(out, "sample", ModelError).begin(asked, facts_of(asked) | identity_of(run))
    for number, mean in enumerate(means):
        volume = Volume.from_occupancy(mean[0])
        volume.save(out / f"sample_{number:03d}.npz")
        with contextlib.suppress(VolumeError):  # nothing is more likely occupied than not
            volume.to_mesh().save(out / f"sample_{number:03d}.glb")
    words = "" if label is None else f" of class {label}"
    words = words if example is None else f" given test example {example}"
    steps = trained.recipe.experiment.steps
    lead = f"{count} volumes from {run.name}{words}, T = {steps}, seed {seed}: the mean of p(x given z)."
    write_text(out / "report.html", _page(trained, lead, means, context if example is not None else None))
    facts = {"samples": [str(out / f"sample_{number:03d}.npz") for number in range(count)], "seed": seed}
    return Result(facts, report=out / "report.html")


def _context(run: Run, label: str | None, example: int | None) -> Tensor | None:
    """Return the context of one sample; the model raises `ModelError` if it takes another kind of context."""
    if label is not None and example is not None:
        raise ModelError("--label and --example are of different models; give one of them.")
    if label is not None:
        return torch.tensor(label_number(label, run.classes))
    if example is None:
        return None
    source = BatchSource(run.recipe, "test")
    if not 0 <= example < len(source):
        raise ModelError(f"--example must be 0 to {len(source) - 1}, the test examples; got {example}.")
    context = source.batch([example]).context
    if context is None or context.dim() == 1:
        raise ModelError(
            f"--example is for a model that is conditioned on views, which {run.recipe.experiment} is not."
        )
    return context[0]


def label_number(label: str, classes: tuple[str, ...]) -> int:
    """The number of a class by its name, also in other letters' case, or by its number."""
    names = [name.lower() for name in classes]
    if label.lower() in names:
        return names.index(label.lower())
    if label.isdecimal() and int(label) < len(classes):
        return int(label)
    known = ", ".join(f"{number} {name}" for number, name in enumerate(classes))
    raise ModelError(f"--label must be a class of the run, by name or number: {known}; got {label!r}.")


def _page(run: Run, lead: str, means: Tensor, views: Tensor | None) -> str:
    parts = []
    if views is not None:
        captions = [f"c{number + 1}" for number in range(len(views))]
        parts.append(report.section("The context", report.gallery({"silhouette": 1 - views}, captions)))
    return report.page(
        "Samples of a generative model",
        lead,
        *parts,
        report.gallery({"sample": portraits(means)}, [f"{number:03d}" for number in range(len(means))]),
        report.animation(turntable(means[0]), "The first sample on a turntable"),
        report.how_made(run.recipe.facts()),
    )
