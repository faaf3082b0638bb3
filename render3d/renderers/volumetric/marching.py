"""Where rays cross the planes of a grid, and what the volume holds there.

A ray is sampled where it crosses planes across the axis it follows most closely. On such a plane the trilinear
interpolation of the volume is bilinear in one slice, itself a mean of two: half the corners, all in one plane. Between
the centres of neighbouring voxels it is smooth but for what it crosses sideways, so that a few points of Gauss-Legendre
quadrature give its integral closely. (Slices in one direction for a whole picture: Cabral et al., "Accelerated volume
rendering and tomographic reconstruction using texture mapping hardware", 1994; here each ray takes those that suit it.)
"""

import dataclasses
import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import torch
from numpy.polynomial.legendre import leggauss
from torch import Tensor
from torch.autograd.function import once_differentiable

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


@functools.cache
def gauss_legendre(count: int) -> Rule:
    """The quadrature that is exact for polynomials of degree ``2 * count - 1``."""
    nodes, weights = leggauss(count)
    return Rule(tuple((nodes + 1) / 2), tuple(weights / 2))


class Planes(NamedTuple):
    """Where planes stand along an axis, in voxels from one before the first centre: there, values begin to rise."""

    place: Tensor  # [K], ascending
    share: Tensor  # [K]: the part of a voxel that each stands for
    ends: tuple[Tensor, Tensor]  # [K] each: where that part begins and ends


@functools.lru_cache(maxsize=32)
def planes_of(voxels: int, rule: Rule, dtype: torch.dtype, device: torch.device) -> Planes:
    """``(voxels + 1) * len(rule.nodes)`` planes."""
    nodes, weights = (torch.tensor(numbers, dtype=dtype, device=device) for numbers in (rule.nodes, rule.weights))
    place = (torch.arange(voxels + 1, dtype=dtype, device=device)[:, None] + nodes).flatten()
    share = weights.repeat(voxels + 1)
    end = share.cumsum(0) + rule.start
    return Planes(place, share, (end - share, end))


