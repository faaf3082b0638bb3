"""Where rays cross the planes of a grid, and what the volume holds there.

A ray is sampled where it crosses planes across the axis it follows most closely. On such a plane the trilinear
interpolation of the volume is bilinear in one slice, itself a mean of two: half the corners, all in one plane. Between
the centres of neighbouring voxels it is smooth but for what it crosses sideways, so that a few points of Gauss-Legendre
quadrature give its integral closely. (Slices in one direction for a whole picture: Cabral et al., "Accelerated volume
rendering and tomographic reconstruction using texture mapping hardware", 1994; here each ray takes those that suit it.)
"""

import dataclasses
import itertools
from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch
from numpy.polynomial.legendre import leggauss
from torch import Tensor

from render3d.cameras import Cameras
from render3d.scenes import Volume


class Rule(NamedTuple):
    """Where planes stand between the centres of two voxels, from 0 to 1, and how much of the way each stands for.

    The parts that they stand for follow each other from ``start`` on.
    """

    nodes: tuple[float, ...]
    weights: tuple[float, ...]
    start: float = 0.0


AT_CENTRES = Rule((0.0,), (1.0,), -0.5)


def gauss_legendre(count: int) -> Rule:
    """The quadrature that is exact for polynomials of degree ``2 * count - 1``."""
    nodes, weights = leggauss(count)
    return Rule(tuple((nodes + 1) / 2), tuple(weights / 2))


class Planes(NamedTuple):
    """Where planes stand along an axis, in voxels from one before the first centre: there, values begin to rise."""

    place: Tensor  # [K], ascending
    share: Tensor  # [K]: the part of a voxel that each stands for
    ends: tuple[Tensor, Tensor]  # [K] each: where that part begins and ends

    @classmethod
    def of(cls, voxels: int, rule: Rule, like: Tensor) -> "Planes":
        """``(voxels + 1) * len(rule.nodes)`` planes, of the dtype and device of ``like``."""
        nodes, weights = (torch.tensor(numbers).to(like) for numbers in (rule.nodes, rule.weights))
        place = (torch.arange(voxels + 1).to(like)[:, None] + nodes).flatten()
        share = weights.repeat(voxels + 1)
        end = share.cumsum(0) + rule.start
        return cls(place, share, (end - share, end))


class Crossings(NamedTuple):
    """What P rays meet on K planes. ``forward`` tells whether they meet the first or the last plane first.

    ``density`` is ``[K, P]``, per unit length, and falls to zero outside the grid. ``colors`` are ``[C, K, P]``, and
    outside are those of the border. ``first`` and ``step`` ``[P]`` are distances along the ray, in scene units: of
    place 0, and of one voxel, negative if not ``forward``. ``along`` ``[P]`` is depth (camera z) per distance.
    ``visible`` ``[K, P]`` is the share of each plane's part that lies between near and far; None where that is all.
    """

    density: Tensor
    colors: Tensor | None
    planes: Planes
    first: Tensor
    step: Tensor
    along: Tensor
    visible: Tensor | None
    forward: bool

    @property
    def depth(self) -> Tensor:
        """``[K, P]``: camera z of every crossing."""
        return (self.first + self.planes.place[:, None] * self.step) * self.along

    def optical_depth(self) -> Tensor:
        """``[P]``: the integral of the density, which does not depend on the order along the ray."""
        density = self.density if self.visible is None else self.density * self.visible
        return (self.planes.share @ density) * self.step.abs()

    def weights(self) -> Tensor:
        """``[K, P]``: the share of the light that is absorbed at each plane, as seen from the camera."""
        density = self.density if self.visible is None else self.density * self.visible
        depth = density * (self.planes.share[:, None] * self.step.abs())
        whole = torch.ones_like(depth[:1])
        if self.forward:
            passed = torch.exp(-depth.cumsum(0))
            return torch.cat([whole, passed[:-1]]) - passed
        passed = torch.exp(-depth.flip(0).cumsum(0)).flip(0)
        return torch.cat([passed[1:], whole]) - passed


