"""Many views, learnt from pictures of depth alone."""

from render3d.datasets import PrimitivesSettings
from render3d.models.experiments.depth_views import CameraKind, DepthViews, ProjectionKind
from render3d.models.recipe import Recipe, TrainSettings


def multiview(
    *,
    steps: int = 4,
    updates: int = 2000,
    batch_size: int = 8,
    projection: ProjectionKind = "learned",
    cameras: CameraKind = "inferred",
    training_objects: int = 2000,
    seed: int = 0,
) -> Recipe:
    """Ten pictures of depth of a solid at once, given three.

    Args:
        steps: T of the model.
        updates: Steps of the optimiser.
        batch_size: Objects a step.
        projection: How the canvas becomes pictures.
        cameras: Whether those of the ten are inferred or known.
        training_objects: How many; their pictures are kept in memory.
        seed: Of everything random.
    """
    return Recipe(
        data=PrimitivesSettings(solid_size=22, translation=0, train=training_objects, validation=100, test=200),
        experiment=DepthViews(steps=steps, projection=projection, cameras=cameras, vertical_fov_degrees=34),
        training=TrainSettings(updates=updates, batch_size=batch_size, validation_examples=100, seed=seed),
    )
