"""Scenes: what is rendered."""

from render3d.scenes.mesh import Mesh as Mesh
from render3d.scenes.mesh import Texture as Texture
from render3d.scenes.volume import Volume as Volume

Scene = Mesh | list[Mesh] | tuple[Mesh, ...] | Volume
