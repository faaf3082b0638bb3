"""Noisy realisations of a mesh, as supports see them."""

import dataclasses
import functools
from typing import final

import torch
from torch import Tensor

from render3d.cameras import Cameras
from render3d.estimators.noise import Draw
from render3d.scenes import Mesh


@final
@dataclasses.dataclass(frozen=True)
class Noisy:
    """K noisy realisations of a mesh and the cameras that see them; no gradients.

    Attributes:
        mesh: Without noise.
        cameras: ``[*batch, views]``.
        draw: The noise.
        renderer_name: Who rendered them.
        reach: How many rings of faces round a vertex its motion changes, or None where any pixel may.
    """

    mesh: Mesh
    cameras: Cameras
    draw: Draw
    renderer_name: str
    reach: int | None

    @property
    def faces(self) -> Tensor:
        """``[F, 3]``."""
        return self.mesh.faces

    @property
    def image_size(self) -> tuple[int, int]:
        """Height and width."""
        return self.cameras.image_size

    @functools.cached_property
    def vertices(self) -> Tensor:
        """``[K, *batch, W, V, 3]``, world; W is 1 where the views share the noise."""
        return self.mesh.vertices[..., None, :, :] + self.draw.displacements

    @functools.cached_property
    def bounds(self) -> Tensor:
        """Boxes ``[*batch, views, V, 4]`` of the pixels of each vertex in all samples: least (x, y), minus the most.

        So signed, one box holds others if it is their minimum. Where a vertex is not before a
        perspective camera in some sample, all four are minus infinity: it may be anywhere.
        """
        ends = self.draw.extremes()
        cameras = self.cameras
        vertices = self.vertices if ends is self.draw else self.mesh.vertices[..., None, :, :] + ends.displacements
        rows = cameras.rotation @ vertices.mT + cameras.translation[..., None]  # [K, ..., 3, V]: quicker along rows
        plane, depth = rows[..., :2, :], rows[..., 2:, :]
        if cameras.projection == "perspective":
            plane = plane / depth
        ones = torch.ones_like(plane[0, ..., :1, :])
        low, high = (
            cameras.intrinsics[..., :2, :] @ torch.cat([end, ones], dim=-2) for end in (plane.amin(0), plane.amax(0))
        )
        bounds = torch.cat([low, -high], dim=-2).mT
        if cameras.projection == "orthographic":
            return bounds
        return bounds.masked_fill((depth.amin(0) <= cameras.near).mT, -torch.inf)
