"""Views of collections of objects to learn from: read from folders or shards, or rendered when they are needed."""

from render3d.datasets.view_sets.read.example import PosedObject as PosedObject
from render3d.datasets.view_sets.read.example import PosedSettings as PosedSettings
from render3d.datasets.view_sets.read.objects import PosedObjects as PosedObjects
from render3d.datasets.view_sets.read.rendered import RenderedObjects as RenderedObjects
from render3d.datasets.view_sets.read.resuming import ResumableSampler as ResumableSampler
from render3d.datasets.view_sets.read.shards import PosedShards as PosedShards
