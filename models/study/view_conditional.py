"""A model of volumes given silhouettes: do its samples agree with what is seen, and vary where nothing is?"""

import itertools
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from render3d import report
from render3d.cameras import Cameras
from render3d.models.base import Findings, Run
from render3d.models.parts.batch import Batch
from render3d.models.parts.sequential import SequentialModel
from render3d.models.parts.silhouettes import other_cameras, silhouettes
from render3d.models.study.completion import volume_iou
from render3d.models.study.pictures import seen_from
from render3d.models.training.sources import BatchSource
from render3d.randomness import Key

EXAMPLES, SAMPLES = 100, 8
_SHOWN, _SAMPLES_SHOWN = 4, 3
_PICTURE = 84  # pixels
_OF_SAMPLES = 7
_ALL = torch.tensor(True)


class JudgedSamples(NamedTuple):
    """Volumes that a model makes of the contexts of N examples, S of each.

    Attributes:
        volumes: ``[N, S, 1, D, H, W]``, 0 or 1.
        context_iou: ``[N, S]``: of silhouettes from where the context was seen, with the context.
        truth_iou: ``[N, S]``: of volumes, with the true one.
        context_diversity: ``[N]``: mean 1 - IoU of all pairs of samples, of their silhouettes from there.
        diversity: ``[N]``: the same from two other angles.
        volume_diversity: ``[N]``: the same of volumes.
    """

    volumes: Tensor
    context_iou: Tensor
    truth_iou: Tensor
    context_diversity: Tensor
    diversity: Tensor
    volume_diversity: Tensor

    def row(self) -> dict[str, float]:
        """Means over the examples."""
        return {
            "context_iou": float(self.context_iou.mean()),
            "truth_iou_mean": float(self.truth_iou.mean()),
            "truth_iou_best": float(self.truth_iou.amax(1).mean()),
            "diversity_context_view": float(self.context_diversity.mean()),
            "diversity_other_views": float(self.diversity.mean()),
            "diversity_volumes": float(self.volume_diversity.mean()),
        }


class Seen(NamedTuple):
    """Held-out examples.

    Attributes:
        volumes: ``[N, 1, D, H, W]``.
        context: ``[N, views, 1, h, w]``.
        cameras: N times ``[views]``: where the context was seen from.
    """

    volumes: Tensor
    context: Tensor
    cameras: Sequence[Cameras]


def find(run: Run, rig: Cameras | None) -> Findings:
    """Agreement with the context and variety elsewhere, beside a network without latents, where the run has one.

    Args:
        run: Of a model of volumes given silhouettes.
        rig: ``[views]``: where all contexts were seen from; None: each example has cameras of its own.
    """
    seen = held_out(run, range(min(EXAMPLES, len(BatchSource(run.recipe, "test")))), rig)
    key = Key(run.recipe.training.seed).fold_in(_OF_SAMPLES)
    judged = {"samples": judge(seen, sample_context(run.model, seen.context, SAMPLES, key))}
    if run.baseline is not None:
        judged["without latents"] = judge(seen, sample_context(run.baseline, seen.context, 1, key))
    others = judge(seen, judged["samples"].volumes.roll(1, 0))
    figures = {
        "examples": len(seen.volumes),
        "samples_of_each": SAMPLES,
        **{name.replace(" ", "_"): one.row() for name, one in judged.items()},
        "context_iou_of_samples_for_the_next_example": float(others.context_iou.mean()),
    }
    return Findings({"view_conditional": figures}, (_table(judged, others), _gallery(run, seen, judged)))


def held_out(run: Run, indices: Sequence[int], rig: Cameras | None) -> Seen:
    """Examples of the split test with their contexts, seen from ``rig`` as in `find`."""
    source = BatchSource(run.recipe, "test")
    batch = source.batch(indices)
    assert batch.context is not None
    cameras = [source.examples[index].cameras if rig is None else rig for index in indices]
    return Seen(batch.x, batch.context, cameras)


@torch.no_grad()
def sample_context(model: SequentialModel, context: Tensor, count: int, key: Key) -> Tensor:
    """``count`` samples given each context ``[N, ...]``: ``[N, count, 1, D, H, W]``.

    A voxel is occupied where the mean of p(x given z, c) is above a half: the likeliest volume of that z.
    """
    device, found = model.start.device, []
    for number, one in enumerate(context):
        latents = model.noise(count, key.fold_in(number)).to(device)
        states = model.imagine(latents, one.to(device).expand(count, *one.shape))
        found.append((model.expected(states, Batch(latents), key) > 0.5).float().cpu())
    return torch.stack(found)