@dataclasses.dataclass(frozen=True)
class _Rays:
    origins: Tensor  # [P, 3], world
    directions: Tensor  # [P, 3], world, unit
    along: Tensor  # [P]
    near: float
    far: float

    def __getitem__(self, chosen: Tensor) -> "_Rays":
        return _Rays(self.origins[chosen], self.directions[chosen], self.along[chosen], self.near, self.far)


Integral = Callable[[Crossings], Tensor]


def integrate(volume: Volume, cameras: Cameras, integral: Integral, channels: int, rule: Rule) -> Tensor:
    """An integral over the ray through every pixel centre, ``[views, channels, H, W]``; differentiable in both.

    Args:
        volume: One volume.
        cameras: ``[views]``.
        integral: From `Crossings` to ``[channels, P]``. It is left out, and zero, for rays that meet no voxel.
        channels: Its channels.
        rule: Where the planes stand.
    """
    exact = torch.promote_types(volume.values.dtype, torch.float32)
    volume = dataclasses.replace(volume, values=volume.values.to(exact))
    rays = _rays_of(cameras, exact)
    march = _march_by_slices if volume.device.type == "cpu" else _march_at_once
    result = rays.origins.new_zeros(channels, len(rays.origins))
    for chosen, crossings in march(volume, rays, rule):
        found = integral(crossings)
        result = found if chosen is None else result.index_copy(1, chosen, found)
    return result.reshape(channels, cameras.views, *cameras.image_size).movedim(1, 0)


def _rays_of(cameras: Cameras, dtype: torch.dtype) -> _Rays:
    origins, directions = cameras.rays()
    along = (directions * cameras.rotation[..., None, None, 2, :]).sum(-1)
    flat = origins.reshape(-1, 3), directions.reshape(-1, 3), along.reshape(-1)
    return _Rays(flat[0].to(dtype), flat[1].to(dtype), flat[2].to(dtype), cameras.near, cameras.far)


def _march_by_slices(volume: Volume, rays: _Rays, rule: Rule) -> Iterator[tuple[Tensor, Crossings]]:
    """Rays grouped by axis and direction, and slices sampled bilinearly: what torch is quick at on a CPU."""
    directions = rays.directions.detach()
    main = directions.abs().argmax(-1)
    forwards = directions.gather(-1, main[:, None])[:, 0] > 0
    meets = _meets(volume, rays)
    for axis, forward in itertools.product(range(3), (True, False)):
        chosen = ((main == axis) & (forwards == forward) & meets).nonzero()[:, 0]
        if len(chosen) > 0:
            yield chosen, _cross_slices(volume, rays[chosen], axis, forward, rule)


def _meets(volume: Volume, rays: _Rays) -> Tensor:
    """Which rays meet the cube, grown by the half voxel in which values fall to zero: ``[P]`` bool."""
    begin, end = torch.full_like(rays.along, -torch.inf), torch.full_like(rays.along, torch.inf)
    for component, cells in enumerate(reversed(volume.resolution)):
        reach = volume.extent * (1 + 1 / cells)
        origin, direction = rays.origins.detach()[:, component], rays.directions.detach()[:, component]
        ends = torch.stack([(-reach - origin) / direction, (reach - origin) / direction])
        # Rays parallel to a face give infinities of the right sign, and in the face itself 0 / 0: those are kept.
        begin = torch.maximum(begin, ends.amin(0).nan_to_num(-torch.inf, torch.inf, -torch.inf))
        end = torch.minimum(end, ends.amax(0).nan_to_num(torch.inf, torch.inf, -torch.inf))
    return begin <= end


