"""Rays through one mesh, by Mitsuba.

One scene with one mesh is made for each variant and kept: to fill it with other vertices and faces leaks nothing and
compiles nothing anew, as a new scene would.
"""

import contextlib
import functools
import threading
from collections.abc import Iterator
from typing import Any, final

import torch
from torch import Tensor

from render3d.renderers.mitsuba.variants import Variant, active, load

_POSITIONS = ("vertex_positions", "positions")  # up to Mitsuba 3.9, and from 3.10 on


@functools.cache
def shared_tracer(variant: Variant) -> "Tracer":
    """The tracer of this process for a variant.

    Raises:
        BackEndError: As `render3d.renderers.mitsuba.variants.load`.
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
        positions = next(name for name in _POSITIONS if f"mesh.{name}" in self._parameters.keys())
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

    def cast(self, origins: Tensor, directions: Tensor, reach: Tensor) -> tuple[Tensor, Tensor]:
        """What rays ``[N, 3]`` meet within their ``reach`` ``[N]``, lengths along the unit directions.

        Returns:
            The face ``[N]`` int64, -1 where none is, and the weights ``[N, 3]`` float32 of its vertices, on the device
            of the rays.
        """
        rays = [part.detach().to(self.device, torch.float32) for part in (origins, directions, reach)]
        if len(origins) == 0:
            face, u, v = torch.zeros(0, dtype=torch.int64), torch.zeros(0), torch.zeros(0)
        else:
            face, u, v = self._cast_each(*rays) if self._scalar else self._cast_all(*rays)
        hit = face >= 0
        weights = torch.where(hit[:, None], torch.stack([1 - u - v, u, v], dim=-1), 0)
        return face.to(origins.device), weights.to(origins.device)

    def _cast_all(self, origins: Tensor, directions: Tensor, reach: Tensor) -> tuple[Tensor, Tensor, Tensor]:
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
        hit, uv = found.is_valid(), found.prim_uv
        drjit.eval(found.prim_index, uv, hit)
        face = torch.where(hit.torch(), found.prim_index.torch().long(), -1)
        return face, uv.x.torch(), uv.y.torch()

    def _cast_each(self, origins: Tensor, directions: Tensor, reach: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        make, look = self._module.Ray3f, self._scene.ray_intersect_preliminary
        face, u, v = [], [], []
        for origin, direction, far in zip(origins.tolist(), directions.tolist(), reach.tolist(), strict=True):
            found = look(make(origin, direction, far, 0.0, []))
            face.append(found.prim_index if found.is_valid() else -1)
            u.append(found.prim_uv[0])
            v.append(found.prim_uv[1])
        return torch.tensor(face), torch.tensor(u), torch.tensor(v)