def judge(seen: Seen, volumes: Tensor) -> JudgedSamples:
    """How volumes ``[N, S, 1, D, H, W]`` fit the examples and each other.

    Two silhouettes without a pixel agree: 1.
    """
    others = other_cameras(seen.cameras[0].image_size)
    examples = []
    for truth, context, cameras, samples in zip(*seen, volumes, strict=True):
        from_there, from_others = silhouettes(samples, cameras), silhouettes(samples, others)
        agreement = volume_iou(from_there.flatten(0, 1), context.repeat(len(samples), 1, 1, 1), _ALL)
        examples.append(
            (
                agreement.reshape(len(samples), -1).mean(1),
                volume_iou(samples, truth.expand_as(samples), _ALL),
                pairwise_difference(from_there),
                pairwise_difference(from_others),
                pairwise_difference(samples[:, None]),
            )
        )
    return JudgedSamples(volumes, *(torch.stack(figures) for figures in zip(*examples, strict=True)))


def pairwise_difference(samples: Tensor) -> Tensor:
    """The mean of 1 - IoU over all pairs of S samples ``[S, views, ...]``, each view for itself; 0 of one alone."""
    pairs = list(itertools.combinations(range(len(samples)), 2))
    if not pairs:
        return torch.zeros(())
    first, second = (samples[list(numbers)].flatten(0, 1) for numbers in zip(*pairs, strict=True))
    return 1 - volume_iou(first, second, _ALL).mean()


def _table(judged: dict[str, JudgedSamples], others: JudgedSamples) -> report.Html:
    heads = ["", "IoU with c", "IoU with the truth", "best of the samples", "diversity from c", "from r1, r2", "in 3D"]
    rows: list[list[str | float | None]] = [[name, *one.row().values()] for name, one in judged.items()]
    rows.append(["samples for another c", others.row()["context_iou"], *[None] * 5])
    count, each = judged["samples"].volumes.shape[:2]
    note = (
        f"{each} samples for each of {count} held-out contexts c: where the mean of p(x given z, c) is above a half. "
        "IoU with c: of their silhouettes from where c was seen. Diversity: the mean of 1 - IoU over all pairs of "
        "samples for one c, of silhouettes from where c was seen, from two other angles, and of volumes. The network "
        "without latents, trained as long, makes one volume of each c: its diversity is 0 by construction."
    )
    return report.section(
        "Do samples agree with what was seen, and vary elsewhere?",
        report.paragraph(note),
        report.table(heads, rows, chosen=0),
    )


def _gallery(run: Run, seen: Seen, judged: dict[str, JudgedSamples]) -> report.Html:
    views = seen.context.shape[1]
    names = [f"c{number + 1}" if views > 1 else "c" for number in range(views)]
    columns = [*names, *(f"from {name}" for name in names), "r1", "r2"]
    parts = []
    for number in range(min(_SHOWN, len(seen.volumes))):
        samples = judged["samples"].volumes[number, :_SAMPLES_SHOWN]
        volumes = {"truth": seen.volumes[number]}
        volumes |= {f"sample {place + 1}": one for place, one in enumerate(samples)}
        if "without latents" in judged:
            volumes["without latents"] = judged["without latents"].volumes[number, 0]
        parts.append(report.grid(columns, _rows(volumes, 1 - seen.context[number], seen.cameras[number])))
    note = (
        "The context c of held-out examples, one below the other; the true volume, independent samples, and what the "
        "network without latents makes of c, each seen from where c was seen and from two other angles, r1 and r2."
    )
    return report.section("Samples given a view", report.paragraph(note), *parts)


def _rows(volumes: dict[str, Tensor], context: Tensor, cameras: Cameras) -> list[report.Row]:
    height, width = cameras.image_size
    size = _PICTURE, round(_PICTURE * width / height)
    rigs = [cameras.resize(*size), other_cameras(size)]
    pictures = torch.cat([seen_from(torch.stack(list(volumes.values())), rig) for rig in rigs], dim=1)
    rows = []
    for number, (name, row) in enumerate(zip(volumes, pictures, strict=True)):
        shown = list(context) if number == 0 else [None] * len(context)
        rows.append(report.Row(name, [*shown, *row]))
    return rows
