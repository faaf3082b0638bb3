"""nvdiffrast behind the seam: its rasteriser and its antialiasing, with the shading of every other renderer.

Written from nvdiffrast 0.4.0 and tested on a stand-in; unchecked on a GPU so far.
"""

import dataclasses
import threading
from collections.abc import Iterator, Sequence
from typing import Any, final

import torch
from torch import Tensor
from torch.nn.functional import pad

from render3d.batches import broadcast_shapes
from render3d.cameras import Cameras
from render3d.conventions import to_nvdiffrast
from render3d.images import CHANNELS
from render3d.optional import NVDIFFRAST
from render3d.renderers.base import FULL_GRADIENTS, Capabilities
from render3d.renderers.cuda import load_for_cuda
from render3d.renderers.deferred import deferred
from render3d.renderers.drawing import RendersBatches, TakesShading
from render3d.scenes import Mesh

_EXACT_IN_FLOAT = 2**24
_LARGE_NUMBERS = 0x4A800000  # what nvdiffrast adds to larger numbers, whose bits it then stores (csrc/common/common.h)


@final
class Nvdiffrast(TakesShading, RendersBatches):
    """A differentiable mesh renderer on nvdiffrast: CUDA only, all meshes and views of a batch at once.

    **Unchecked on a GPU so far.** nvdiffrast's licence allows research and evaluation only, and no commercial use.

    What each pixel shows, and where on it, is nvdiffrast's; colours, depths and normals are made of that in torch, as
    for every renderer. Then nvdiffrast's antialiasing blends ``rgb`` and ``alpha`` across silhouettes with background
    and with other surfaces, by the share of the pixel that the edge cuts off: pixels on an edge are fractions with one
    sample a pixel, too. That is what carries gradients of edges. The other images are sharp.

    Args:
        shading: Lights, background, culling, normals and supersampling. With culling, images are drawn one by one, for
            each leaves out other faces.

    Raises:
        RendererError: When called: nvdiffrast is not installed, was built for another torch or fails on import; no CUDA
            device; a scene elsewhere.

    Differentiable in vertices, colours, textures, lights, poses and intrinsics. Not differentiable: ``face_index``;
    where near and far cut a surface; edges that two surfaces make by passing through each other. Antialiasing knows
    vertices by their numbers: a mesh with split vertices has silhouettes along every split; see `Mesh.merged`. It looks
    at the faces that pixels show and no others: an edge whose face is thinner than a pixel there is left sharp, without
    a gradient, so that fine meshes want large images or supersampling. Edges of faces that reach behind the camera may
    be blended wrongly.

    Source: Laine et al., "Modular Primitives for High-Performance Differentiable Rendering", ACM TOG 39(6), 2020.
    """

    @property
    def capabilities(self) -> Capabilities:
        """All images of a mesh and all gradients, on CUDA."""
        return Capabilities(
            name="Nvdiffrast",
            outputs=tuple(CHANNELS),
            gradients=FULL_GRADIENTS,
            batched=True,
            device="cuda",
            licence="LicenseRef-NSCL",  # its own name for it: Nvidia Source Code License (1-Way Commercial)
        )

    def draw(self, meshes: Mesh, cameras: Cameras, outputs: Sequence[str]) -> dict[str, Tensor]:
        """As `RendersBatches.draw`."""
        ops = load_for_cuda(NVDIFFRAST, meshes.device).torch
        rasters = list(self._rasters(ops, meshes, cameras))
        face_index = torch.cat([raster.face_index() for raster in rasters])
        barycentric = torch.cat([raster.barycentric() for raster in rasters])
        batch = broadcast_shapes(meshes.batch_shape, cameras.batch_shape, names=("scene", "cameras"))
        shape = (*batch, cameras.views, -1, *cameras.image_size)
        images = deferred(meshes, cameras, face_index.reshape(shape), barycentric.reshape(shape), self.shading)
        if blended := [name for name in ("rgb", "alpha") if name in outputs]:
            sharp = torch.cat([images[name] for name in blended], dim=-3).flatten(0, -4).float()
            chunks = torch.split(sharp, [len(raster.positions) for raster in rasters])
            parts = [raster.antialias(chunk) for raster, chunk in zip(rasters, chunks, strict=True)]
            smooth = torch.cat(parts).reshape(shape)
            images |= {"rgb": smooth[..., :3, :, :], "alpha": smooth[..., -1:, :, :]}
        return {name: images[name] for name in outputs}

    def _rasters(self, ops: Any, meshes: Mesh, cameras: Cameras) -> Iterator["_Raster"]:
        """What the ``[*batch, views]`` images show: in one job, or one for each image if faces are culled.

        nvdiffrast culls nothing, and meshes that are drawn together share their faces.
        """
        points = pad(meshes.vertices, (0, 1), value=1.0)[..., None, :, :]
        positions = (points @ to_nvdiffrast(cameras).world_to_clip.to(points).mT).flatten(0, -3).float().contiguous()
        if self.shading.cull == "none":
            yield _Raster.of(ops, positions, meshes.faces, cameras.image_size)
            return
        # A face's volume with the camera has the sign of its area on the screen, wherever its corners lie.
        volumes = torch.linalg.det(positions.detach()[:, meshes.faces][..., [0, 1, 3]].double())
        drawn = volumes > 0 if self.shading.cull == "back" else volumes < 0
        for number, kept in enumerate(drawn):
            yield _Raster.of(ops, positions[number : number + 1], meshes.faces, cameras.image_size, kept)


