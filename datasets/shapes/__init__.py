"""Collections of meshes on disk."""

from render3d.datasets.shapes.shape import Shape as Shape
