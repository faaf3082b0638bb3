"""Whether faces have the vertices that they name."""

from typing import TYPE_CHECKING

from render3d.errors import MeshError

if TYPE_CHECKING:
    from render3d.scenes.mesh import Mesh


def check_indices(mesh: "Mesh") -> None:
    """Raise `MeshError` for faces with an index that no vertex has."""
    count = mesh.vertices.shape[-2]
    if len(mesh.faces) and not 0 <= int(mesh.faces.min()) <= int(mesh.faces.max()) < count:
        raise MeshError(
            f"{mesh.source or 'The mesh'} has faces with indices outside 0-{count - 1}. mesh.repair() drops such faces."
        )
