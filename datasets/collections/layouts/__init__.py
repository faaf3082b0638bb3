"""How collections of meshes lie on disk."""

from render3d.datasets.collections.layouts.layout import CollectionLayout, FoundObject
from render3d.errors import DatasetError
from render3d.registry import Registry

__all__ = ["LAYOUTS", "CollectionLayout", "FoundObject"]

LAYOUTS: Registry[type[CollectionLayout]] = Registry(
    "layout of collections",
    {
        "shapenet-v1": "render3d.datasets.collections.layouts.shapenet:ShapeNetV1",
        "shapenet-v2": "render3d.datasets.collections.layouts.shapenet:ShapeNetV2",
        "modelnet": "render3d.datasets.collections.layouts.folders:ModelNet",
        "sweethome3d": "render3d.datasets.collections.layouts.sweethome3d:SweetHome3D",
        "classes": "render3d.datasets.collections.layouts.folders:Classes",
        "flat": "render3d.datasets.collections.layouts.folders:Flat",
        "recursive": "render3d.datasets.collections.layouts.folders:Recursive",
        "list": "render3d.datasets.collections.layouts.listed:Listed",
    },
    base=CollectionLayout,
    error=DatasetError,
)
