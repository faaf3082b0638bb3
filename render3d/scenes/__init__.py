"""Scenes: what is rendered."""

from collections.abc import Sequence

from render3d.scenes.kind import SceneKind
from render3d.scenes.mesh import Mesh
from render3d.scenes.texture import Texture
from render3d.scenes.volume import Volume

__all__ = ["Mesh", "Scene", "SceneKind", "Texture", "Volume"]

Scene = SceneKind | Sequence[SceneKind]
"""What a renderer is called with: one scene, which may be a batch, or a list of scenes of one kind, without batches."""
