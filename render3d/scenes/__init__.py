"""Scenes: what is rendered."""

from render3d.scenes.mesh import Mesh as Mesh
from render3d.scenes.mesh import Texture as Texture

Scene = Mesh | list[Mesh] | tuple[Mesh, ...]
