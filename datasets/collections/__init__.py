"""Collections of meshes on disk."""

from render3d.datasets.collections.archives import extract
from render3d.datasets.collections.collection import CollectionObject, MeshCollection, Skipped, with_splits
from render3d.datasets.collections.finding import open_collection
from render3d.datasets.collections.furniture import DEBIAN_FURNITURE, furniture
from render3d.datasets.collections.layouts import LAYOUTS, CollectionLayout, FoundObject
from render3d.datasets.collections.several import open_collections

__all__ = [
    "DEBIAN_FURNITURE",
    "LAYOUTS",
    "CollectionLayout",
    "CollectionObject",
    "FoundObject",
    "MeshCollection",
    "Skipped",
    "extract",
    "furniture",
    "open_collection",
    "open_collections",
    "with_splits",
]
