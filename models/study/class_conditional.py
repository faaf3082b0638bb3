"""A model of volumes given their class: are its samples recognised, and are they copies?"""

from typing import Any, NamedTuple

import torch
from torch import Tensor

from render3d import report
from render3d.errors import TrainingError
from render3d.models.base import Findings, Run
from render3d.models.parts.batch import Batch
from render3d.models.study.classifier import logits_of, train_classifier
from render3d.models.study.likeness import Nearest, nearest_training
from render3d.models.study.pictures import portraits
from render3d.models.study.recognition import Recognition
from render3d.models.training.sources import BatchSource, labelled
from render3d.randomness import Key

SAMPLES_PER_CLASS, HELD_OUT = 40, 500
_BATCH = 50
_SHOWN = 8  # columns of the gallery
_OF_SAMPLES, _OF_RECONSTRUCTIONS = 6, 8


class Recognised(NamedTuple):
    """What a classifier of real volumes says.

    Attributes:
        held_out: Of real volumes of the split test.
        reconstructions: Of what the model makes of these volumes, for z from q(z given x, c).
        samples: Of those of the model, for z from the prior.
        copied: How much each sample is like a training volume.
        alike: How much each held-out volume is.
        volumes: The samples, ``[C * S, 1, D, H, W]``, 0 or 1, class by class.
    """

    held_out: Recognition
    reconstructions: Recognition
    samples: Recognition
    copied: Nearest
    alike: Nearest
    volumes: Tensor

    def figures(self) -> dict[str, Any]:
        """For a file of measures."""
        classes = len(self.samples.classes)
        return {
            "classes": classes,
            "samples_per_class": len(self.volumes) // classes,
            "chance": 1 / classes,
            "majority_of_held_out": self.held_out.majority.value,
            "held_out": self.held_out.figures(),
            "reconstructions": self.reconstructions.figures(),
            "samples": self.samples.figures(),
            "iou_with_nearest_training_volume": {
                "samples": _quartiles(self.copied.iou),
                "held_out": _quartiles(self.alike.iou),
            },
        }


def find(run: Run) -> Findings:
    """Accuracy of a classifier on samples, beside that on held-out volumes; samples beside their nearest.

    Raises:
        TrainingError: The data have other classes than when the run was trained.
    """
    training, validation, test = (BatchSource(run.recipe, split) for split in ("train", "validation", "test"))
    if training.classes != run.classes:
        raise TrainingError(
            f"The run was trained with the classes {', '.join(run.classes)}, and its data now have "
            f"{', '.join(training.classes)}. Put back the data that it was trained on."
        )
    device = run.model.start.device
    network = train_classifier(training, validation, device=device)
    real, truth = labelled(test, range(min(HELD_OUT, len(test))))
    volumes, asked = sample_classes(run, SAMPLES_PER_CLASS)

    def recognition(labels: Tensor, seen: Tensor) -> Recognition:
        return Recognition.of(labels, logits_of(network, seen).argmax(1), run.classes)

    recognised = Recognised(
        held_out=recognition(truth, real),
        reconstructions=recognition(truth, reconstruct(run, real, truth)),
        samples=recognition(asked, volumes),
        copied=nearest_training(volumes, training, device),
        alike=nearest_training(real, training, device),
        volumes=volumes,
    )
    return Findings({"class_conditional": recognised.figures()}, (_accuracy(recognised), _gallery(recognised)))


@torch.no_grad()
def sample_classes(run: Run, count: int) -> tuple[Tensor, Tensor]:
    """``count`` samples of each class, ``[C * count, 1, D, H, W]``, and what was asked for, ``[C * count]``.

    A voxel is occupied where the mean of p(x given z) is above a half: the likeliest volume of that z.
    """
    model, device = run.model, run.model.start.device
    labels = torch.arange(len(run.classes)).repeat_interleave(count)
    latents = model.noise(len(labels), Key(run.recipe.training.seed).fold_in(_OF_SAMPLES))
    volumes = []
    for part, asked in zip(torch.split(latents, _BATCH), torch.split(labels, _BATCH), strict=True):
        states = model.imagine(part.to(device), asked.to(device))
        volumes.append((model.expected(states, Batch(part), Key(0)) > 0.5).float().cpu())
    return torch.cat(volumes), labels


