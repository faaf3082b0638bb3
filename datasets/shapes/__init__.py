"""Collections of meshes on disk."""

from render3d.datasets.shapes.archives import extract as extract
from render3d.datasets.shapes.collection import Shapes as Shapes
from render3d.datasets.shapes.collection import Skipped as Skipped
from render3d.datasets.shapes.finding import find_shapes as find_shapes
from render3d.datasets.shapes.furniture import DEBIAN_FURNITURE as DEBIAN_FURNITURE
from render3d.datasets.shapes.furniture import furniture as furniture
from render3d.datasets.shapes.layouts import ShapeLayout as ShapeLayout
from render3d.datasets.shapes.shape import Shape as Shape
from render3d.datasets.shapes.splits import with_splits as with_splits
