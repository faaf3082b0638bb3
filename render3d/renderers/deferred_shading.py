"""A black box that tells which face a pixel shows, shaded in torch: exact gradients of colours and lights."""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Protocol, TypeGuard, final, runtime_checkable

import torch
from torch import Generator, Tensor

from render3d.cameras import Cameras
from render3d.errors import CapabilityError, GradientError
from render3d.images import Rendering
from render3d.randomness import Key
from render3d.renderers.base import Capabilities, GradientKind, Renderer, average_samples, mesh_list
from render3d.renderers.deferred import shade
from render3d.renderers.shading import Shading
from render3d.scenes import Mesh, Scene

_SURFACE = ("face_index", "barycentric", "normal")


@runtime_checkable
class Shaded(Renderer, Protocol):
    """A renderer whose colours are those of a `Shading`."""

    @property
    def shading(self) -> Shading:
        """Lights, background, normals and supersampling."""
        ...


def can_be_shaded(renderer: Renderer) -> TypeGuard[Shaded]:
    """Whether a renderer tells enough of what it sees to be shaded in torch."""
    return isinstance(renderer, Shaded) and set(_SURFACE) <= set(renderer.capabilities.outputs)


@final
class DeferredShading:
    """A `Renderer` that sees by a black box and shades in torch: colours, textures and lights get exact gradients.

    What is visible depends on none of them. The black box tells which face each pixel shows and where on it, and
    ``rgb`` is made of that by interpolation: of the values that the black box itself would give, but for rounding, and
    linear in the colours. Other images are those of the black box.

    This is the sharp way to fit colours and lights alone: one rendering, no noise. `render3d.estimators.Smoothed` and
    `render3d.estimators.expected_loss` do the same with each of their noisy renderings.

    Args:
        renderer: A black box of meshes with the outputs ``face_index``, ``barycentric`` and ``normal``, and a
            ``shading``, such as `OpenGL`.

    Raises:
        CapabilityError: A renderer that lacks one of them, such as one of colours alone.

    Differentiable in colours, face colours, the texture's image and its coordinates, and in what is a tensor in the
    `Shading` of the black box: ambient light, background, colours and directions of lights. Where a face turns its edge
    to a light, the image has a kink in that light's direction. Vertices and cameras that require a gradient are a
    `GradientError`: what is visible has none without an estimator.
    """

    def __init__(self, renderer: Renderer) -> None:
        if not can_be_shaded(renderer):
            able = renderer.capabilities
            lacking = [name for name in _SURFACE if name not in able.outputs]
            raise CapabilityError(
                f"Exact gradients of colours and lights need a renderer that tells which face a pixel shows, and "
                f"{able.name} has no {' and no '.join(lacking) or 'shading'}. Use OpenGL or Pyrender."
            )
        self.renderer = renderer

    @property
    def shading(self) -> Shading:
        """That of the black box."""
        return self.renderer.shading

    @property
    def capabilities(self) -> Capabilities:
        """Those of the black box, and gradients of colours and lights."""
        inner = self.renderer.capabilities
        exact: frozenset[GradientKind] = frozenset({"colors", "lights"})
        return dataclasses.replace(inner, name=f"DeferredShading({inner.name})", gradients=exact)

    def __call__(
        self,
        scene: Scene,
        cameras: Cameras,
        outputs: Sequence[str] = ("rgb", "alpha"),
        *,
        generator: Generator | Key | None = None,
    ) -> Rendering:
        """Render; see `render3d.renderers.Renderer`. ``generator`` goes to the black box."""
        if torch.is_grad_enabled():
            self._check_gradients(scene, cameras)
        if "rgb" not in outputs:
            with torch.no_grad():
                return self.renderer(scene, cameras, outputs, generator=generator)
        visible = self.look(scene, cameras, tuple(name for name in outputs if name != "rgb"))
        return Rendering({name: visible.rgb(scene) if name == "rgb" else visible.images[name] for name in outputs})

    def look(self, scene: Scene, cameras: Cameras, outputs: Sequence[str] = ()) -> "Visible":
        """Ask the black box for what does not depend on colours or lights: what is visible, and other ``outputs``."""
        oversampling = math.isqrt(self.shading.samples_per_pixel)
        with torch.no_grad():
            if oversampling == 1:
                seen = surface = self.renderer(scene, cameras, tuple(dict.fromkeys([*outputs, *_SURFACE])))
            else:  # a pixel's surface is that at its centre: look at each of its samples
                height, width = cameras.image_size
                surface = self.renderer(scene, cameras.resize(height * oversampling, width * oversampling), _SURFACE)
                seen = self.renderer(scene, cameras, outputs) if outputs else surface
        return Visible({name: seen.stored(name) for name in outputs}, surface, self.shading)

    def _check_gradients(self, scene: Scene, cameras: Cameras) -> None:
        waiting = ["vertices"] if any(mesh.vertices.requires_grad for mesh in mesh_list(scene)) else []
        waiting += [name for name in ("world_to_camera", "intrinsics") if getattr(cameras, name).requires_grad]
        if waiting:
            raise GradientError(
                f"{' and '.join(waiting)} require a gradient, and {self.capabilities.name} gives none by itself: it "
                "shades what is visible, and that takes an estimator. Use render3d.estimators.Smoothed("
                f"{self.renderer.capabilities.name}(...)), which carries gradients to colours and lights as well."
            )


@final
@dataclasses.dataclass(frozen=True)
class Visible:
    """What a black box saw of a scene, whatever its colours and lights.

    Attributes:
        images: The outputs that were asked for, by name, as they are kept.
        surface: ``face_index``, ``barycentric`` and ``normal`` of every sample of every pixel, at least.
        shading: How colours are made of that.
    """

    images: Mapping[str, Tensor]
    surface: Rendering
    shading: Shading

    def rgb(self, scene: Scene) -> Tensor:
        """``[*batch, views, 3, H, W]``: the image of a scene of the same geometry and any colours."""
        if isinstance(scene, Mesh):
            fine = _shaded(scene, self.surface, self.shading)
        else:
            meshes = mesh_list(scene)
            parts = [_shaded(mesh, self.surface[..., i, :], self.shading) for i, mesh in enumerate(meshes)]
            fine = torch.stack(parts, dim=-5)
        oversampling = math.isqrt(self.shading.samples_per_pixel)
        return fine if oversampling == 1 else average_samples(fine, oversampling)


def _shaded(mesh: Mesh, surface: Rendering, shading: Shading) -> Tensor:
    return shade(mesh, surface.stored("face_index"), surface.barycentric, surface.normal, shading)
