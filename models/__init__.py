"""The generative models, imported as ``render3d.models``."""

from typing import TYPE_CHECKING

from render3d.lazy import lazy

if __name__ != "render3d.models":
    raise ImportError(
        "This folder is imported as render3d.models; the bare name 'models' belongs to no package of ours."
    )

if TYPE_CHECKING:
    from render3d.models.base import Experiment as Experiment
    from render3d.models.base import Findings as Findings
    from render3d.models.base import Recipe as Recipe
    from render3d.models.base import Run as Run
    from render3d.models.base import TrainSettings as TrainSettings
    from render3d.models.experiments import DepthViews as DepthViews
    from render3d.models.experiments import SingleImages as SingleImages
    from render3d.models.experiments import Volumes as Volumes
    from render3d.models.recipes import RECIPES as RECIPES
    from render3d.models.training.folder import train_to_folder as train_to_folder
    from render3d.models.training.run import load_run as load_run

_HOMES = {
    "base": ("Experiment", "Findings", "Recipe", "Run", "TrainSettings"),
    "experiments": ("DepthViews", "SingleImages", "Volumes"),
    "recipes": ("RECIPES",),
    "training.folder": ("train_to_folder",),
    "training.run": ("load_run",),
}

__getattr__, __dir__, __all__ = lazy(__name__, _HOMES)
