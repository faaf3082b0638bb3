"""Views of collections of objects to learn from: read from folders or shards, or rendered when they are needed."""

from render3d.datasets.posed.example import PosedObject as PosedObject
from render3d.datasets.posed.example import PosedSettings as PosedSettings
from render3d.datasets.posed.objects import PosedObjects as PosedObjects
from render3d.datasets.posed.rendered import RenderedObjects as RenderedObjects
from render3d.datasets.posed.resuming import ResumableSampler as ResumableSampler
from render3d.datasets.posed.shards import PosedShards as PosedShards
