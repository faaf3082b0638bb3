"""What a black box saw of a mesh, with the gradients that images have between edges."""

import dataclasses
from collections.abc import Sequence
from typing import final

import torch
from torch import Tensor

from render3d.cameras import Cameras
from render3d.renderers.deferred import SurfacePoints, image_of, weights_through
from render3d.renderers.shading import Shading
from render3d.scenes import Mesh


@final
@dataclasses.dataclass(frozen=True)
class SeenMesh:
    """What a black box saw of a mesh.

    Attributes:
        mesh: Its batch broadcasts to ``[*batch]``.
        cameras: As the mesh.
        face_index: ``[*batch, views, 1, H, W]``.
        corners: ``[N, V, 3]``: the vertices in each of the N images, homogeneous: column, row and 1, times the depth
            (times 1 if there is no perspective).
        surface: What the P covered pixels show, if it is asked for.
        depth: ``[P]``, how far away that is, without a gradient; None without a surface.
    """

    mesh: Mesh
    cameras: Cameras
    face_index: Tensor
    corners: Tensor
    surface: SurfacePoints | None
    depth: Tensor | None

    @classmethod
    def of(cls, mesh: Mesh, cameras: Cameras, face_index: Tensor, *, shaded: bool) -> "SeenMesh":
        """What is seen where pixels show these faces; ``shaded``, if more than coverage is asked for."""
        leading = face_index.shape[:-3]
        points = cameras.to_camera_space(mesh.vertices)
        depths = points[..., 2].detach().expand(*leading, -1).reshape(-1)
        if cameras.projection == "orthographic":
            points = torch.cat([points[..., :2], torch.ones_like(points[..., 2:])], -1)
        points = points @ cameras.intrinsics.mT
        points = points.expand(*leading, *points.shape[-2:]).flatten(0, -3)
        surface = depth = None
        if shaded:
            image, row, column = torch.nonzero(face_index.flatten(0, -4)[:, 0] >= 0, as_tuple=True)
            face = face_index.flatten(0, -4)[image, 0, row, column].long()
            vertex = image[:, None] * points.shape[1] + mesh.faces[face]
            pixels = torch.stack([column, row], -1).to(points) + 0.5
            flat = points.reshape(-1, 3)  # corner by corner: the backward pass of an index is slow
            corners = torch.stack([flat.index_select(0, vertex[:, corner]) for corner in range(3)], dim=1)
            weights = weights_through(corners, pixels)
            surface = SurfacePoints(mesh, leading, image, face, weights)
            depth = (depths[vertex] * weights.detach()).sum(1)
        return cls(mesh, cameras, face_index, points, surface, depth)

    @property
    def moves(self) -> bool:
        """Whether anything that requires a gradient changes where surfaces are seen."""
        return self.corners.requires_grad

    def images(self, outputs: Sequence[str], shading: Shading) -> dict[str, Tensor]:
        """Images with the gradients that they have between edges."""
        covered = self.face_index >= 0
        images = {"face_index": self.face_index, "alpha": covered.to(self.corners.dtype)}
        if self.surface is not None:
            where, surface = covered[..., 0, :, :], self.surface
            if "normal" in outputs:
                images["normal"] = image_of(surface.normals(self.cameras, shading), where)
            if "depth" in outputs:
                images["depth"] = image_of(surface.depth(self.cameras)[:, None], where)
            if "barycentric" in outputs:
                images["barycentric"] = image_of(surface.weights, where)
            if "rgb" in outputs:
                lit = surface.reflectance() * surface.light(self.cameras, shading)
                images["rgb"] = image_of(lit, where, torch.as_tensor(shading.background))
        return {name: images[name] for name in outputs}
