"""The page that shows what a model has learnt."""

import torch
from torch import Tensor

from render3d import report
from render3d.models.batch import Batch
from render3d.models.evaluation import CONFIDENCE, Bound
from render3d.models.pictures import portraits, turntable
from render3d.models.recipes import Recipe
from render3d.models.sequential import SequentialModel
from render3d.models.sources import Source
from render3d.models.training import Trained
from render3d.randomness import Key

_SHOWN = 11  # a row of the gallery


def training_report(recipe: Recipe, trained: Trained, found: Bound) -> str:
    """A whole page."""
    last = trained.records[-1]
    source = Source(recipe, "test")
    batch = source.batch(range(_SHOWN))
    lead = (
        f"{source.recipe.facts()['dataset']}, T = {recipe.model.steps}: negative bound {found.by_samples[1]}, on "
        f"{len(found.total)} {found.split} volumes (KL {float(found.kl.mean()):.1f}), after {last.step} updates in "
        f"{last.seconds / 60:.0f} minutes."
    )
    return report.page(
        "A generative model of volumes",
        lead,
        _bounds(found),
        _samples(trained.model, batch, recipe),
        _reconstructions(trained.model, batch),
        _curves(trained),
        report.section(
            "How it was made", report.columns(report.facts(recipe.facts()), report.facts(report.provenance()))
        ),
    )


def _bounds(found: Bound) -> report.Html:
    rows = [
        [str(samples), found.split, str(len(found.total)), f"{one.mean:.2f}", f"{one.low:.2f} to {one.high:.2f}"]
        for samples, one in found.by_samples.items()
    ]
    note = "Above -log p(x given c) in expectation: the free energy for one sample of z, importance-weighted for more."
    if found.samples > 1:
        note += f" What {found.samples} samples take from one, paired by example: {found.gain}."
    heads = ("samples", "split", "examples", "negative bound, nats", f"{CONFIDENCE:.0%} interval")
    return report.section("Bounds", report.paragraph(note), report.table(heads, rows))


@torch.no_grad()
def _samples(model: SequentialModel, batch: Batch, recipe: Recipe) -> report.Html:
    means = model.likelihood.mean(_canvas(model, batch, recipe.training.seed)).cpu()
    rows = {"sample": portraits(means), "training data": portraits(Source(recipe, "train").batch(range(_SHOWN)).x)}
    note = "Above, what the model imagines: the mean of p(x given z) for z from the prior. Below, training data."
    return report.section(
        "Samples",
        report.paragraph(note),
        report.gallery(rows, [str(number + 1) for number in range(_SHOWN)]),
        report.animation(turntable(means[0]), "The first sample on a turntable"),
    )


def _canvas(model: SequentialModel, batch: Batch, seed: int) -> Tensor:
    context = None if batch.context is None else batch.context.to(model.start.device)
    latents = model.noise(_SHOWN, Key(seed).fold_in(5)).to(model.start)
    states = model.imagine(latents, context)
    return model.decode(states, batch, Key(seed))


@torch.no_grad()
def _reconstructions(model: SequentialModel, batch: Batch) -> report.Html:
    here = batch.to(model.start.device)
    states, kl = model.infer(here, model.noise(_SHOWN, Key(0)).to(model.start))
    means = model.likelihood.mean(model.decode(states, here, Key(0))).cpu()
    rows = {"held-out volume": portraits(batch.x), "reconstruction": portraits(means)}
    captions = [f"KL {value:.0f} nats" for value in kl.sum(1).tolist()]
    return report.section(
        "Reconstructions",
        report.paragraph("Above, held-out volumes; below, the mean of p(x given z) for z drawn from q(z given x)."),
        report.gallery(rows, captions),
    )


def _curves(trained: Trained) -> report.Html:
    records = trained.records
    steps = [float(record.step) for record in records]
    measured = [(float(record.step), record.validation) for record in records if record.validation is not None]
    skipped = len(records) // 20  # the first steps would hide the rest
    free_energy = {
        "training": (steps[skipped:], [record.free_energy for record in records[skipped:]]),
        "held out": ([step for step, _ in measured], [value for _, value in measured]),
    }
    kl = {"KL": (steps, [record.kl for record in records])}
    return report.section(
        "Progress",
        report.columns(
            report.curves("Negative bound", x_label="updates", y_label="nats", series=free_energy),
            report.curves("Divergence of the posterior from the prior", x_label="updates", y_label="nats", series=kl),
        ),
    )
