"""Spheres that silhouettes determine: one to start from, and one to be better than."""

import dataclasses
import math
from collections.abc import Callable
from typing import Self, final

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from render3d.cameras import Cameras
from render3d.fitting.targets import focal_length, shrunk
from render3d.scenes import Mesh
from render3d.view_sets import ViewSet

_Vector = npt.NDArray[np.float64]


@final
@dataclasses.dataclass(frozen=True)
class Ball:
    """A sphere in the world, scene units."""

    center: tuple[float, float, float]
    radius: float

    def mesh(self, subdivisions: int) -> Mesh:
        """It as triangles, on the CPU."""
        ball = Mesh.icosphere(subdivisions, self.radius)
        return ball.with_vertices(ball.vertices + torch.tensor(self.center))


def best_sphere(views: ViewSet) -> Ball:
    """The sphere of the largest intersection over union with the silhouettes, averaged over the views.

    It needs no renderer: a ray hits a sphere if it passes the centre within the radius.
    """
    rays = _Rays.of(views)
    center, radius = rays.middle()
    # The width of the soft edge: one pixel, as seen from the centre.
    pixel = radius * math.sqrt(math.pi / float(rays.coverage.sum((1, 2)).mean()))

    def disagreement(unknown: _Vector) -> float:
        inside = ((unknown[3] - rays.distance(unknown[:3])) / pixel + 0.5).clamp(0, 1)
        both = (inside * rays.coverage).sum((1, 2))
        either = inside.sum((1, 2)) + rays.coverage.sum((1, 2)) - both
        return 1 - float((both / either).mean())

    x, y, z, fitted = _minimum(disagreement, np.append(center, radius), scale=radius)
    return Ball((x, y, z), abs(fitted))


def enclosing_sphere(views: ViewSet) -> Ball:
    """The smallest sphere whose silhouettes cover those of the views: what `fit_template` starts from.

    Thin parts are found more surely by shrinking onto them than by growing along them.
    """
    rays = _Rays.of(views)
    center, radius = rays.middle()
    covered = rays.coverage > 0.5

    def reach(unknown: _Vector) -> float:
        return float(rays.distance(unknown)[covered].max())

    found = _minimum(reach, center, scale=radius)
    x, y, z = found
    return Ball((x, y, z), reach(np.array(found)))


def _minimum(function: Callable[[_Vector], float], start: _Vector, scale: float) -> list[float]:
    """Where ``function`` is least, by Nelder and Mead's simplex, whose first edges are a fifth of ``scale``."""
    import scipy.optimize  # takes half a second, of commands that fit nothing too

    simplex = np.vstack([start, start + 0.2 * scale * np.eye(len(start))])
    options = {"initial_simplex": simplex, "xatol": 1e-4 * scale, "fatol": 1e-6, "maxfev": 600}
    found: list[float] = scipy.optimize.minimize(function, start, method="Nelder-Mead", options=options).x.tolist()
    return found


@final
@dataclasses.dataclass(frozen=True)
class _Rays:
    """A ray through each pixel, of views as small as a sphere allows, and the coverage of that pixel; float64."""

    origins: Tensor  # [views, H, W, 3]
    directions: Tensor  # [views, H, W, 3], unit length
    coverage: Tensor  # [views, H, W]
    cameras: Cameras

    @classmethod
    def of(cls, views: ViewSet) -> Self:
        small = shrunk(views, 64)
        cameras = small.cameras.to("cpu")
        rays = cameras.rays()
        return cls(rays.origins.double(), rays.directions.double(), small.alpha[:, 0].cpu().double(), cameras)

    def distance(self, point: _Vector) -> Tensor:
        """How far from ``point`` each ray passes, ``[views, H, W]``."""
        across: Tensor = torch.linalg.cross(torch.from_numpy(point) - self.origins, self.directions).norm(dim=-1)
        return across

    def middle(self) -> tuple[_Vector, float]:
        """The point closest to all rays through the middles of the silhouettes, and a radius from their areas."""
        area = self.coverage.sum((1, 2))
        weight = (self.coverage / area[:, None, None])[..., None]
        origin = (self.origins * weight).sum((1, 2))
        direction = torch.nn.functional.normalize((self.directions * weight).sum((1, 2)), dim=-1)
        across = torch.eye(3, dtype=torch.float64) - direction[:, :, None] * direction[:, None, :]
        right = (across @ origin[..., None]).sum(0)
        # Least squares of least norm: what the rays leave open (all parallel, say) stays at the origin of the world.
        center = torch.linalg.lstsq(across.sum(0), right, driver="gelsd").solution[:, 0]
        depth = ((center - origin) * direction).sum(-1).abs()
        unit = 1.0 if self.cameras.projection == "orthographic" else depth
        pixel = unit / focal_length(self.cameras)
        return center.numpy(), float((pixel * (area / math.pi).sqrt()).mean())
