"""Regularisers: what makes one scene better than another when the images do not say. All are differentiable."""

import math

import torch
from torch import Tensor

from render3d.errors import MeshError
from render3d.scenes import Mesh, Volume
from render3d.scenes.topology import edges_of, face_pairs


def laplacian_energy(mesh: Mesh) -> Tensor:
    """``[*batch]``: the sum over edges of their squared length, scene units squared.

    It is ``tr(v^T L v)`` with the combinatorial Laplacian L, the energy whose implicit descent is the preconditioner of
    `render3d.fitting`. It pulls a mesh together: weigh it lightly.
    """
    first, second = edges_of(mesh.faces).ends.unbind(-1)
    return (mesh.vertices[..., first, :] - mesh.vertices[..., second, :]).square().sum((-1, -2))


def normal_consistency(mesh: Mesh) -> Tensor:
    """``[*batch]``: the mean over inner edges of one minus the cosine between the normals of their two faces, 0-2.

    Zero for a plane; it does not shrink. Edges of one face only, and those of more than two, take no part.

    Raises:
        MeshError: No edge belongs to two faces.
    """
    pairs = face_pairs(mesh.faces)
    if len(pairs) == 0:
        raise MeshError("normal_consistency needs faces that share an edge; the mesh has none. Merge its vertices.")
    normals = mesh.face_normals()
    cosine = (normals[..., pairs[:, 0], :] * normals[..., pairs[:, 1], :]).sum(-1)
    return (1 - cosine).mean(-1)


def total_variation(volume: Volume) -> Tensor:
    """``[*batch]``: how much surface a volume has, and how sharp, scene units squared.

    The sum over pairs of voxels that share a face of ``area of the face * |difference of occupancy|`` (Rudin, Osher and
    Fatemi, "Nonlinear total variation based noise removal algorithms", 1992, with the differences along the axes). Of a
    solid it is the area of its surface as seen along the three axes, whatever the resolution: ``2 (ab + bc + ca)`` for
    a box. What ends at the border of the cube has no surface there.
    """
    occupancy = volume.occupancy[..., 0, :, :, :]
    sides = [2 * volume.extent / cells for cells in volume.resolution]
    along = [
        occupancy.diff(dim=axis - 3).abs().sum((-1, -2, -3)) * (math.prod(sides) / sides[axis]) for axis in range(3)
    ]
    return torch.stack(along).sum(0)


def sparsity(volume: Volume) -> Tensor:
    """``[*batch]``: the share of the cube that is occupied, the mean of the occupancy, 0-1; less is sparser.

    It is the L1 norm of the occupancy, which pulls to zero what no image needs. Weigh it lightly: fog is sparser than a
    solid, and many thin voxels one behind the other make as opaque a silhouette.
    """
    return volume.occupancy.mean((-1, -2, -3, -4))
