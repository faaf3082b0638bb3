"""The renderer: what Mitsuba's rays meet, shaded in torch, with the gradients of surfaces and edges."""

from collections.abc import Sequence
from typing import final

import torch
from torch import Generator, Tensor

from render3d.cameras import Cameras, Rays
from render3d.errors import BackEndError
from render3d.images import CHANNELS, Rendering
from render3d.randomness import Key
from render3d.renderers.base import FULL_GRADIENTS, Capabilities, Shading
from render3d.renderers.deferred import deferred
from render3d.renderers.edges import Edges, edge_term, facing
from render3d.renderers.mitsuba.tracer import Tracer, shared_tracer
from render3d.renderers.mitsuba.variants import Variant, choose
from render3d.renderers.one_by_one import render_one_by_one
from render3d.renderers.surfaces import follow_rays
from render3d.scenes import Mesh, Scene

_MEANS = ("rgb", "alpha")  # over the area of a pixel; the others are those at its centre


@final
class Mitsuba:
    """A mesh renderer on Mitsuba 3, with gradients of its own.

    Mitsuba casts the rays. Of the face that each meets first, and of where on it, come the same images as from every
    back end, with the common `Shading`: no shadows and nothing reflected. Cameras of any kind are exact.

    Args:
        shading: Lights, background, culling, normals and supersampling.
        variant: ``"llvm_ad_rgb"`` (CPU), ``"cuda_ad_rgb"`` (needs an NVIDIA GPU with OptiX) or ``"scalar_rgb"`` (CPU,
            one ray at a time, slow). None takes the second for scenes on a GPU, else the first if there is an LLVM for
            it, else the last. Images and gradients are the same.
        samples: Points on an edge for each pixel of its length, for the gradient of ``rgb`` and ``alpha``.

    Differentiable in vertices, colours, texture and cameras. Images of surfaces follow what a pixel shows. ``rgb`` and
    ``alpha`` are means over the area of a pixel to the gradient, whatever `Shading.samples_per_pixel` is: moving edges
    count, those of silhouettes and, where they part colours, creases. Not counted are the lines where faces pass
    through one another and where ``near`` or ``far`` cut them. ``face_index`` has no gradient; nor have settings.

    The current variant of ``import mitsuba`` is left as it was found; if it was not set, this one is set.

    Raises:
        BackEndError: When first called: Mitsuba is not installed or broken, or lacks the LLVM or the GPU that the
            variant needs.
    """

    def __init__(self, shading: Shading | None = None, *, variant: Variant | None = None, samples: int = 4) -> None:
        if variant not in (None, "llvm_ad_rgb", "cuda_ad_rgb", "scalar_rgb"):
            raise BackEndError(
                f"variant must be 'llvm_ad_rgb', 'cuda_ad_rgb', 'scalar_rgb' or None for the best; got {variant!r}."
            )
        if samples < 1:
            raise ValueError(f"samples must be at least 1; got {samples}.")
        self.shading = shading or Shading()
        self.variant = variant
        self.samples = samples

    @property
    def capabilities(self) -> Capabilities:
        """All images of a mesh, with all gradients."""
        return Capabilities(
            name="Mitsuba",
            outputs=tuple(CHANNELS),
            gradients=FULL_GRADIENTS,
            batched=False,
            device="cuda" if self.variant == "cuda_ad_rgb" else "cpu",
            licence="BSD-3-Clause",
            reach=self.shading.reach,
        )

    def __call__(
        self,
        scene: Scene,
        cameras: Cameras,
        outputs: Sequence[str] = ("rgb", "alpha"),
        *,
        generator: Generator | Key | None = None,
    ) -> Rendering:
        """Render; see `render3d.renderers.Renderer`. ``generator`` is not used: nothing here is random."""
        return render_one_by_one(self._draw, self.capabilities, self.shading.samples_per_pixel, scene, cameras, outputs)

    def _draw(self, mesh: Mesh, cameras: Cameras, outputs: Sequence[str]) -> dict[str, Tensor]:
        tracer = shared_tracer(choose(self.variant, mesh.device))
        with tracer.sees(mesh.vertices, mesh.faces):
            images = self._surfaces(tracer, mesh, cameras)
            means = [name for name in _MEANS if name in outputs]
            if means and _moves(mesh, cameras):
                edges = Edges.of(mesh)
                terms = [self._edges(tracer, mesh, cameras[view : view + 1], edges, means) for view in _views(cameras)]
                parts = torch.cat(terms).split([CHANNELS[name] for name in means], dim=1)
                images |= {name: images[name] + part for name, part in zip(means, parts, strict=True)}
        return images

    def _surfaces(self, tracer: Tracer, mesh: Mesh, cameras: Cameras) -> dict[str, Tensor]:
        """All images, differentiable where surfaces are seen."""
        rays = cameras.rays()
        if self.shading.cull == "none":
            face, weights = _look(tracer, cameras, rays)
        else:
            looks = []
            for view in _views(cameras):
                tracer.fill(mesh.vertices, self._drawn(mesh, cameras[view : view + 1]))
                looks.append(_look(tracer, cameras[view : view + 1], Rays(*(part[view : view + 1] for part in rays))))
            face, weights = (torch.cat(parts) for parts in zip(*looks, strict=True))
        if _moves(mesh, cameras):
            seen = face >= 0
            corners = mesh.vertices[mesh.faces[face[seen]]]
            followed = follow_rays(weights[seen], corners, Rays(*(part[seen] for part in rays)))
            weights = weights.index_put((seen,), followed)
        return deferred(mesh, cameras, face[:, None], weights.movedim(-1, 1), self.shading)

    def _edges(self, tracer: Tracer, mesh: Mesh, camera: Cameras, edges: Edges, means: Sequence[str]) -> Tensor:
        """``[1, C, H, W]``: what edges add to the gradient of these images of one view, which have C channels."""
        sides = facing(mesh, camera)
        if self.shading.cull != "none":
            tracer.fill(mesh.vertices, self._drawn(mesh, camera))
        still, still_camera = mesh.detach(), camera.detach()

        def show(pixels: Tensor) -> tuple[Tensor, Tensor]:
            face, weights = _look(tracer, still_camera, still_camera.rays_through(pixels[None]))
            images = deferred(still, still_camera, face[:, None, None], weights.mT[:, :, None], self.shading)
            image = torch.cat([images[name] for name in means], dim=1)[0, :, 0].T
            return image, torch.where(face[0] >= 0, images["depth"][0, 0, 0], torch.inf)

        creased = "rgb" in means and (self.shading.normals == "flat" or mesh.face_colors is not None)
        chosen = edges.outlines(sides)
        return edge_term(mesh, camera, edges, torch.ones_like(chosen) if creased else chosen, show, self.samples)

    def _drawn(self, mesh: Mesh, camera: Cameras) -> Tensor:
        """The faces, those that are not drawn without an area."""
        drawn = facing(mesh, camera) * {"back": 1, "front": -1}[self.shading.cull] > 0
        return mesh.faces * drawn[:, None]

    def __repr__(self) -> str:
        return f"Mitsuba({self.shading}, variant={self.variant!r}, samples={self.samples})"


def _views(cameras: Cameras) -> range:
    return range(cameras.views)


def _moves(mesh: Mesh, cameras: Cameras) -> bool:
    """Whether anything that is waited for changes where surfaces are seen."""
    shapes = (mesh.vertices, cameras.world_to_camera, cameras.intrinsics)
    return torch.is_grad_enabled() and any(tensor.requires_grad for tensor in shapes)


@torch.no_grad()
def _look(tracer: Tracer, cameras: Cameras, rays: Rays) -> tuple[Tensor, Tensor]:
    """The face ``[views, ...]`` that each ray ``[views, ..., 3]`` meets between near and far, and weights ``[..., 3]``."""
    shape = rays.directions.shape[:-1]
    forward = cameras.rotation[:, 2].reshape(-1, *[1] * (len(shape) - 1), 3)
    cosine = (rays.directions * forward).sum(-1)  # of depth to length
    first = cameras.near / cosine
    origins = rays.origins + first[..., None] * rays.directions
    reach = cameras.far / cosine - first
    face, weights = tracer.cast(origins.reshape(-1, 3), rays.directions.reshape(-1, 3), reach.reshape(-1))
    return face.reshape(shape), weights.reshape(*shape, 3)
