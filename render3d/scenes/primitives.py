"""Simple shapes to start a fit from."""

import torch

from render3d.scenes.mesh import Mesh


def icosphere(subdivisions: int, radius: float) -> Mesh:
    """A sphere of ``20 * 4**subdivisions`` triangles; see `Mesh.icosphere`.

    Raises:
        ValueError: A radius that is not above zero, or subdivisions outside 0-8 (over a million faces).
    """
    import trimesh

    if not 0 <= subdivisions <= 8:
        raise ValueError(f"subdivisions must be from 0 to 8; got {subdivisions}.")
    if not radius > 0:
        raise ValueError(f"radius must be above zero; got {radius}.")
    sphere = trimesh.creation.icosphere(subdivisions, radius)
    return Mesh(torch.tensor(sphere.vertices, dtype=torch.float32), torch.tensor(sphere.faces))
