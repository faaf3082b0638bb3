"""A full gradient from one picture: of a black box that tells which face a pixel shows."""

import dataclasses
import functools
import math
from collections.abc import Sequence
from typing import Protocol, final, runtime_checkable

import torch
from torch import Generator, Tensor

from render3d.cameras import Cameras
from render3d.errors import CapabilityError, GradientError
from render3d.images import Rendering
from render3d.precision import without_autocast
from render3d.randomness import Key
from render3d.renderers.base import (
    FULL_GRADIENTS,
    Capabilities,
    Renderer,
    average_samples,
    check_call,
    mesh_list,
    warn_of_empty_views,
)
from render3d.renderers.deferred_shading import Shaded
from render3d.renderers.drawing import of_one_type
from render3d.renderers.edge_gradient.seen import SeenMesh
from render3d.renderers.edge_gradient.term import edge_term
from render3d.renderers.shading import Shading
from render3d.renderers.table import renderers_with_output
from render3d.scenes import Mesh, Scene

_MEANS = ("rgb", "alpha")  # over the area of a pixel; the others are those at its centre


@runtime_checkable
class TellsCover(Protocol):
    """A renderer that finds a face that covers each pixel more quickly than the nearest one."""

    def covering_faces(self, scene: Scene, cameras: Cameras) -> Tensor:
        """``[*batch, views, 1, H, W]`` integers, -1 where nothing is."""
        ...


def tells_faces(renderer: Renderer) -> bool:
    """Whether a renderer tells which face of a mesh a pixel shows."""
    return "face_index" in renderer.capabilities.outputs and Mesh in renderer.capabilities.scenes


@final
class EdgeGradient:
    """A `Renderer` that sees by a black box and has gradients of its own: to shapes, cameras, colours and lights.

    The image is sharp, as that of the black box, and so is the gradient: nothing is random. Between edges, it is that
    of shading the face that a pixel shows. Where two neighbouring pixels show different faces, the nearer surface is
    followed from the centre of one to that of the other, over all edges between them; each edge passes its motion along
    the line, times the jump of the image at it, half to either pixel. Summed over the rows and columns of an image,
    that is the integral over the edges of the jump times their motion across themselves (Stokes).

    Source: Pidhorskyi et al., "Rasterized edge gradients", 2024 (DRTK), for the term of two neighbouring pixels; Laine
    et al., "Modular primitives for high-performance differentiable rendering", 2020 (nvdiffrast), for edges found from
    pixels; Li et al., "Differentiable Monte Carlo ray tracing through edge sampling", 2018, for the integral. DRTK
    moves the triangle that the nearer pixel shows; here the surface is followed to the edge that is crossed.

    Args:
        renderer: A black box of meshes with the output ``face_index``, and, for ``rgb``, a ``shading``.

    ``rgb`` and ``alpha`` are means over the area of a pixel to the gradient. Parts of a surface that no pixel's centre
    shows have no gradient: ask for more samples per pixel if they matter. Not counted are the lines where faces pass
    through one another and where ``near`` or ``far`` cut them. ``face_index`` has no gradient. Without gradients, the
    images are those of the black box itself.

    Raises:
        CapabilityError: A renderer that does not tell which face a pixel shows.
    """

    def __init__(self, renderer: Renderer) -> None:
        able = renderer.capabilities
        if not tells_faces(renderer):
            others = ", ".join(renderers_with_output("face_index"))
            raise CapabilityError(
                f"The gradient of edges needs a renderer that tells which face of a mesh a pixel shows, and "
                f"{able.name} has no output 'face_index'. These have: {others}."
            )
        self.renderer = renderer

    @property
    def capabilities(self) -> Capabilities:
        """Those of the black box, with all gradients."""
        inner = self.renderer.capabilities
        outputs = tuple(name for name in inner.outputs if name != "rgb" or isinstance(self.renderer, Shaded))
        return dataclasses.replace(
            inner, name=f"EdgeGradient({inner.name})", outputs=outputs, gradients=FULL_GRADIENTS, scenes=(Mesh,)
        )

    @property
    def shading(self) -> Shading:
        """That of the black box."""
        return self.renderer.shading if isinstance(self.renderer, Shaded) else Shading()

    @without_autocast
    def __call__(
        self,
        scene: Scene,
        cameras: Cameras,
        outputs: Sequence[str] = ("rgb", "alpha"),
        *,
        generator: Generator | Key | None = None,
    ) -> Rendering:
        """Render; see `render3d.renderers.Renderer`. ``generator`` goes to the black box."""
        if not torch.is_grad_enabled():
            return self.renderer(scene, cameras, outputs, generator=generator)
        check_call(self.capabilities, scene, cameras, outputs)
        fine = math.isqrt(self.shading.samples_per_pixel)
        means = tuple(name for name in outputs if name in _MEANS)
        others = tuple(name for name in outputs if name not in _MEANS)
        if fine == 1:
            images = self._look(scene, cameras, tuple(outputs))
        else:
            height, width = cameras.image_size
            images = self._look(scene, cameras, others) if others else {}
            finer = self._look(scene, cameras.resize(height * fine, width * fine), means) if means else {}
            images |= {name: average_samples(image, fine) for name, image in finer.items()}
        for name, image in images.items():
            if image.requires_grad:
                image.register_hook(functools.partial(_check_finite, name))  # type: ignore[no-untyped-call]
        warn_of_empty_views(rendering := Rendering({name: images[name] for name in outputs}))
        return rendering

    def _look(self, scene: Scene, cameras: Cameras, outputs: Sequence[str]) -> dict[str, Tensor]:
        """Images ``[*batch, views, C, H, W]`` with one sample a pixel, of what the black box sees."""
        with torch.no_grad():
            if outputs == ("alpha",) and isinstance(self.renderer, TellsCover):  # any face leads to the outline
                face_index = self.renderer.covering_faces(scene, cameras)
            else:
                face_index = self.renderer(scene, cameras, ("face_index",)).face_index
        if isinstance(scene, Mesh):
            return _images(scene, cameras, face_index, outputs, self.shading)
        parts = [
            _images(mesh, _of_scene(cameras, number), face_index[..., number, :, :, :, :], outputs, self.shading)
            for number, mesh in enumerate(mesh_list(scene))
        ]
        return {name: torch.stack([part[name] for part in parts], dim=-5) for name in outputs}


