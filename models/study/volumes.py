"""Any model of volumes: what it imagines, and what it makes of held-out examples."""

import torch

from render3d import report
from render3d.models.base import Findings, Run
from render3d.models.parts.batch import Batch
from render3d.models.parts.sequential import SequentialModel
from render3d.models.study.pictures import portraits, turntable
from render3d.models.training.sources import BatchSource
from render3d.randomness import Key

_SHOWN = 11  # a row of the gallery
_OF_SAMPLES = 5


def find(run: Run) -> Findings:
    """Pictures alone."""
    test = BatchSource(run.recipe, "test")
    batch = test.batch(range(min(_SHOWN, len(test))))
    return Findings({}, (_samples(run, batch), _reconstructions(run.model, batch)))


@torch.no_grad()
def _samples(run: Run, batch: Batch) -> report.Html:
    model, key, count = run.model, Key(run.recipe.training.seed), len(batch.x)
    latents = model.noise(count, key.fold_in(_OF_SAMPLES)).to(model.start)
    states = model.imagine(latents, batch.to(model.start.device).context)
    means = model.expected(states, batch, key).cpu()
    training = BatchSource(run.recipe, "train")
    learnt_from = training.batch([index % len(training) for index in range(count)]).x
    note = "Above, what the model imagines: the mean of p(x given z) for z from the prior. Below, training data."
    return report.section(
        "Samples",
        report.paragraph(note),
        report.gallery(
            {"sample": portraits(means), "training data": portraits(learnt_from)},
            [str(number + 1) for number in range(count)],
        ),
        report.animation(turntable(means[0]), "The first sample on a turntable"),
    )


@torch.no_grad()
def _reconstructions(model: SequentialModel, batch: Batch) -> report.Html:
    here = batch.to(model.start.device)
    states, kl = model.infer(here, model.noise(len(batch.x), Key(0)).to(model.start))
    means = model.expected(states, here, Key(0)).cpu()
    rows = {"held-out volume": portraits(batch.x), "reconstruction": portraits(means)}
    captions = [f"KL {value:.0f} nats" for value in kl.sum(1).tolist()]
    return report.section(
        "Reconstructions",
        report.paragraph("Above, held-out volumes; below, the mean of p(x given z) for z drawn from q(z given x)."),
        report.gallery(rows, captions),
    )
