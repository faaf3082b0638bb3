"""From datasets to batches of a model."""

import dataclasses
from collections.abc import Sequence
from typing import final

import numpy as np
import torch

from render3d.datasets import (
    MNIST3D,
    MNIST3DSettings,
    NeckerCubes,
    NeckerSettings,
    Primitives,
    RandomCameras,
    Split,
    ViewedExample,
    VolumeDataset,
    WithViews,
)
from render3d.datasets.base import OF_ORDER
from render3d.models.batch import Batch
from render3d.models.recipes import Recipe
from render3d.models.sequential import SequentialModel
from render3d.models.settings import build_model
from render3d.randomness import Key
from render3d.renderers import MaxProjection


@final
@dataclasses.dataclass(frozen=True)
class Source:
    """The batches of one split, each a function of its number.

    Attributes:
        recipe: What the data and the context are.
        split: Of the dataset.
    """

    recipe: Recipe
    split: Split
    dataset: VolumeDataset = dataclasses.field(init=False)
    viewed: WithViews | None = dataclasses.field(init=False)

    def __post_init__(self) -> None:
        recipe = self.recipe
        dataset = _dataset(recipe, self.split)
        viewed = None
        if recipe.model.context == "views":
            views, height, width = recipe.views
            viewed = WithViews(dataset, RandomCameras(views=views, image_size=(height, width)), MaxProjection())
        object.__setattr__(self, "dataset", dataset)
        object.__setattr__(self, "viewed", viewed)

    def fingerprint(self) -> dict[str, str]:
        """What tells whether two runs saw the same data."""
        return self.dataset.fingerprint() if self.viewed is None else self.viewed.fingerprint()

    def training_indices(self, step: int) -> list[int]:
        """The examples of the batch of a training step, in order; an epoch is a permutation, less what is over."""
        size, count = self.recipe.training.batch_size, len(self.dataset)
        per_epoch = max(1, count // size)
        epoch, number = divmod(step, per_epoch)
        self.dataset.set_epoch(epoch)
        key = Key(self.recipe.training.seed).fold_in(OF_ORDER).fold_in(epoch)
        order = np.random.Generator(np.random.Philox(key=[key.seed, 0])).permutation(count)
        return [int(index) for index in np.take(order, range(number * size, (number + 1) * size), mode="wrap")]

    def batch(self, indices: Sequence[int]) -> Batch:
        """These examples."""
        examples = [(self.viewed or self.dataset)[index] for index in indices]
        x = torch.stack([example.volume for example in examples])
        match self.recipe.model.context:
            case "none":
                return Batch(x)
            case "class":
                return Batch(x, torch.tensor([example.label for example in examples]))
            case "views":
                return Batch(x, torch.stack([_silhouettes(example) for example in examples]))


def _silhouettes(example: object) -> torch.Tensor:
    assert isinstance(example, ViewedExample)
    return example.images["alpha"]


def _dataset(recipe: Recipe, split: Split) -> VolumeDataset:
    seed = recipe.training.seed
    match recipe.data:
        case MNIST3DSettings():
            return MNIST3D(split, recipe.path, settings=recipe.data, seed=seed)
        case NeckerSettings():
            return NeckerCubes(split, recipe.data, seed=seed)
        case _:
            return Primitives(split, recipe.data, seed=seed)


def model_of(recipe: Recipe) -> SequentialModel:
    """The model of a recipe, before training; the same for the same recipe."""
    kinds: dict[type, type[VolumeDataset]] = {MNIST3DSettings: MNIST3D, NeckerSettings: NeckerCubes}
    kind = kinds.get(type(recipe.data), Primitives)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.training.seed)
        return build_model(recipe.model, recipe.data.size, len(kind.classes), recipe.views)
