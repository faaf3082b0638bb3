"""From objects of collections, sound or not, to voxels of one grid."""

import dataclasses
from typing import Annotated, get_args

import numpy as np
import numpy.typing as npt
import tyro

from render3d.datasets.checks import check_at_least, check_choice
from render3d.datasets.collections.upright import Up, upright
from render3d.errors import MeshError
from render3d.scenes import Mesh, Volume
from render3d.scenes.voxels import Kind

Voxels = npt.NDArray[np.bool_]

# The share by which objects are made smaller, so that what lies in the border of the margin touches no voxel of it.
_SLACK = 1e-4


@dataclasses.dataclass(frozen=True, kw_only=True)
class VoxelizedSettings:
    """How objects become voxels.

    The middle of the bounding box of an object is put into the middle of the grid, and the longest side of the box
    reaches from margin to margin; the object is not turned, but for what ``up`` says.

    Attributes:
        size: Voxels along each side of the grid: 30, as for the other datasets.
        margin: Voxels that stay empty at each border. One, so that surfaces of the volume are closed.
        kind: As in `Volume.from_mesh`. ``"filled"``, the surface and all that it encloses: models of collections are
            seldom closed, and their boards and legs are often thinner than a voxel, so ``"solid"`` would lose them.
        up: The axis of the files that points up, and becomes +y: ``"y"`` in ShapeNet and in furniture, ``"z"`` in
            ModelNet.
    """

    size: Annotated[int, tyro.conf.arg(name="resolution")] = 30
    margin: int = 1
    kind: Kind = "filled"
    up: Up = "y"

    def __post_init__(self) -> None:
        check_at_least(0, margin=self.margin)
        check_at_least(2 * self.margin + 1, size=self.size)
        check_choice("kind", self.kind, get_args(Kind))
        check_choice("up", self.up, get_args(Up))


def voxels_of(mesh: Mesh, settings: VoxelizedSettings) -> Voxels:
    """``[size, size, size]``, axes (z, y, x), of one mesh; broken faces of it are left out.

    Raises:
        MeshError: Nothing of it can be used, or all of it is in one place.
        VolumeError: No voxel is in it.
    """
    mesh = mesh.without_colors() if _is_sound(mesh) else mesh.without_colors().repair()
    vertices = upright(mesh, settings.up).vertices.double()
    used = vertices[mesh.faces.reshape(-1)]
    low, high = used.amin(0), used.amax(0)
    half = float((high - low).max()) / 2
    if half == 0:
        raise MeshError(f"{mesh.source or 'The mesh'}: all its faces are in one place.")
    extent = half * (1 + _SLACK) * settings.size / (settings.size - 2 * settings.margin)
    centered = mesh.with_vertices(vertices - (low + high) / 2)
    volume = Volume.from_mesh(centered, settings.size, kind=settings.kind, extent=extent)
    voxels: Voxels = (volume.values[0] > 0).numpy()
    return voxels


def _is_sound(mesh: Mesh) -> bool:
    """Whether it can be voxelised as it is; `Mesh.check` tells more, and takes longer."""
    inside = int(mesh.faces.min()) >= 0 and int(mesh.faces.max()) < len(mesh.vertices)
    return inside and bool(mesh.vertices.isfinite().all())
