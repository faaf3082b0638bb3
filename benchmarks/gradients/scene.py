"""What the benchmark of gradients looks at: silhouettes of the bunny, and a ball that is to become it."""

import dataclasses
from typing import final

import torch
from torch import Tensor

from render3d.cameras import Cameras
from render3d.data import bunny
from render3d.estimators import Estimator, differentiable, expected_loss
from render3d.fitting.targets import pixel_at
from render3d.images import Rendering
from render3d.randomness import Key
from render3d.renderers import OpenGL
from render3d.scenes import Mesh
from render3d.view_sets import ViewSet

RADIUS = 0.6
_DISTANCE, _FIELD_OF_VIEW = 3.0, 46.0  # scene units, degrees


@final
@dataclasses.dataclass(frozen=True)
class Scene:
    """One objective: the sum over pixels of the squared difference of alpha, in ``views``.

    Attributes:
        renderer: The black box.
        views: Of the bunny, in the unit sphere.
    """

    renderer: OpenGL
    views: ViewSet

    @classmethod
    def make(cls, views: int = 20, size: int = 64) -> "Scene":
        """``views`` of ``size`` x ``size`` pixels from all round."""
        cameras = Cameras.sphere(views, _DISTANCE, vertical_fov_degrees=_FIELD_OF_VIEW, image_size=(size, size))
        renderer = OpenGL()
        alpha = renderer(bunny().normalized(), cameras, ("alpha",)).alpha
        return cls(renderer, ViewSet(cameras, alpha, None, tuple(f"view {number}" for number in range(views))))

    @property
    def pixel(self) -> float:
        """The side of a pixel at the centre, scene units."""
        return pixel_at(self.views.cameras, torch.zeros(3))

    def pixel_loss(self, rendering: Rendering) -> Tensor:
        """``[..., views, H, W]``."""
        return (rendering.alpha - self.views.alpha).square().squeeze(-3)

    def gradient(self, mesh: Mesh, estimator: Estimator | None, key: Key) -> Tensor:
        """One call of an estimator, or the gradient of edges, which takes none: ``[V, 3]``, world."""
        moving = mesh.with_vertices(mesh.vertices.clone().requires_grad_())
        cameras = self.views.cameras
        with torch.enable_grad():
            if estimator is None:
                loss = self.pixel_loss(differentiable(self.renderer, "edges")(moving, cameras, ("alpha",))).sum()
            else:
                loss = expected_loss(
                    self.renderer, moving, cameras, self.pixel_loss, estimator, outputs=("alpha",), generator=key
                )
        (gradient,) = torch.autograd.grad(loss, moving.vertices)
        return gradient


def ball(subdivisions: int) -> Mesh:
    """The template: ``10 * 4**subdivisions + 2`` vertices."""
    return Mesh.icosphere(subdivisions, radius=RADIUS)
