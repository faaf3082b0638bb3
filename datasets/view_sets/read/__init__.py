"""Views of collections of objects to learn from: read from folders or shards, or rendered when they are needed."""

from render3d.datasets.view_sets.read.example import PosedObject, PosedSettings
from render3d.datasets.view_sets.read.objects import PosedObjects
from render3d.datasets.view_sets.read.rendered import RenderedObjects
from render3d.datasets.view_sets.read.resuming import ResumableSampler
from render3d.datasets.view_sets.read.shards import PosedShards

__all__ = ["PosedObject", "PosedObjects", "PosedSettings", "PosedShards", "RenderedObjects", "ResumableSampler"]
