"""PyTorch3D behind the seam: its rasteriser and its soft edges, with the shading that all renderers have."""

import dataclasses
import math
from collections.abc import Sequence
from typing import Any, final

import torch
from torch import Tensor

from render3d.batches import broadcast_shapes
from render3d.cameras import Cameras
from render3d.conventions import to_pytorch3d
from render3d.images import CHANNELS
from render3d.optional import PYTORCH3D
from render3d.renderers.base import FULL_GRADIENTS, Capabilities
from render3d.renderers.deferred import deferred
from render3d.renderers.drawing import RendersBatches, TakesShading
from render3d.renderers.shading import Shading
from render3d.scenes import Mesh

_LEAST = 1e-4  # the probability at which a face ends, as in PyTorch3D's own examples


@final
@dataclasses.dataclass(frozen=True, kw_only=True)
class SoftEdges:
    """How PyTorch3D blurs edges, so that they carry gradients (Liu et al., "Soft Rasterizer", ICCV 2019).

    A face at the signed distance d from a pixel's centre covers it with the probability ``sigmoid(-d |d| / sigma)``,
    and faces of one pixel are independent: ``alpha = 1 - prod(1 - probability)``.

    Attributes:
        sigma: Softness, in squares of half the shorter side of the image. Less is sharper, and carries less far.
        gamma: Softness in depth, for ``rgb``: colours are weighted by ``probability * exp(nearness / gamma)``, with
            nearness from 1 at the near plane to 0 at the far one.
        faces_per_pixel: The nearest faces of a pixel that take part, in order of depth. Where there are more, those
            behind are left out, and their gradients with them.

    Raises:
        ValueError: A value that is not positive.
    """

    sigma: float = 1e-4
    gamma: float = 1e-4
    faces_per_pixel: int = 50

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if not (value > 0 and math.isfinite(value)):
                raise ValueError(f"{field.name} must be positive and finite; got {value}.")


_SOFT = SoftEdges()


