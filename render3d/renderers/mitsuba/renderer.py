"""The renderer: what Mitsuba's rays meet, shaded in torch, with the gradients of surfaces and edges."""

from collections.abc import Sequence
from typing import final

import torch
from torch import Tensor

from render3d.cameras import Cameras, Rays
from render3d.images import CHANNELS
from render3d.renderers.base import FULL_GRADIENTS, Capabilities
from render3d.renderers.deferred import deferred
from render3d.renderers.drawing import RendersOneByOne, TakesShading, of_one_type
from render3d.renderers.mitsuba.edges import Edges, edge_term, facing
from render3d.renderers.mitsuba.tracer import Surface, Tracer, look, shared_tracer
from render3d.renderers.mitsuba.variants import VARIANTS, Variant, choose
from render3d.renderers.shading import Shading
from render3d.renderers.surfaces import follow_rays
from render3d.scenes import Mesh

_MEANS = ("rgb", "alpha")  # over the area of a pixel; the others are those at its centre


@final
class Mitsuba(TakesShading, RendersOneByOne):
    """A mesh renderer on Mitsuba 3, with gradients of its own.

    Mitsuba casts the rays. Of the face that each meets first, and of where on it, come the same images as from every
    renderer, with the common `Shading`: no shadows and nothing reflected. Cameras of any kind are exact.

    Args:
        shading: Lights, background, culling, normals and supersampling.
        variant: ``"llvm_ad_rgb"`` (CPU), ``"cuda_ad_rgb"`` (needs an NVIDIA GPU with OptiX) or ``"scalar_rgb"`` (CPU,
            one ray at a time, slow). None takes the second for scenes on a GPU, else the first if there is an LLVM for
            it, else the last. Images and gradients are the same.
        samples: Points on an edge for each pixel of its length, for the gradient of ``rgb`` and ``alpha``.

    Differentiable in vertices, colours, texture, lights and cameras. Images of surfaces follow what a pixel shows.
    ``rgb`` and ``alpha`` are means over the area of a pixel to the gradient, whatever `Shading.samples_per_pixel` is:
    moving edges count, those of silhouettes and, where they part colours, creases. Not counted are the lines where
    faces pass through one another and where ``near`` or ``far`` cut them. ``face_index`` has no gradient.

    The current variant of ``import mitsuba`` is left as it was found; if it was not set, this one is set.

    Raises:
        RendererError: When first called: Mitsuba is not installed or broken, or lacks the LLVM or the GPU that the
            variant needs.
    """

    def __init__(self, shading: Shading | None = None, *, variant: Variant | None = None, samples: int = 2) -> None:
        if variant is not None and variant not in VARIANTS:
            raise ValueError(f"variant must be None, for the best, or one of {', '.join(VARIANTS)}; got {variant!r}.")
        if samples < 1:
            raise ValueError(f"samples must be at least 1; got {samples}.")
        super().__init__(shading)
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

    def draw(self, mesh: Mesh, cameras: Cameras, outputs: Sequence[str]) -> dict[str, Tensor]:
        """As `RendersOneByOne.draw`."""
        tracer = shared_tracer(choose(self.variant, mesh.device))
        mesh, cameras = of_one_type(mesh, cameras)
        views = [cameras[view : view + 1] for view in range(cameras.views)]
        means = [name for name in _MEANS if name in outputs]
        with tracer.sees(mesh.vertices, mesh.faces):
            surface = self._look(tracer, mesh, cameras, views)
            images = self._shade(mesh, cameras, surface, outputs)
            if means and _moves(mesh, cameras):
                edges = Edges.of(mesh)
                terms = [
                    self._edges(tracer, mesh, view, edges, seen, means)
                    for view, seen in zip(views, surface.face, strict=True)
                ]
                parts = torch.split(torch.cat(terms), [CHANNELS[name] for name in means], dim=1)
                images |= {name: images[name] + part for name, part in zip(means, parts, strict=True)}
        return images

    def _look(self, tracer: Tracer, mesh: Mesh, cameras: Cameras, views: Sequence[Cameras]) -> Surface:
        """What the pixels of all views show."""
        rays = cameras.rays()
        if self.shading.cull == "none":
            surface = look(tracer, cameras, rays)
        else:
            found = []
            for view in views:
                tracer.fill(mesh.vertices, self._drawn(mesh, view))
                found.append(look(tracer, view, view.rays()))
            surface = Surface(*(torch.cat(parts) for parts in zip(*found, strict=True)))
        if not _moves(mesh, cameras):
            return surface
        seen = surface.face >= 0
        corners = mesh.vertices[mesh.faces[surface.face[seen]]]
        followed = follow_rays(surface.weights[seen], corners, Rays(*(part[seen] for part in rays)))
        return surface._replace(weights=surface.weights.index_put((seen,), followed))

    def _shade(self, mesh: Mesh, cameras: Cameras, surface: Surface, outputs: Sequence[str]) -> dict[str, Tensor]:
        """At least these images, differentiable where surfaces are seen."""
        face = surface.face[:, None]
        if set(outputs) <= {"alpha", "face_index"}:
            return {"alpha": (face >= 0).float(), "face_index": face}
        return deferred(mesh, cameras, face, surface.weights.movedim(-1, 1), self.shading)

    def _edges(
        self, tracer: Tracer, mesh: Mesh, view: Cameras, edges: Edges, seen: Tensor, means: Sequence[str]
    ) -> Tensor:
        """``[1, C, H, W]``: what edges add to the gradient of these images, which have C channels.

        Args:
            tracer: It holds the mesh.
            mesh: One mesh.
            view: One view.
            edges: Those of the mesh.
            seen: ``[H, W]``, the faces that its pixels show.
            means: Names of images.
        """
        sides = facing(mesh, view)
        if self.shading.cull != "none":
            tracer.fill(mesh.vertices, self._drawn(mesh, view))
        still, still_view = mesh.detach(), view.detach()

        def show(pixels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
            surface = look(tracer, still_view, still_view.rays_through(pixels[None]))
            line = Surface(*(part[:, None] for part in surface))  # an image of one row
            images = self._shade(still, still_view, line, means)
            image = torch.cat([images[name] for name in means], dim=1)[0, :, 0].T
            return image, surface.face[0], surface.depth[0]

        folds = edges.folds(mesh, view)
        outlines, creases = edges.outlines(folds), edges.creases(folds, sides, seen)
        if "rgb" not in means:
            creases = torch.zeros_like(creases)
        elif self.shading.normals == "smooth" and mesh.face_colors is None:
            creases &= edges.parted  # elsewhere neighbours look the same
        return edge_term(mesh, view, edges, outlines, creases, show, self.samples)

    def _drawn(self, mesh: Mesh, view: Cameras) -> Tensor:
        """The faces, those that are not drawn without an area."""
        drawn = facing(mesh, view) * {"back": 1, "front": -1}[self.shading.cull] > 0
        return mesh.faces * drawn[:, None]

    def __repr__(self) -> str:
        return f"Mitsuba({self.shading}, variant={self.variant!r}, samples={self.samples})"


def _moves(mesh: Mesh, cameras: Cameras) -> bool:
    """Whether anything that is waited for changes where surfaces are seen."""
    shapes = (mesh.vertices, cameras.world_to_camera, cameras.intrinsics)
    return torch.is_grad_enabled() and any(tensor.requires_grad for tensor in shapes)
