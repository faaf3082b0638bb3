"""How collections of meshes lie on disk: one file a layout."""

from render3d.datasets.collections.layouts.classes import CLASSES
from render3d.datasets.collections.layouts.flat import FLAT
from render3d.datasets.collections.layouts.layout import CollectionLayout as CollectionLayout
from render3d.datasets.collections.layouts.layout import FoundObject as FoundObject
from render3d.datasets.collections.layouts.listed import LISTED
from render3d.datasets.collections.layouts.modelnet import MODELNET
from render3d.datasets.collections.layouts.shapenet import SHAPENET_V1, SHAPENET_V2
from render3d.datasets.collections.layouts.sweethome3d import SWEET_HOME_3D

LAYOUTS: dict[str, CollectionLayout] = {
    layout.name: layout for layout in (SHAPENET_V1, SHAPENET_V2, MODELNET, SWEET_HOME_3D, CLASSES, FLAT, LISTED)
}
"""Those that are known, by name."""