@torch.no_grad()
def reconstruct(run: Run, volumes: Tensor, labels: Tensor) -> Tensor:
    """What the model makes of volumes ``[N, 1, D, H, W]`` of classes ``[N]`` that it sees, likewise 0 or 1."""
    model, device = run.model, run.model.start.device
    noise = model.noise(len(volumes), Key(run.recipe.training.seed).fold_in(_OF_RECONSTRUCTIONS))
    parts = (torch.split(part, _BATCH) for part in (volumes, labels, noise))
    remade = []
    for x, context, own in zip(*parts, strict=True):
        here = Batch(x, context).to(device)
        states, _ = model.infer(here, own.to(device))
        remade.append((model.expected(states, here, Key(0)) > 0.5).float().cpu())
    return torch.cat(remade)


def _quartiles(iou: Tensor) -> dict[str, float]:
    low, middle, high = iou.quantile(torch.tensor([0.25, 0.5, 0.75])).tolist()
    return {"lower_quartile": low, "median": middle, "upper_quartile": high, "largest": float(iou.max())}


def _accuracy(found: Recognised) -> report.Html:
    held_out, samples, classes = found.held_out, found.samples, len(found.samples.classes)
    copied, alike = (float(nearest.iou.median()) for nearest in (found.copied, found.alike))
    note = (
        f"A classifier that was trained on real volumes takes {samples.accuracy} samples for the class that they were "
        f"asked to be, and {held_out.accuracy} held-out real volumes for theirs (95% intervals); of the model's "
        f"reconstructions of these, {found.reconstructions.accuracy}: what it can express. Chance is "
        f"{1 / classes:.3f}; the most frequent class is {held_out.majority.value:.3f} of the held-out volumes. The IoU "
        f"of a sample with the nearest training volume, turned and mirrored, has a median of {copied:.3f}; that of a "
        f"held-out volume {alike:.3f}: samples much nearer than that would be copies."
    )
    real = {name: str(share) if share.total else "none" for name, share in held_out.by_class.items()}
    remade = {name: str(share) if share.total else "none" for name, share in found.reconstructions.by_class.items()}
    rows = [["all", str(samples.accuracy), str(found.reconstructions.accuracy), str(held_out.accuracy)]]
    rows += [[name, str(share), remade[name], real[name]] for name, share in samples.by_class.items()]
    return report.section(
        "Are samples recognised?",
        report.paragraph(note),
        report.table(["class", "samples", "reconstructions", "held-out real volumes"], rows, chosen=0, words=True),
        report.paragraph("Samples: the class that was asked for, in rows; the class that was recognised, in columns."),
        _confusion(samples),
        report.paragraph("The same of held-out real volumes."),
        _confusion(held_out),
    )


def _confusion(recognition: Recognition) -> report.Html:
    rows = [
        [name, *map(str, counts)]
        for name, counts in zip(recognition.classes, recognition.confusion.tolist(), strict=True)
    ]
    return report.table(["", *recognition.classes], rows)


def _gallery(found: Recognised) -> report.Html:
    classes = found.samples.classes
    per_class = len(found.volumes) // len(classes)
    columns = range(min(_SHOWN, per_class))
    rows = []
    for label, name in enumerate(classes):
        chosen = [label * per_class + number for number in columns]
        rows.append(report.Row(name, list(portraits(found.volumes[chosen]))))
        rows.append(report.Row("nearest in training", list(portraits(found.copied.volumes[chosen]))))
    note = (
        "The first samples of each class: where the mean of p(x given z, class) is above a half, for z from the prior. "
        "Below each, the training volume of any class that it is most like."
    )
    return report.section(
        "Samples of each class",
        report.paragraph(note),
        report.grid([str(number + 1) for number in columns], rows),
    )
