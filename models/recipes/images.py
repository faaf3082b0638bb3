"""Meshes from pictures."""

from render3d.datasets import ColoredSolidsSettings
from render3d.datasets.poses import Rotations
from render3d.models.experiments.single_images import SingleImages
from render3d.models.recipe import Recipe, TrainSettings
from render3d.models.sampled import GradientName


def meshes(
    *,
    gradient: GradientName = "local_credit",
    renderer: str = "opengl",
    samples: int = 4,
    rotations: Rotations = "uniform",
    updates: int = 10_000,
    batch_size: int = 32,
    seed: int = 0,
) -> Recipe:
    """Meshes from single pictures of coloured solids, with a renderer in the loop.

    Args:
        gradient: How the way back through the renderer is had; "none" for a renderer with a gradient of its own.
        renderer: What renders the meshes: opengl, pytorch3d, ...; or module:Class for one of your own.
        samples: Noisy realisations of a mesh, each rendered.
        rotations: How solids are turned.
        updates: Steps of the optimiser.
        batch_size: Pictures a step.
        seed: Of everything random.
    """
    return Recipe(
        data=ColoredSolidsSettings(rotations=rotations),
        experiment=SingleImages(gradient=gradient, renderer=renderer, samples=samples),
        training=TrainSettings(updates=updates, batch_size=batch_size, learning_rate=(1e-3, 1e-4), seed=seed),
    )
