"""Which training volume a volume is most like: whether a model copies."""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from render3d.models.training.sources import BatchSource, labelled

_BATCH = 128


class Nearest(NamedTuple):
    """The training volumes that some volumes are most like.

    Attributes:
        volumes: ``[N, 1, D, H, W]``, turned as they fit best.
        iou: ``[N]``: how much of both is in both.
    """

    volumes: Tensor
    iou: Tensor


@torch.no_grad()
def nearest_training(volumes: Tensor, training: BatchSource, device: torch.device | str = "cpu") -> Nearest:
    """The most alike of all training volumes, each in the four quarter turns about y, mirrored or not.

    Args:
        volumes: ``[N, 1, D, H, W]``, 0 or 1.
        training: Whose examples are compared, as they are in its first epoch.
        device: Where they are compared.
    """
    training.examples.set_epoch(0)
    flat = volumes.flatten(1).to(device)
    best, iou = torch.zeros_like(volumes, device=device), torch.full((len(volumes),), -1.0, device=device)
    for candidates in _candidates(training, device):
        both = flat @ candidates.flatten(1).T
        either = flat.sum(1, keepdim=True) + candidates.flatten(1).sum(1) - both
        found, place = torch.where(either > 0, both / either.clamp(min=1), 1.0).max(1)
        better = found > iou
        iou = torch.where(better, found, iou)
        best[better] = candidates[place[better]]
    return Nearest(best.to(volumes.device), iou.to(volumes.device))


def _candidates(training: BatchSource, device: torch.device | str) -> Iterator[Tensor]:
    """Batches of training volumes, one for each symmetry of the grid that keeps up what is up."""
    for first in range(0, len(training), _BATCH):
        indices = range(first, min(first + _BATCH, len(training)))
        volumes, _ = labelled(training, indices)
        for mirrored in (volumes.to(device), volumes.to(device).flip(4)):
            yield from (mirrored.rot90(turn, (2, 4)) for turn in range(4))