class Crossings(NamedTuple):
    """What P rays meet on K planes. ``forward`` tells whether they meet the first or the last plane first.

    ``density`` is ``[K, P]``, per unit length, and falls to zero outside the grid. ``colors`` are ``[K, C, P]``, those
    of the border where density falls. ``first`` and ``step`` ``[P]`` are distances along the ray, in scene units: of
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

    def optical_depth(self) -> Tensor:
        """``[P]``: the integral of the density, which does not depend on the order along the ray."""
        density = self.density if self.visible is None else self.density * self.visible
        return (self.planes.share @ density) * self.step.abs()

    def weights(self) -> Tensor:
        """``[K, P]``: the share of the light that is absorbed at each plane, as seen from the camera."""
        density = self.density if self.visible is None else self.density * self.visible
        depth = density * (self.planes.share[:, None] * self.step.abs())
        weights: Tensor = _Absorption.apply(depth, self.forward)  # type: ignore[no-untyped-call]
        return weights

    def mean_depth(self, weights: Tensor) -> Tensor:
        """``[P]``: the sum of camera z at every crossing, weighted by ``weights`` ``[K, P]``."""
        return (self.first * weights.sum(0) + self.step * (self.planes.place @ weights)) * self.along


class _Absorption(torch.autograd.Function):
    """From optical depths ``[K, P]`` to the share of the light that is absorbed at each.

    Behind plane k ``T_k = exp(-sum_{j <= k} d_j)`` is left, so that plane k absorbs ``w_k = T_{k-1} - T_k``.
    ``dw_k / dd_j`` is ``-w_k`` for planes behind j and ``T_j`` for j itself, so that the backward pass is one
    cumulative sum, where autograd would take four passes more.
    """

    @staticmethod
    def forward(ctx: Any, depth: Tensor, forward: bool) -> Tensor:
        left = torch.exp(-(depth.cumsum(0) if forward else depth.flip(0).cumsum(0).flip(0)))
        weights = left.neg()
        before, behind = (weights[1:], left[:-1]) if forward else (weights[:-1], left[1:])
        before += behind
        weights[0 if forward else -1] += 1
        ctx.save_for_backward(weights, left)
        ctx.forward = forward
        return weights

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        weights, left = ctx.saved_tensors
        lost = weights * grad
        behind = lost.cumsum(0)
        if ctx.forward:
            behind = behind[-1] - behind
        else:
            behind -= lost
        return torch.addcmul(-behind, grad, left), None


@dataclasses.dataclass(frozen=True)
class _Rays:
    origins: Tensor  # [3, P], world
    directions: Tensor  # [3, P], world, unit
    along: Tensor  # [P]
    near: float
    far: float

    def __getitem__(self, chosen: Tensor) -> "_Rays":
        origins, directions = self.origins.index_select(1, chosen), self.directions.index_select(1, chosen)
        return _Rays(origins, directions, self.along.index_select(0, chosen), self.near, self.far)


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
    pieces = [(chosen, integral(crossings)) for chosen, crossings in march(volume, rays, rule)]
    result = _assembled(pieces, rays.along.new_zeros(channels, 1), len(rays.along))
    return result.reshape(channels, cameras.views, *cameras.image_size).movedim(1, 0)


def _assembled(pieces: Sequence[tuple[Tensor | None, Tensor]], missing: Tensor, count: int) -> Tensor:
    """``[channels, count]`` of pieces ``[channels, P]``, each of the rays that are chosen; ``missing`` for the rest."""
    if len(pieces) == 1 and pieces[0][0] is None:
        return pieces[0][1]
    order = torch.cat([torch.empty(0, dtype=torch.long), *(chosen for chosen, _ in pieces if chosen is not None)])
    place = torch.full((count,), len(order)).index_put((order,), torch.arange(len(order)))
    return torch.cat([*(found for _, found in pieces), missing], dim=1).index_select(1, place)


def _rays_of(cameras: Cameras, dtype: torch.dtype) -> _Rays:
    origins, directions = cameras.rays()
    along = (directions * cameras.rotation[..., None, None, 2, :]).sum(-1)
    flat = [part.reshape(-1, 3).T.contiguous().to(dtype) for part in (origins, directions)]
    return _Rays(flat[0], flat[1], along.reshape(-1).to(dtype), cameras.near, cameras.far)


def _padded(volume: Volume) -> Tensor:
    """``[C, D + 2, H + 2, W + 2]``: a voxel more on each side, empty, and of the colour of its neighbour."""
    if volume.channels == 1:
        return torch.nn.functional.pad(volume.values, (1,) * 6)
    density, colors = torch.split(volume.values, [1, volume.channels - 1])
    colors = torch.nn.functional.pad(colors[None], (1,) * 6, mode="replicate")[0]
    return torch.cat([torch.nn.functional.pad(density, (1,) * 6), colors])


def _march_by_slices(volume: Volume, rays: _Rays, rule: Rule) -> Iterator[tuple[Tensor, Crossings]]:
    """Rays grouped by axis and direction, and slices sampled bilinearly: what torch is quick at on a CPU."""
    padded = _padded(volume)
    main, towards = _main_axes(rays.directions.detach())
    group = torch.where(_meets(volume, rays), 2 * main + (towards > 0), -1)
    for axis in range(3):
        chosen = [(forward, (group == 2 * axis + forward).nonzero()[:, 0]) for forward in (True, False)]
        chosen = [(forward, numbers) for forward, numbers in chosen if len(numbers) > 0]
        if chosen:
            slices = padded.movedim(3 - axis, 0).contiguous()  # [n + 2, C, A + 2, B + 2]
            planes = planes_of(len(slices) - 2, rule, padded.dtype, padded.device)
            between: Tensor = _Between.apply(slices, rule.nodes)  # type: ignore[no-untyped-call]
            for forward, numbers in chosen:
                yield numbers, _cross_slices(volume, between, planes, rays[numbers], axis, forward)


def _main_axes(directions: Tensor) -> tuple[Tensor, Tensor]:
    """The axis that each of ``[3, P]`` follows most closely, and its component along it: ``[P]`` each."""
    x, y, z = directions.abs()
    # argmax and gather say the same, and are slow along a first dimension of three.
    main = torch.where(z > torch.maximum(x, y), 2, (y > x).long())
    return main, torch.where(main == 0, directions[0], torch.where(main == 1, directions[1], directions[2]))


def _meets(volume: Volume, rays: _Rays) -> Tensor:
    """Which rays meet the cube, grown by the half voxel in which values fall to zero: ``[P]`` bool."""
    begin, end = torch.full_like(rays.along, -torch.inf), torch.full_like(rays.along, torch.inf)
    origins, directions = rays.origins.detach(), rays.directions.detach()
    for cells, origin, direction in zip(reversed(volume.resolution), origins, directions, strict=True):
        reach = volume.extent * (1 + 1 / cells)
        ends = (-reach - origin) / direction, (reach - origin) / direction
        # Rays parallel to a face give infinities of the right sign, and in the face itself 0 / 0: those are kept.
        begin = torch.maximum(begin, torch.minimum(*ends).nan_to_num(-torch.inf, torch.inf, -torch.inf))
        end = torch.minimum(end, torch.maximum(*ends).nan_to_num(torch.inf, torch.inf, -torch.inf))
    return begin <= end


class _Between(torch.autograd.Function):
    """From slices ``[n + 1, ...]`` to those between, ``[n * m, ...]``: m at the given shares of the way to the next.

    Written out, its backward pass takes half the passes over memory that autograd's takes.
    """

    @staticmethod
    def forward(ctx: Any, slices: Tensor, shares: Sequence[float]) -> Tensor:
        ctx.shares = shares
        between = slices.new_empty(len(slices) - 1, len(shares), *slices.shape[1:])
        for number, share in enumerate(shares):
            torch.lerp(slices[:-1], slices[1:], share, out=between[:, number])
        return between.flatten(0, 1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        grads = grad.reshape(-1, len(ctx.shares), *grad.shape[1:]).unbind(1)
        slices = grad.new_zeros(len(grads[0]) + 1, *grad.shape[1:])
        for share, own in zip(ctx.shares, grads, strict=True):
            slices[:-1].add_(own, alpha=1 - share)
            slices[1:].add_(own, alpha=share)
        return slices, None


def _cross_slices(volume: Volume, between: Tensor, planes: Planes, rays: _Rays, axis: int, forward: bool) -> Crossings:
    """Crossings of rays that all follow one axis (0 is x), in its direction or against it."""
    cells = volume.resolution[::-1]
    first, step = _distances(rays.origins[axis], rays.directions[axis], cells[axis], volume.extent)
    # In the grid with a voxel more on each side, [-1, 1] is that much longer.
    others = [component for component in range(3) if component != axis]
    scales = [cells[other] / (cells[other] + 2) / volume.extent for other in others]
    begin, slope = [], []
    for other, scale in zip(others, scales, strict=True):
        direction = rays.directions[other] * scale
        begin.append(torch.addcmul(rays.origins[other] * scale, first, direction))
        slope.append(step * direction)
    places = planes.place[:, None, None]
    grid = torch.addcmul(torch.stack(begin, -1), places, torch.stack(slope, -1))[:, None]  # [K, 1, P, 2]
    found = torch.nn.functional.grid_sample(between, grid, align_corners=False)
    found = found.reshape(*found.shape[:2], -1)
    density, colors = found.flatten(0, 1), None
    if volume.channels > 1:  # split, for the backward passes of two slices would each fill a whole gradient
        density, colors = torch.split(found, [1, volume.channels - 1], dim=1)
        density = density.reshape(len(found), -1)
    return Crossings(density, colors, planes, first, step, rays.along, _visible(rays, first, step, planes), forward)


def _march_at_once(volume: Volume, rays: _Rays, rule: Rule) -> Iterator[tuple[None, Crossings]]:
    """The same crossings for all rays together, sampled trilinearly: nothing here waits for a GPU."""
    main = rays.directions.detach().abs().argmax(0, keepdim=True)
    cells = torch.tensor(volume.resolution[::-1]).to(rays.along)
    origin, direction = rays.origins.gather(0, main)[0], rays.directions.gather(0, main)[0]
    turned = direction.detach().sign()  # the axis of each ray is taken in the direction of the ray
    first, step = _distances(origin * turned, direction * turned, cells[main[0]], volume.extent)
    # The planes of a ray that follows a shorter axis end sooner: those that are left lie outside, where nothing is.
    planes = planes_of(max(volume.resolution), rule, rays.along.dtype, rays.along.device)
    points = rays.origins.T + (first[:, None] + planes.place[:, None, None] * step[:, None]) * rays.directions.T
    grid = (points * (cells / (cells + 2) / volume.extent))[None, :, :, None]  # [1, K, P, 1, 3]
    found = torch.nn.functional.grid_sample(_padded(volume)[None], grid, align_corners=False)[0, ..., 0]
    colors = found[1:].transpose(0, 1) if volume.channels > 1 else None
    visible = _visible(rays, first, step, planes)
    yield None, Crossings(found[0], colors, planes, first, step, rays.along, visible, True)


def _distances(origin: Tensor, direction: Tensor, cells: int | Tensor, extent: float) -> tuple[Tensor, Tensor]:
    """The distances along rays of place 0, and of one voxel, given what they do along the axis."""
    before = -extent - extent / cells
    return (before - origin) / direction, 2 * extent / cells / direction


def _visible(rays: _Rays, first: Tensor, step: Tensor, planes: Planes) -> Tensor | None:
    """``[K, P]``: the share of each plane's part that lies between near and far, or None if all of all does."""
    near, far = rays.near / rays.along, rays.far / rays.along
    whole = torch.stack([first + planes.ends[0][0] * step, first + planes.ends[1][-1] * step])
    if first.device.type == "cpu" and bool((whole.amin(0) >= near).all() & (whole.amax(0) <= far).all()):
        return None
    begin, end = (first + place[:, None] * step for place in planes.ends)
    low, high = torch.minimum(begin, end), torch.maximum(begin, end)
    return ((torch.minimum(high, far) - torch.maximum(low, near)) / (high - low)).clamp(0, 1)
