"""From datasets to batches of a model."""

import dataclasses
from collections.abc import Sequence
from typing import final

import numpy as np
import torch
from torch import Tensor

from render3d.datasets import Split
from render3d.datasets.base import OF_ORDER, Examples
from render3d.models.base import Recipe
from render3d.models.parts.batch import Batch
from render3d.models.parts.sequential import SequentialModel
from render3d.randomness import Key


@final
@dataclasses.dataclass(frozen=True)
class BatchSource:
    """The batches of one split, each a function of its number.

    Attributes:
        recipe: What the data are, and what is seen of them.
        split: Of the dataset.
        examples: What batches are made of.
    """

    recipe: Recipe
    split: Split
    examples: Examples = dataclasses.field(init=False)

    def __post_init__(self) -> None:
        dataset = dataset_of(self.recipe, self.split)
        object.__setattr__(self, "examples", self.recipe.experiment.examples(dataset))

    def __len__(self) -> int:
        return len(self.examples)

    @property
    def classes(self) -> tuple[str, ...]:
        """The name of each label."""
        return self.examples.classes

    def fingerprint(self) -> dict[str, str]:
        """What tells whether two runs saw the same data."""
        return self.examples.fingerprint()

    def training_indices(self, update: int) -> list[int]:
        """The examples of the batch of an update, in order; an epoch is a permutation, less what is over."""
        size, count = self.recipe.training.batch_size, len(self)
        per_epoch = max(1, count // size)
        epoch, number = divmod(update, per_epoch)
        self.examples.set_epoch(epoch)
        key = Key(self.recipe.training.seed).fold_in(OF_ORDER).fold_in(epoch)
        order = np.random.Generator(np.random.Philox(key=[key.seed, 0])).permutation(count)
        return [int(index) for index in np.take(order, range(number * size, (number + 1) * size), mode="wrap")]

    def batch(self, indices: Sequence[int], device: torch.device | str = "cpu") -> Batch:
        """These examples, on ``device``."""
        return self.recipe.experiment.batch([self.examples[index] for index in indices], device)


def labelled(source: BatchSource, indices: Sequence[int] | None = None) -> tuple[Tensor, Tensor]:
    """Volumes ``[N, 1, D, H, W]`` and labels ``[N]`` of some examples, or of all."""
    examples = [source.examples[index] for index in (range(len(source)) if indices is None else indices)]
    return torch.stack([example.volume for example in examples]), torch.tensor([example.label for example in examples])


def dataset_of(recipe: Recipe, split: Split) -> Examples:
    """The dataset of a recipe as it is, before its experiment makes anything of it."""
    return recipe.data.dataset(split, recipe.path, seed=recipe.training.seed)


def model_of(recipe: Recipe, classes: Sequence[str]) -> SequentialModel:
    """The model of a recipe, before training; the same for the same recipe and as many classes."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.training.seed)
        return recipe.experiment.build(recipe.data, len(classes))
