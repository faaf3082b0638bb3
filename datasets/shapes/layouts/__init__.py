"""How collections of meshes lie on disk: one file a layout."""

from render3d.datasets.shapes.layouts.classes import CLASSES
from render3d.datasets.shapes.layouts.flat import FLAT
from render3d.datasets.shapes.layouts.layout import Found as Found
from render3d.datasets.shapes.layouts.layout import ShapeLayout as ShapeLayout
from render3d.datasets.shapes.layouts.listed import LISTED
from render3d.datasets.shapes.layouts.modelnet import MODELNET
from render3d.datasets.shapes.layouts.shapenet import SHAPENET_V1, SHAPENET_V2
from render3d.datasets.shapes.layouts.sweethome3d import SWEET_HOME_3D

LAYOUTS: dict[str, ShapeLayout] = {
    layout.name: layout for layout in (SHAPENET_V1, SHAPENET_V2, MODELNET, SWEET_HOME_3D, CLASSES, FLAT, LISTED)
}
"""Those that are known, by name."""
