"""What is modelled, given what: one file an experiment of the paper."""

from render3d.models.experiments.depth_views import DepthViews as DepthViews
from render3d.models.experiments.single_images import SingleImages as SingleImages
from render3d.models.experiments.volumes import Volumes as Volumes
