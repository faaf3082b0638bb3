"""Kaolin behind the seam: its rasteriser and the soft silhouettes of DIB-R, with the shading of every other renderer.

Written from Kaolin 0.18.0 and tested on a stand-in; unchecked on a GPU so far.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any, NamedTuple, final

import torch
from torch import Tensor

from render3d.cameras import Cameras
from render3d.errors import CapabilityError
from render3d.images import CHANNELS
from render3d.optional import KAOLIN
from render3d.renderers.base import FULL_GRADIENTS, Capabilities
from render3d.renderers.cuda import load_for_cuda
from render3d.renderers.deferred import deferred, weights_at_pixels
from render3d.renderers.drawing import RendersBatches, TakesShading
from render3d.renderers.shading import Shading
from render3d.scenes import Mesh


@final
@dataclasses.dataclass(frozen=True, kw_only=True)
class SoftMask:
    """The settings of DIB-R's soft silhouettes, with Kaolin's names and defaults.

    A pixel that no face covers has an alpha of ``1 - prod_f (1 - exp(-sigmainv * d_f**2))``, over the faces f near it;
    one that is covered has 1.

    Attributes:
        sigmainv: How sharp; d is in units in which the image is 2 wide and 2 high, whatever its pixels.
        boxlen: How far outside the bounding box of a face a pixel may lie and still be near it, in the same units.
        knum: How many faces a pixel may be near; further ones, in the order of the mesh, do not count. Memory grows
            with it: 13 bytes for each pixel of a call.

    Source: Chen et al., "Learning to Predict 3D Objects with an Interpolation-based Differentiable Renderer", NeurIPS
    2019, section 3.
    """

    sigmainv: float = 7000.0
    boxlen: float = 0.02
    knum: int = 30

    def __post_init__(self) -> None:
        for name in ("sigmainv", "boxlen", "knum"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be positive; got {getattr(self, name)}.")


_DEFAULT_SOFT = SoftMask()


@final
class Kaolin(TakesShading, RendersBatches):
    """A differentiable mesh renderer on Kaolin (DIB-R): CUDA only, all meshes and views of a batch at once.

    **Unchecked on a GPU so far.**

    Which face each pixel shows is Kaolin's; colours, depths and normals are made of that in torch, as for every
    renderer. ``alpha`` is DIB-R's: 1 where a face is, and beyond it less with distance, so that a gradient of ``alpha``
    reaches edges from outside. ``rgb`` ends where faces end: its gradient is that of surfaces, not of silhouettes.

    Args:
        shading: Lights, background, culling, normals and supersampling.
        soft: The settings of soft silhouettes; or None for sharp ones, which have no gradient: ``alpha`` of vertices
            or cameras that require one is then a `GradientError`.

    Raises:
        RendererError: When called: Kaolin is not installed, was built for another torch or fails on import; no CUDA
            device; a scene elsewhere.
        CapabilityError: When called: a face that reaches through near or far, seen or not. Kaolin does not clip. Faces
            that lie wholly outside near and far are left out.

    Differentiable in vertices, colours, textures, lights, poses and intrinsics. Not differentiable: ``face_index``;
    silhouettes in front of other surfaces.

    Source: Kaolin, render/mesh/rasterization.py and dibr.py; the paper is that of `SoftMask`.
    """

    def __init__(self, shading: Shading | None = None, soft: SoftMask | None = _DEFAULT_SOFT) -> None:
        super().__init__(shading)
        self.soft = soft

    @property
    def capabilities(self) -> Capabilities:
        """All images of a mesh, on CUDA; gradients of silhouettes where they are soft."""
        return Capabilities(
            name="Kaolin",
            outputs=tuple(CHANNELS),
            gradients=FULL_GRADIENTS if self.soft else FULL_GRADIENTS - {"silhouette"},
            batched=True,
            device="cuda",
            licence="Apache-2.0",
        )

    def draw(self, meshes: Mesh, cameras: Cameras, outputs: Sequence[str]) -> dict[str, Tensor]:
        """As `RendersBatches.draw`."""
        ops = load_for_cuda(KAOLIN, meshes.device).render.mesh
        screen = _on_screen(meshes, cameras, self.shading)
        found = _rasterize(ops, screen, cameras.image_size)
        face_index = found.reshape(*screen.corners.shape[:-3], 1, *cameras.image_size)
        weights = weights_at_pixels(screen.corners, cameras, face_index)
        images = deferred(meshes, cameras, face_index, weights, self.shading)
        if self.soft and "alpha" in outputs:
            images["alpha"] = _soft_mask(ops, screen, found, self.soft).reshape(face_index.shape)
        return {name: images[name] for name in outputs}

    def __repr__(self) -> str:
        return f"Kaolin({self.shading}, {self.soft})"


class _Screen(NamedTuple):
    """Faces as N images have them.

    Attributes:
        corners: ``[*batch, views, F, 3, 3]``: camera space.
        image: ``[N, F, 3, 2]`` float32: x right, y up, -1 to 1 from edge to edge of the image.
        nearness: ``[N, F, 3]`` float32: greater where nearer, and linear on the screen.
        drawn: ``[N, F]``: which faces there are; the others' values mean nothing.
    """

    corners: Tensor
    image: Tensor
    nearness: Tensor
    drawn: Tensor


def _on_screen(meshes: Mesh, cameras: Cameras, shading: Shading) -> _Screen:
    """What Kaolin's rasteriser takes. It knows no camera, so that orthographic ones do as well."""
    points = cameras.to_camera_space(meshes.vertices.to(cameras.dtype))
    depth = points[..., 2]
    _check_clipping(depth[..., meshes.faces].flatten(0, -3), cameras)
    inside = ((depth > cameras.near) & (depth < cameras.far))[..., None]
    # Points behind the camera have no image. None is drawn; a constant keeps them from spoiling gradients by infinity.
    points = torch.where(inside, points, points.new_tensor([0.0, 0.0, 1.0]))
    height, width = cameras.image_size
    x, y = cameras.to_pixels(points).unbind(-1)
    image = torch.stack([2 * x / width - 1, 1 - 2 * y / height], dim=-1)
    depth = points[..., 2]
    # Kaolin compares what it interpolates linearly on the screen, as 1 / z of a plane is and z is not.
    nearness = -depth if cameras.projection == "orthographic" else 1 / depth
    image = image.flatten(0, -3)[:, meshes.faces].float()
    nearness, drawn = (values.flatten(0, -2)[:, meshes.faces] for values in (nearness, inside[..., 0]))
    (ax, ay), (bx, by) = ((image[..., i, :] - image[..., 0, :]).unbind(-1) for i in (1, 2))
    area = ax * by - ay * bx  # Kaolin would draw pixels on a face without any
    drawn = drawn.all(-1) & {"none": area != 0, "back": area > 0, "front": area < 0}[shading.cull]
    return _Screen(points[..., meshes.faces, :], image, nearness.float(), drawn)


