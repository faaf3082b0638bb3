"""The page that shows what a model has learnt."""

import re
from collections.abc import Sequence

from render3d import report
from render3d.models.base import Findings, Run
from render3d.models.training.checkpoints import TrainingRecord
from render3d.models.training.evaluation import CONFIDENCE, Bound


def training_report(run: Run, found: Bound, more: Findings) -> str:
    """A whole page."""
    last = run.records[-1]
    data, kind = (type(one).__name__ for one in (run.recipe.data, run.recipe.experiment))
    lead = (
        f"{data.removesuffix('Settings')}, T = {run.recipe.experiment.steps}: negative bound {found.by_samples[1]}, on "
        f"{len(found.total)} {found.split} examples (KL {float(found.kl.mean()):.1f}), after {last.update} updates in "
        f"{last.seconds / 60:.0f} minutes."
    )
    return report.page(
        f"A generative model of {re.sub('(?<!^)(?=[A-Z])', ' ', kind).lower()}",
        lead,
        _bounds(found),
        *more.sections,
        _curves(run.records),
        report.how_made(run.recipe.facts()),
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


def _curves(records: Sequence[TrainingRecord]) -> report.Html:
    updates = [float(record.update) for record in records]
    measured = [(float(record.update), record.validation) for record in records if record.validation is not None]
    skipped = len(records) // 20  # the first updates would hide the rest
    free_energy = {
        "training": (updates[skipped:], [record.free_energy for record in records[skipped:]]),
        "held out": ([update for update, _ in measured], [value for _, value in measured]),
    }
    kl = {"KL": (updates, [record.kl for record in records])}
    return report.section(
        "Progress",
        report.columns(
            report.curves("Negative bound", x_label="updates", y_label="nats", series=free_energy),
            report.curves("Divergence of the posterior from the prior", x_label="updates", y_label="nats", series=kl),
        ),
    )
