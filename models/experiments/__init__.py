"""What is modelled, given what: one file an experiment of the paper."""

from render3d.models.experiments.depth_views import DepthViews
from render3d.models.experiments.single_images import SingleImages
from render3d.models.experiments.volumes import Volumes

__all__ = ["DepthViews", "SingleImages", "Volumes"]