def _check_clipping(depth: Tensor, cameras: Cameras) -> None:
    """Raise `CapabilityError` if faces whose corners have depths ``[N, F, 3]`` are neither inside nor outside."""
    side = (depth > cameras.near).int() + (depth >= cameras.far).int()
    through = int((side.amin(-1) != side.amax(-1)).any(0).sum())
    if through:
        raise CapabilityError(
            f"Kaolin does not clip, and {through} of {depth.shape[1]} faces reach through near={cameras.near} or "
            f"far={cameras.far}. Move these away from the scene, or use Nvdiffrast or OpenGL."
        )


@torch.no_grad()
def _rasterize(ops: Any, screen: _Screen, image_size: tuple[int, int]) -> Tensor:
    """Which face each pixel shows: ``[N, H, W]`` int64, -1 where nothing is."""
    height, width = image_size
    if not bool(screen.drawn.any()):  # Kaolin would look for a face in an empty list
        return torch.full((len(screen.drawn), height, width), -1, device=screen.drawn.device)
    nothing = screen.image.new_zeros(*screen.nearness.shape, 1)  # it must interpolate something
    _, found = ops.rasterize(
        height, width, screen.nearness, screen.image, nothing, valid_faces=screen.drawn, backend="cuda"
    )
    return torch.as_tensor(found)


def _soft_mask(ops: Any, screen: _Screen, found: Tensor, soft: SoftMask) -> Tensor:
    """``[N, H, W]``: DIB-R's alpha, differentiable in the corners of faces."""
    # All faces count here, drawn or not: those that are not go where no pixel is near them.
    image = torch.where(screen.drawn[..., None, None], screen.image, -2 - soft.boxlen)
    mask: Tensor = ops.dibr_soft_mask(image, found, soft.sigmainv, soft.boxlen, soft.knum)
    return mask