@final
class PyTorch3D(TakesShading, RendersBatches):
    """A mesh renderer on PyTorch3D's rasteriser, on the CPU or on CUDA, wherever the scene lives.

    PyTorch3D tells which faces a pixel shows and where on them; images are made of that by the common `Shading`.
    ``rgb`` and ``alpha`` have soft edges unless ``soft`` is None; the other outputs are always those of the one face
    that is nearest at the pixel's centre.

    Args:
        shading: Lights, background, culling, normals and supersampling.
        soft: How edges are blurred. None: they are hard, and no gradient comes of their motion; ``alpha`` is then an
            error for vertices and cameras that require one.

    Raises:
        RendererError: When first called: PyTorch3D is not installed, broken or built for another torch.

    Differentiable in vertices, cameras, colours, textures and lights; ``face_index`` is not. Gradients of soft edges
    are those of the blurred image, with few of whose pixels faces of more than ``faces_per_pixel`` take part.
    """

    def __init__(self, shading: Shading | None = None, soft: SoftEdges | None = _SOFT) -> None:
        super().__init__(shading)
        self.soft = soft

    @property
    def capabilities(self) -> Capabilities:
        """All outputs; gradients of edges where these are soft."""
        return Capabilities(
            name="PyTorch3D",
            outputs=tuple(CHANNELS),
            gradients=FULL_GRADIENTS if self.soft else FULL_GRADIENTS - {"silhouette"},
            batched=True,
            device="any",
            licence="BSD-3-Clause",
            reach=None if self.soft else self.shading.reach,
        )

    def draw(self, mesh: Mesh, cameras: Cameras, outputs: Sequence[str]) -> dict[str, Tensor]:
        """As `RendersBatches.draw`."""
        PYTORCH3D.load()
        blurred = [name for name in outputs if name in ("rgb", "alpha")] if self.soft else []
        images = {}
        if len(blurred) < len(outputs):
            face, weights, _ = self._look(mesh, cameras, None)
            images = deferred(mesh, cameras, face[0], weights[0], self.shading)
        if blurred and self.soft:
            images |= self._blend(mesh, cameras, "rgb" in blurred, self.soft)
        return {name: images[name] for name in outputs}

    def _blend(self, mesh: Mesh, cameras: Cameras, colored: bool, soft: SoftEdges) -> dict[str, Tensor]:
        """``alpha``, and ``rgb`` if it is ``colored``, of all faces that are near a pixel."""
        from pytorch3d.renderer.blending import BlendParams, sigmoid_alpha_blend, softmax_rgb_blend

        face, weights, fragments = self._look(mesh, cameras, soft)
        params = BlendParams(soft.sigma, soft.gamma, torch.as_tensor(self.shading.background).to(weights))
        shape = (*face.shape[1:-3], *cameras.image_size)
        if not colored:
            nothing = weights.new_zeros(*fragments.pix_to_face.shape, 3)
            alpha = sigmoid_alpha_blend(nothing, fragments, params)[..., 3]
            return {"alpha": alpha.reshape(shape)[..., None, :, :]}
        colors = deferred(mesh, cameras, face, weights, self.shading)["rgb"]  # of each of the faces of a pixel
        colors = colors.movedim(0, -1).movedim(-4, -1).flatten(0, -5)  # [N, H, W, K, 3]
        mixed = softmax_rgb_blend(colors, fragments, params, cameras.near, cameras.far)
        images = mixed.reshape(*shape, 4).movedim(-1, -3)
        return {"rgb": images[..., :3, :, :], "alpha": images[..., 3:, :, :]}

    def _look(self, mesh: Mesh, cameras: Cameras, soft: SoftEdges | None) -> tuple[Tensor, Tensor, Any]:
        """Faces ``[K, *batch, views, 1, H, W]``, places on them ``[K, *batch, views, 3, H, W]``, and its fragments."""
        from pytorch3d.renderer import MeshRasterizer, RasterizationSettings
        from pytorch3d.structures import Meshes

        batch = broadcast_shapes(mesh.batch_shape, cameras.batch_shape, names=("scene", "cameras"))
        shape = (*batch, cameras.views)
        order = [0, 2, 1] if self.shading.cull == "front" else [0, 1, 2]  # it leaves out backs: turn all faces round
        vertices = mesh.vertices[..., None, :, :].expand(*shape, -1, -1).flatten(0, -3)
        faces = mesh.faces[:, order].expand(len(vertices), -1, -1)
        settings = RasterizationSettings(
            image_size=cameras.image_size,
            blur_radius=math.log(1 / _LEAST - 1) * soft.sigma if soft else 0.0,
            faces_per_pixel=soft.faces_per_pixel if soft else 1,
            cull_backfaces=self.shading.cull != "none",
            z_clip_value=cameras.near,
        )
        fragments = MeshRasterizer(their_cameras(cameras, shape), settings)(Meshes(vertices, faces))
        found, place = fragments.pix_to_face, fragments.bary_coords[..., order]
        hidden = (found < 0) | (fragments.zbuf > cameras.far)
        fragments = dataclasses.replace(fragments, pix_to_face=found.masked_fill(hidden, -1))
        face = torch.where(hidden, -1, found % len(mesh.faces))
        return (
            face.reshape(*shape, *cameras.image_size, -1).movedim(-1, 0)[..., None, :, :],
            place.reshape(*shape, *cameras.image_size, -1, 3).movedim(-2, 0).movedim(-1, -3),
            fragments,
        )

    def __repr__(self) -> str:
        return f"PyTorch3D({self.shading}, {self.soft})"


def their_cameras(cameras: Cameras, shape: Sequence[int]) -> Any:
    """PyTorch3D's cameras, all in one row, of the leading ``shape``."""
    from pytorch3d.renderer import OrthographicCameras, PerspectiveCameras

    found = to_pytorch3d(cameras)
    kind = PerspectiveCameras if cameras.projection == "perspective" else OrthographicCameras

    def row(tensor: Tensor, event: int) -> Tensor:
        return tensor.expand(*shape, *tensor.shape[-event:]).reshape(-1, *tensor.shape[-event:])

    return kind(
        R=row(found.R, 2),
        T=row(found.T, 1),
        focal_length=row(found.focal_length, 1),
        principal_point=row(found.principal_point, 1),
        in_ndc=True,
        device=cameras.device,
    )
