"""Meshes from images."""

from render3d.datasets import ColoredSolidsSettings
from render3d.models.base import Recipe, TrainSettings
from render3d.models.experiments import SingleImages

_DATA, _EXPERIMENT = ColoredSolidsSettings(), SingleImages()
# At first one mesh has to do for all images, so that it is their orientations that tell them apart.
_TRAINING = TrainSettings(learning_rate=(2e-3, 2e-4), kl_weight=(20.0, 5.0))


def meshes(
    *,
    data: ColoredSolidsSettings = _DATA,
    experiment: SingleImages = _EXPERIMENT,
    training: TrainSettings = _TRAINING,
) -> Recipe:
    """Meshes from single images of coloured solids, with a renderer in the loop.

    Args:
        data: The images.
        experiment: How they are explained, through which renderer, and by which gradient.
        training: How the model is trained.
    """
    return Recipe(data=data, experiment=experiment, training=training)
