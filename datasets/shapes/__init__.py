"""Collections of meshes on disk."""

from render3d.datasets.shapes.collection import Shapes as Shapes
from render3d.datasets.shapes.collection import Skipped as Skipped
from render3d.datasets.shapes.finding import find_shapes as find_shapes
from render3d.datasets.shapes.shape import Shape as Shape
