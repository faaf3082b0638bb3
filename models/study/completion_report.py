"""Completion of held-out volumes, measured and shown."""

import itertools
from typing import NamedTuple

import torch
from torch import Tensor

from render3d import report
from render3d.models.base import Run
from render3d.models.study.completion import complete, nearest, potential_scale_reduction, volume_iou
from render3d.models.study.pictures import portraits
from render3d.models.training.evaluation import Estimate
from render3d.models.training.sources import BatchSource, labelled
from render3d.randomness import Key

_FIRST_STEPS = 8
_MOST_SHOWN = 11  # a row of the gallery


class Completed(NamedTuple):
    """What chains made of held-out volumes.

    Attributes:
        truth: ``[N, 1, D, H, W]``.
        observed: ``[1, D, H, W]`` bool.
        shown: ``[S, N, 1, D, H, W]``: x before the first step, after each of the first eight, and after the last.
        means: ``[N, 1, D, H, W]``: the mean of ``x_hat`` over the second half of the chain.
        nearest: ``[N, 1, D, H, W]``: the training volume that agrees best with what is observed.
        training_count: How many training volumes that was chosen from.
        counts: ``[chains, steps, N]``: occupied voxels in the missing part.
        tolerance: Of the overlap with the truth, voxels.
    """

    truth: Tensor
    observed: Tensor
    shown: Tensor
    means: Tensor
    nearest: Tensor
    training_count: int
    counts: Tensor
    tolerance: int

    def iou(self, found: Tensor) -> Tensor:
        """``[N]``: overlap with the truth in the missing part."""
        return volume_iou(found, self.truth, ~self.observed, self.tolerance)

    @property
    def r_hat(self) -> Tensor:
        """``[N]``: the diagnostic of the occupied voxels in the missing part, over the second half of the chains."""
        return potential_scale_reduction(self.counts[:, self.counts.shape[1] // 2 :])


@torch.no_grad()
def complete_held_out(
    run: Run, count: int, observed: Tensor, iterations: int, *, chains: int = 3, seed: int = 0, tolerance: int = 0
) -> Completed:
    """Run chains on the first test examples that reach into both parts, so that something can be known of the rest.

    Args:
        run: A trained model.
        count: How many examples.
        observed: ``[D, H, W]`` bool.
        iterations: Steps of each chain, at least 8.
        chains: Chains of every example, from different noise; the first is shown and measured.
        seed: Of all noise.
        tolerance: As in `volume_iou`.
    """
    source = BatchSource(run.recipe, "test")
    known = observed[None]
    batch = source.batch(_reaching_into_both(source, known, count))
    histories, shown, means = [], [], torch.zeros_like(batch.x)
    for chain in range(chains):
        states = complete(run.model, batch.x, known, Key(seed).fold_in(chain), batch.context)
        counted = []
        for step, state in enumerate(itertools.islice(states, iterations), start=1):
            counted.append((state.x * ~known).flatten(1).sum(1))
            if chain == 0:
                shown += [state.x] if step <= _FIRST_STEPS or step == iterations else []
                means += state.mean if 2 * step > iterations else 0.0
        histories.append(torch.stack(counted))
    training = BatchSource(run.recipe, "train")
    volumes, _ = labelled(training)
    return Completed(
        truth=batch.x,
        observed=known,
        shown=torch.stack(shown),
        means=means / (iterations - iterations // 2),
        nearest=nearest(batch.x, known, volumes),
        training_count=len(volumes),
        counts=torch.stack(histories),
        tolerance=tolerance,
    )


def _reaching_into_both(source: BatchSource, known: Tensor, count: int) -> list[int]:
    def reaches(index: int) -> bool:
        volume = source.examples[index].volume
        return bool(volume[known].any() and volume[~known].any())

    return list(itertools.islice(filter(reaches, range(len(source))), count))


def completion_report(run: Run, completed: Completed) -> str:
    """A whole page."""
    last = completed.shown[-1]
    found = {"last sample of the chain": completed.iou(last), "mean of the chain": completed.iou(completed.means)}
    found["nearest training volume"] = completed.iou(completed.nearest)
    iterations = completed.counts.shape[1]
    means = {name: float(iou.mean()) for name, iou in found.items()}
    rows: list[list[str | float]] = [
        [name, means[name], Estimate.of(iou).standard_error] for name, iou in found.items()
    ]
    lead = (
        f"{len(last)} held-out volumes that reach into both parts, {iterations} steps: IoU of the missing part with "
        f"the truth {means['last sample of the chain']:.3f}; of the nearest of {completed.training_count} training "
        f"volumes {means['nearest training volume']:.3f}." + _tolerated(completed.tolerance)
    )
    return report.page(
        "Volumes completed by a Markov chain",
        lead,
        report.table(["", "IoU of the missing part", "standard error"], rows, chosen=0),
        _gallery(completed, found["last sample of the chain"]),
        _diagnostic(completed),
        report.how_made(run.recipe.facts()),
    )


def _tolerated(voxels: int) -> str:
    return f" A voxel counts if the other volume has one within {voxels} of it along each axis." if voxels else ""


def _gallery(completed: Completed, iou: Tensor) -> report.Html:
    chosen = range(min(_MOST_SHOWN, len(iou)))
    steps = [*range(1, len(completed.shown)), completed.counts.shape[1]]
    rows = {"truth": portraits(completed.truth[: len(chosen)])}
    rows["what is observed"] = portraits((completed.truth * completed.observed)[: len(chosen)])
    for step, volumes in zip(steps, completed.shown, strict=True):
        rows[f"after step {step}"] = portraits(volumes[: len(chosen)])
    rows["mean of the chain"] = portraits(completed.means[: len(chosen)])
    rows["nearest training volume"] = portraits(completed.nearest[: len(chosen)])
    note = f"From above: {', '.join(rows)}. Below, the IoU of the missing part after the last step."
    captions = [f"{number + 1}: {float(iou[number]):.2f}" for number in chosen]
    return report.section("Chains", report.paragraph(note), report.gallery(rows, captions))


def _diagnostic(completed: Completed) -> report.Html:
    r_hat = completed.r_hat
    steps = [float(step) for step in range(1, completed.counts.shape[1] + 1)]
    chains = {f"chain {number + 1}": (steps, counts[:, 0].tolist()) for number, counts in enumerate(completed.counts)}
    note = (
        "Occupied voxels in the missing part of the first example, for chains from different noise. Split R-hat over "
        f"their second half: median {float(r_hat.median()):.2f} over the examples, "
        f"{int((r_hat < 1.1).sum())} of {len(r_hat)} below 1.1."
    )
    plot = report.curves("Chains of the first example", x_label="step", y_label="occupied voxels", series=chains)
    return report.section("Have the chains mixed?", report.columns(plot, report.paragraph(note)))
