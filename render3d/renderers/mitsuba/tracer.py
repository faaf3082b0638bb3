"""Rays through one mesh, by Mitsuba.

One scene with one mesh is made for each variant and kept: to fill it with other vertices and faces leaks nothing and
compiles nothing anew, as a new scene would.
"""

import contextlib
import functools
import threading
from collections.abc import Iterator
from typing import Any, NamedTuple, final

import torch
from torch import Tensor

from render3d.cameras import Cameras, Rays
from render3d.renderers.mitsuba.variants import Variant, active, load

_POSITIONS = ("vertex_positions", "positions")  # up to Mitsuba 3.9, and from 3.10 on


@functools.cache
def shared_tracer(variant: Variant) -> "Tracer":
    """The tracer of this process for a variant.

    Raises:
        RendererError: As `render3d.renderers.mitsuba.variants.load`.
    """
    return Tracer(variant)


@final
class Tracer:
    """Tells which face rays meet first.

    Attributes:
        device: Where it works.
    """

    def __init__(self, variant: Variant) -> None:
        self._module = load(variant)
        self._scalar = variant == "scalar_rgb"
        self.device = torch.device("cuda" if variant == "cuda_ad_rgb" else "cpu")
        self._lock = threading.RLock()
        with active(variant) as mitsuba:
            self._scene = mitsuba.load_dict({"type": "scene", "mesh": mitsuba.Mesh("mesh", 3, 1)})
            self._parameters = mitsuba.traverse(self._scene)

    @contextlib.contextmanager
    def sees(self, vertices: Tensor, faces: Tensor) -> Iterator["Tracer"]:
        """Fill the scene with vertices ``[V, 3]`` and faces ``[F, 3]``; other threads wait until this ends."""
        with self._lock:
            self.fill(vertices, faces)
            yield self

    def fill(self, vertices: Tensor, faces: Tensor) -> None:
        """Put these in the place of what the scene held."""
        positions = next(name for name in _POSITIONS if f"mesh.{name}" in self._parameters)
        self._set("mesh.faces", faces.detach().to(self.device, torch.int32))
        self._set(f"mesh.{positions}", vertices.detach().to(self.device, torch.float32))
        self._parameters.update()

    def _set(self, name: str, rows: Tensor) -> None:
        kind = type(self._parameters[name])
        values: Any = rows.contiguous() if "Tensor" in kind.__name__ else rows.reshape(-1).contiguous()
        if rows.dtype == torch.int32:
            values = values.view(torch.uint32)
        if not self._scalar:
            self._parameters[name] = kind(values)
            return
        # Assignment compares with what was there, and fails where scalar arrays differ in length.
        pointer, type_of_value, _, _ = self._parameters.properties[name]
        self._parameters.set_property(pointer, type_of_value, kind(values.numpy()))
        self._parameters.set_dirty(name)

    def cast(self, origins: Tensor, directions: Tensor, reach: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """What rays ``[N, 3]`` meet within their ``reach`` ``[N]``, lengths along the unit directions.

        Returns:
            The face ``[N]`` int64, -1 where none is; the weights ``[N, 3]`` float32 of its vertices; and the distance
            ``[N]`` float32, infinite where nothing is. On the device of the rays.
        """
        rays = [part.detach().to(self.device, torch.float32) for part in (origins, directions, reach)]
        if len(origins) == 0:
            return torch.zeros_like(reach).long(), torch.zeros_like(origins), torch.zeros_like(reach)
        face, u, v, distance = self._cast_each(*rays) if self._scalar else self._cast_all(*rays)
        weights = torch.where((face >= 0)[:, None], torch.stack([1 - u - v, u, v], dim=-1), 0)
        return face.to(origins.device), weights.to(origins.device), distance.to(origins.device)

    def _cast_all(self, origins: Tensor, directions: Tensor, reach: Tensor) -> tuple[Tensor, ...]:
        import drjit

        kinds = self._module
        ray = kinds.Ray3f(
            kinds.Point3f(origins.T.contiguous()),
            kinds.Vector3f(directions.T.contiguous()),
            kinds.Float(reach.contiguous()),
            0.0,
            [],
        )
        found = self._scene.ray_intersect_preliminary(ray)
        u, v = found.prim_uv
        drjit.eval(found.prim_index, u, v, found.t)
        distance = found.t.torch()
        face = torch.where(distance.isfinite(), found.prim_index.torch().long(), -1)
        return face, u.torch(), v.torch(), distance

    def _cast_each(self, origins: Tensor, directions: Tensor, reach: Tensor) -> tuple[Tensor, ...]:
        make, look = self._module.Ray3f, self._scene.ray_intersect_preliminary
        rows = zip(origins.tolist(), directions.tolist(), reach.tolist(), strict=True)
        found = [look(make(origin, direction, far, 0.0, [])) for origin, direction, far in rows]
        face = torch.tensor([hit.prim_index if hit.is_valid() else -1 for hit in found])
        u, v = torch.tensor([hit.prim_uv for hit in found]).unbind(-1)
        return face, u, v, torch.tensor([hit.t for hit in found])


class Surface(NamedTuple):
    """What rays meet: ``[views, ...]``."""

    face: Tensor  # int64, -1 where nothing is
    weights: Tensor  # [views, ..., 3], of the vertices of the face
    depth: Tensor  # camera z, infinite where nothing is


@torch.no_grad()
def look(tracer: Tracer, cameras: Cameras, rays: Rays) -> Surface:
    """What rays ``[views, ..., 3]`` of cameras meet between near and far."""
    shape = rays.directions.shape[:-1]
    forward = cameras.rotation[:, 2].reshape(-1, *[1] * (len(shape) - 1), 3)
    cosine = (rays.directions * forward).sum(-1)  # of depth to distance
    start = rays.origins + (cameras.near / cosine)[..., None] * rays.directions
    reach = (cameras.far - cameras.near) / cosine
    face, weights, distance = tracer.cast(start.reshape(-1, 3), rays.directions.reshape(-1, 3), reach.reshape(-1))
    depth = cameras.near + distance.reshape(shape) * cosine
    return Surface(face.reshape(shape), weights.reshape(*shape, 3), depth)
