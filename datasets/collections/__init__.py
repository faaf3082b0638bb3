"""Collections of meshes on disk."""

from render3d.datasets.collections.archives import extract as extract
from render3d.datasets.collections.collection import MeshCollection as MeshCollection
from render3d.datasets.collections.collection import Skipped as Skipped
from render3d.datasets.collections.finding import open_collection as open_collection
from render3d.datasets.collections.furniture import DEBIAN_FURNITURE as DEBIAN_FURNITURE
from render3d.datasets.collections.furniture import furniture as furniture
from render3d.datasets.collections.layouts import LAYOUTS as LAYOUTS
from render3d.datasets.collections.layouts import CollectionLayout as CollectionLayout
from render3d.datasets.collections.layouts import FoundObject as FoundObject
from render3d.datasets.collections.objects import CollectionObject as CollectionObject
from render3d.datasets.collections.splits import with_splits as with_splits
