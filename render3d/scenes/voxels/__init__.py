"""Meshes to voxels and back."""

from typing import Literal

Kind = Literal["solid", "surface", "filled"]
"""What of a mesh is voxelised: see `Volume.from_mesh`."""

__all__ = ["Kind"]
