"""A small network that tells the classes of real volumes, to be asked what a model's samples look like."""

import copy
import itertools
import math
from collections.abc import Iterator
from typing import final

import torch
from torch import Tensor, nn
from torch.utils.data import WeightedRandomSampler

from render3d.models.training.sources import BatchSource, labelled

_BATCH, _HELD_OUT = 48, 500
_UPDATES = 1500
_UPDATES_BETWEEN_LOOKS = 50
_LOOKS_WITHOUT_A_BETTER = 6
_LEARNING_RATE, _WEIGHT_DECAY, _DROPOUT = 1e-3, 1e-2, 0.5
_SMOOTHING = 0.1  # of labels


@final
class VolumeClassifier(nn.Module):
    """Logits of classes from binary volumes: three 3D convolutions and a hidden layer.

    Args:
        size: Voxels along each side.
        classes: How many.
        features: Channels of the first convolution; the others have twice and four times as many.
        hidden: Size of the hidden layer.
    """

    def __init__(self, size: int, classes: int, *, features: int = 16, hidden: int = 128) -> None:
        super().__init__()
        widths = (1, features, 2 * features, 4 * features)
        layers: list[nn.Module] = []
        for before, after in itertools.pairwise(widths):
            layers += [nn.Conv3d(before, after, 3, stride=2, padding=1), nn.GroupNorm(4, after), nn.SiLU()]
        cells = math.ceil(size / 8) ** 3
        self.convolutions = nn.Sequential(*layers)
        self.head = nn.Sequential(
            nn.Dropout(_DROPOUT),
            nn.Linear(widths[-1] * cells, hidden),
            nn.SiLU(),
            nn.Dropout(_DROPOUT),
            nn.Linear(hidden, classes),
        )

    def forward(self, volumes: Tensor) -> Tensor:
        """``[N, 1, D, H, W]``, 0 or 1, to ``[N, classes]``."""
        logits: Tensor = self.head(self.convolutions(volumes).flatten(1))
        return logits


def train_classifier(
    training: BatchSource, validation: BatchSource, *, updates: int = _UPDATES, device: torch.device | str = "cpu"
) -> VolumeClassifier:
    """A classifier of the volumes of a source, in evaluation mode; a function of the recipe.

    All classes are drawn alike often, whatever their sizes, and volumes are turned as in the training of the model. Of
    the states that are looked at, the one that tells most of ``validation`` right is kept, at best with the lowest
    cross-entropy; training ends when none has been better for a while.

    Args:
        training: What to learn from.
        validation: What decides when to stop.
        updates: Of the optimiser, at most.
        device: Where it is trained, and stays.
    """
    seed = training.recipe.training.seed
    held_out, truth = labelled(validation, range(min(_HELD_OUT, len(validation))))
    batches = _balanced(training, updates, seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = VolumeClassifier(held_out.shape[-1], len(training.classes)).to(device)
        optimiser = torch.optim.AdamW(network.parameters(), lr=_LEARNING_RATE, weight_decay=_WEIGHT_DECAY)
        least, best, waited = (math.inf, math.inf), network.state_dict(), 0
        for update, (volumes, labels) in enumerate(batches, start=1):
            network.train()
            optimiser.zero_grad(set_to_none=True)
            logits = network(volumes.to(device))
            loss = nn.functional.cross_entropy(logits, labels.to(device), label_smoothing=_SMOOTHING)
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            if update % _UPDATES_BETWEEN_LOOKS and update != updates:
                continue
            found = logits_of(network, held_out)
            cost = float((found.argmax(1) != truth).sum()), float(nn.functional.cross_entropy(found, truth))
            waited += 1
            if cost < least:
                least, best, waited = cost, copy.deepcopy(network.state_dict()), 0
            if waited == _LOOKS_WITHOUT_A_BETTER:
                break
    network.load_state_dict(best)
    return network.eval()


@torch.no_grad()
def logits_of(network: VolumeClassifier, volumes: Tensor) -> Tensor:
    """``[N, classes]``: the mean over quarter turns about the upright axis, without dropout.

    Leaves the network in evaluation mode. Computed where the network is; the logits are where the volumes are.
    """
    network.eval()
    device = next(network.parameters()).device
    turns = [volumes.rot90(turn, (2, 4)) for turn in range(4)]
    logits = [torch.cat([network(part.to(device)) for part in torch.split(turn, _BATCH)]) for turn in turns]
    return torch.stack(logits).mean(0).to(volumes.device)


def _balanced(source: BatchSource, updates: int, seed: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Batches in which each class is as likely as another, and every volume is turned anew."""
    labels = torch.tensor([source.examples[index].label for index in range(len(source))])
    weights = 1 / labels.bincount()[labels].double()
    generator = torch.Generator().manual_seed(seed)
    chosen = list(WeightedRandomSampler(weights.tolist(), updates * _BATCH, generator=generator))
    for update in range(updates):
        source.examples.set_epoch(update)
        yield labelled(source, chosen[update * _BATCH : (update + 1) * _BATCH])