def _cross_slices(volume: Volume, rays: _Rays, axis: int, forward: bool, rule: Rule) -> Crossings:
    """Crossings of rays that all follow one axis (0 is x), in its direction or against it."""
    slices = volume.values.movedim(3 - axis, 0)  # values are [C, D, H, W]
    planes = Planes.of(len(slices), rule, like=rays.along)
    first, step = _distances(rays.origins[:, axis], rays.directions[:, axis], len(slices), volume.extent)
    others = [component for component in range(3) if component != axis]
    begin = (rays.origins[:, others] + first[:, None] * rays.directions[:, others]) / volume.extent
    slope = step[:, None] * rays.directions[:, others] / volume.extent
    grid = torch.addcmul(begin, planes.place[:, None, None], slope)[:, None]  # [K, 1, P, 2]
    density = _sample(_between(slices[:, :1], planes, "zeros"), grid, "zeros")[:, 0, 0]
    colors = None
    if slices.shape[1] > 1:
        colors = _sample(_between(slices[:, 1:], planes, "border"), grid, "border")[:, :, 0].transpose(0, 1)
    return Crossings(density, colors, planes, first, step, rays.along, _visible(rays, first, step, planes), forward)


def _march_at_once(volume: Volume, rays: _Rays, rule: Rule) -> Iterator[tuple[None, Crossings]]:
    """The same crossings for all rays together, sampled trilinearly: nothing here waits for a GPU."""
    main = rays.directions.detach().abs().argmax(-1, keepdim=True)
    cells = torch.tensor(volume.resolution[::-1], dtype=rays.along.dtype, device=volume.device)[main[:, 0]]
    origin, direction = rays.origins.gather(-1, main)[:, 0], rays.directions.gather(-1, main)[:, 0]
    turned = direction.detach().sign()  # the axis of each ray is taken in the direction of the ray
    first, step = _distances(origin * turned, direction * turned, cells, volume.extent)
    # The planes of a ray that follows a shorter axis end sooner: those that are left lie outside, where nothing is.
    planes = Planes.of(max(volume.resolution), rule, like=rays.along)
    points = rays.origins + (first[:, None] + planes.place[:, None, None] * step[:, None]) * rays.directions
    grid = (points / volume.extent)[None, :, :, None]  # [1, K, P, 1, 3]
    density = _sample(volume.density[None], grid, "zeros")[0, 0, :, :, 0]
    colors = _sample(volume.values[None, 1:], grid, "border")[0, ..., 0] if volume.channels > 1 else None
    visible = _visible(rays, first, step, planes)
    yield None, Crossings(density, colors, planes, first, step, rays.along, visible, True)


def _distances(origin: Tensor, direction: Tensor, cells: int | Tensor, extent: float) -> tuple[Tensor, Tensor]:
    """The distances along rays of place 0, and of one voxel, given what they do along the axis."""
    before = -extent - extent / cells
    return (before - origin) / direction, 2 * extent / cells / direction


def _between(slices: Tensor, planes: Planes, beyond: str) -> Tensor:
    """The slices ``[K, C, A, B]`` at the planes, from those at the centres ``[n, C, A, B]``."""
    ends = slices[:1], slices[-1:]
    low, high = (torch.zeros_like(end) if beyond == "zeros" else end for end in ends)
    padded = torch.cat([low, slices, high])
    per_voxel = len(planes.place) // (len(slices) + 1)
    shares = planes.place[:per_voxel, None, None, None].to(slices)
    return torch.lerp(padded[:-1, None], padded[1:, None], shares).flatten(0, 1)


def _sample(values: Tensor, grid: Tensor, beyond: str) -> Tensor:
    return torch.nn.functional.grid_sample(values, grid, padding_mode=beyond, align_corners=False)


def _visible(rays: _Rays, first: Tensor, step: Tensor, planes: Planes) -> Tensor | None:
    """``[K, P]``: the share of each plane's part that lies between near and far, or None if all of all does."""
    near, far = rays.near / rays.along, rays.far / rays.along
    whole = torch.stack([first + planes.ends[0][0] * step, first + planes.ends[1][-1] * step])
    if first.device.type == "cpu" and bool((whole.amin(0) >= near).all() & (whole.amax(0) <= far).all()):
        return None
    begin, end = (first + place[:, None] * step for place in planes.ends)
    low, high = torch.minimum(begin, end), torch.maximum(begin, end)
    return ((torch.minimum(high, far) - torch.maximum(low, near)) / (high - low)).clamp(0, 1)
