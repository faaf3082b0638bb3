"""Scenes: what is rendered."""

from collections.abc import Sequence

from render3d.scenes.kind import SceneKind as SceneKind
from render3d.scenes.mesh import Mesh as Mesh
from render3d.scenes.mesh import Texture as Texture
from render3d.scenes.volume import Volume as Volume

Scene = SceneKind | Sequence[SceneKind]
"""What a renderer is called with: one scene, which may be a batch, or a list of scenes of one kind, without batches."""
