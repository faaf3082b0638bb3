"""A dataset, an experiment and a recipe of somebody else's, in the shortest way."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import torch

from render3d.datasets import DatasetSettings, Split, VolumeDataset, VolumeExample, VolumeSettings
from render3d.datasets.base import size_of_volumes
from render3d.models.base import Experiment, Findings, Run
from render3d.models.parts.batch import Batch
from render3d.models.parts.likelihoods import Bernoulli
from render3d.models.parts.projections import Identity
from render3d.models.parts.readers import GridReader, NoReader
from render3d.models.parts.sequential import Posterior, SequentialModel
from render3d.models.parts.writers import CanvasWriter
from render3d.models.recipes import Recipe, TrainSettings


@dataclasses.dataclass(frozen=True, kw_only=True)
class BoxesSettings(VolumeSettings):
    size: int = 6
    sides: tuple[int, int] = (2, 4)
    train: int = 12
    validation: int = 4
    test: int = 8

    def dataset(self, split: Split, path: Path | None = None, *, seed: int = 0) -> "Boxes":
        return Boxes(split, self, seed=seed)


class Boxes(VolumeDataset[BoxesSettings]):
    classes: tuple[str, ...] = ("box",)
    revision: ClassVar[int] = 3

    def make(self, index: int, generator: np.random.Generator) -> tuple[npt.NDArray[np.bool_], int]:
        voxels = np.zeros((self.size,) * 3, dtype=np.bool_)
        depth, height, width = generator.integers(*self.settings.sides, 3, endpoint=True)
        voxels[:depth, :height, :width] = True
        return voxels, 0


@dataclasses.dataclass(frozen=True, kw_only=True)
class Boxed(Experiment):
    steps: int = 2
    state: int = 8
    patch: int = 3

    def batch(self, examples: Sequence[VolumeExample], device: torch.device | str = "cpu") -> Batch:
        return Batch(torch.stack([example.volume for example in examples]).to(device))

    def build(self, data: DatasetSettings, classes: int) -> SequentialModel:
        grid = (size_of_volumes(data),) * 3
        reader = GridReader((1, *grid), self.state, size=8, features=2, glimpse=2)
        return SequentialModel(
            steps=self.steps,
            latents=2,
            state=self.state,
            context=NoReader(),
            posterior=Posterior(reader, self.state, 0, 2, hidden=8),
            writer=CanvasWriter(self.state, grid, patch=self.patch, hidden=8),
            projection=Identity(),
            likelihood=Bernoulli(),
        )

    def volume_size(self, data: DatasetSettings) -> int:
        return size_of_volumes(data)

    def findings(self, run: Run) -> Findings:
        return Findings({"parameters": sum(one.numel() for one in run.model.parameters())}, ())


_EXPERIMENT = Boxed()
_TRAINING = TrainSettings(updates=3, batch_size=4, validate_every=2, validation_examples=4)


def recipe(*, experiment: Boxed = _EXPERIMENT, training: TrainSettings = _TRAINING) -> Recipe:
    """Boxes in a corner.

    Args:
        experiment: What is modelled.
        training: How it is trained.
    """
    return Recipe(data=BoxesSettings(), experiment=experiment, training=training)