def _check_finite(name: str, gradient: Tensor) -> None:
    """Raise `GradientError` if a loss passes back what would spoil all that is upstream."""
    if not bool(gradient.isfinite().all()):
        view = int((~gradient.isfinite()).flatten(-3).any(-1).nonzero()[0, -1])
        raise GradientError(
            f"The gradient of the loss in {name} must be finite; got NaN or infinite values, first in view {view}. "
            "Look for a root, a logarithm or a division at zero: torch.autograd.set_detect_anomaly(True) finds it."
        )


def _of_scene(cameras: Cameras, number: int) -> Cameras:
    """The cameras of one scene of a list: the last dimension of their batch is that of the list, or one."""
    if not cameras.batch_shape:
        return cameras
    return cameras[..., number if cameras.batch_shape[-1] > 1 else 0, :]


def _images(
    mesh: Mesh, cameras: Cameras, face_index: Tensor, outputs: Sequence[str], shading: Shading
) -> dict[str, Tensor]:
    """Images ``[*batch, views, C, H, W]`` with gradients, given which faces ``[*batch, views, 1, H, W]`` they show."""
    mesh, cameras = of_one_type(mesh, cameras)
    seen = SeenMesh.of(mesh, cameras, face_index, shaded=not {"alpha", "face_index"}.issuperset(outputs))
    images = seen.images(outputs, shading)
    means = [name for name in outputs if name in _MEANS]
    if means and seen.moves:
        term = edge_term(seen, {name: images[name] for name in means}, shading)
        parts = torch.split(term, [images[name].shape[-3] for name in means], dim=-3)
        images |= {name: images[name] + part for name, part in zip(means, parts, strict=True)}
    return images
