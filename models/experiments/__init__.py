"""What is modelled, given what: one file an experiment of the paper."""

from render3d.models.experiments.base import Experiment as Experiment
from render3d.models.experiments.depth_views import DepthViews as DepthViews
from render3d.models.experiments.single_images import SingleImages as SingleImages
from render3d.models.experiments.volumes import Volumes as Volumes

EXPERIMENTS: dict[str, type[Experiment]] = {
    "volumes": Volumes,
    "depth_views": DepthViews,
    "single_images": SingleImages,
}
"""The kinds of experiments, by the name that a configuration holds."""
