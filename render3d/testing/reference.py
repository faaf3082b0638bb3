"""A complete renderer in NumPy: slow, exact, and what the others are tested against."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from render3d.cameras import Cameras
from render3d.images import CHANNELS
from render3d.renderers.base import Capabilities
from render3d.renderers.deferred import deferred
from render3d.renderers.drawing import RendersOneByOne, TakesShading
from render3d.scenes import Mesh


class NumpyRenderer(TakesShading, RendersOneByOne):
    """Looks through every pixel at every face and keeps the nearest, in float64. Not differentiable."""

    @property
    def capabilities(self) -> Capabilities:
        """Every image of a mesh, without gradients."""
        return Capabilities(
            name="NumPy", outputs=tuple(CHANNELS), batched=False, device="cpu", licence="MIT", reach=self.shading.reach
        )

    def draw(self, mesh: Mesh, cameras: Cameras, outputs: Sequence[str]) -> dict[str, torch.Tensor]:
        """As `RendersOneByOne.draw`."""
        shading = self.shading.in_numbers("NumPy")
        mesh, cameras = mesh.detach().to("cpu"), cameras.detach().to("cpu")
        looks = [self._look(mesh, cameras[view]) for view in range(cameras.views)]
        face, weights = (torch.from_numpy(np.stack(images)) for images in zip(*looks, strict=True))
        return deferred(mesh, cameras, face, weights, shading)

    def _look(self, mesh: Mesh, camera: Cameras) -> tuple[Any, Any]:
        """Which face each pixel shows ``[1, H, W]``, and where on it ``[3, H, W]``."""
        (height, width), pose = camera.image_size, camera.world_to_camera[0].double().numpy()
        corners = (mesh.vertices.double().numpy() @ pose[:3, :3].T + pose[:3, 3])[mesh.faces.numpy()]  # [F, 3, xyz]
        plane = corners if camera.projection == "perspective" else corners * [1, 1, 0] + [0, 0, 1]
        edges = np.cross(plane[:, [1, 2, 0]], plane[:, [2, 0, 1]])  # edge functions (Olano and Greer 1997)
        side = (plane[:, 0] * edges[:, 0]).sum(-1)  # negative where a face shows its front
        drawn = {"none": side != 0, "back": side < 0, "front": side > 0}[self.shading.cull]
        row, column = np.divmod(np.arange(height * width), width)
        rays = np.linalg.inv(camera.intrinsics[0].double().numpy()) @ [column + 0.5, row + 0.5, np.ones(len(row))]
        face, weights = np.full((1, height, width), -1), np.zeros((3, height, width))
        few = max(1, 2**16 // len(edges))  # pixels at a time: the processor's cache holds their pairs with faces
        for first in range(0, len(row), few):
            w = edges.swapaxes(0, 1) @ rays[:, first : first + few]  # [3 corners, F, pixels]
            hit, pixel = np.nonzero(((w.min(0) >= 0) | (w.max(0) <= 0)) & drawn[:, None])
            with np.errstate(invalid="ignore"):  # rays parallel to a face
                shares = w[:, hit, pixel] / w[:, hit, pixel].sum(0)
            z = (shares * corners[hit, :, 2].T).sum(0)
            order = np.lexsort((z, pixel))  # the nearest first
            order = order[((z > camera.near) & (z < camera.far))[order]]
            seen, nearest = np.unique(pixel[order], return_index=True)
            shown, place = order[nearest], (row[first + seen], column[first + seen])
            face[0, *place], weights[:, *place] = hit[shown], shares[:, shown]
        return face, weights