@final
@dataclasses.dataclass(frozen=True)
class _Raster:
    """What nvdiffrast rasterised, whose row 0 is the bottom row; all that comes in and goes out here begins at the top.

    Attributes:
        ops: The module ``nvdiffrast.torch``.
        positions: ``[N, V, 4]`` float32, clip space.
        triangles: ``[F, 3]`` int32, the faces that were drawn.
        numbers: ``[F]`` int64, which faces of the mesh these are.
        rast: ``[N, H, W, 4]`` float32: weights of the first and the second vertex, normalised depth, and the number of
            the face, counted from one.
    """

    ops: Any
    positions: Tensor
    triangles: Tensor
    numbers: Tensor
    rast: Tensor

    @classmethod
    def of(
        cls, ops: Any, positions: Tensor, faces: Tensor, image_size: tuple[int, int], kept: Tensor | None = None
    ) -> "_Raster":
        """Rasterise all ``faces`` [F, 3], or those that are ``kept`` [F]."""
        numbers = torch.arange(len(faces), device=faces.device) if kept is None else kept.nonzero()[:, 0]
        # It refuses to draw nothing, so a face without area, which covers no pixel, stands for no faces.
        triangles = (faces[numbers] if len(numbers) else faces[:1, :1].expand(1, 3)).int().contiguous()
        rast, _ = ops.rasterize(_context_of(ops, positions.device), positions, triangles, image_size, grad_db=False)
        return cls(ops, positions, triangles, numbers, rast)

    def face_index(self) -> Tensor:
        """``[N, 1, H, W]`` int64, -1 where nothing is."""
        return pad(self.numbers, (1, 0), value=-1)[face_numbers(self.rast[..., 3])].flip(1)[:, None]

    def barycentric(self) -> Tensor:
        """``[N, 3, H, W]``, perspective-correct, differentiable in the positions."""
        first, second = self.rast[..., :2].flip(1).unbind(-1)
        return torch.stack([first, second, 1 - first - second], dim=1)

    def antialias(self, images: Tensor) -> Tensor:
        """Images ``[N, C, H, W]`` float32, blended across silhouettes; differentiable in them and in the positions."""
        colors = images.movedim(1, -1).flip(1).contiguous()
        blended: Tensor = self.ops.antialias(colors, self.rast, self.positions, self.triangles)
        return blended.flip(1).movedim(-1, 1)


def face_numbers(stored: Tensor) -> Tensor:
    """Which face each pixel shows, counted from one, 0 where nothing is: int64, of the floats that nvdiffrast stores.

    A float holds whole numbers up to 2**24; larger ones are stored by their bits (``float_to_triidx`` there).
    """
    bits = stored.detach().contiguous().view(torch.int32) - _LARGE_NUMBERS
    return torch.where(stored <= _EXACT_IN_FLOAT, stored.detach().int(), bits).long()


_contexts = threading.local()
"""nvdiffrast's contexts: one for each device and thread, since a context's buffers serve one call at a time."""


def _context_of(ops: Any, device: torch.device) -> Any:
    """The context of a device in this thread, made on first use."""
    own = vars(_contexts)
    if str(device) not in own:
        own[str(device)] = ops.RasterizeCudaContext(device=device)
    return own[str(device)]
