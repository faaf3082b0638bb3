"""Integrals along rays through a grid.

A ray is sampled where it crosses planes across the axis it follows most closely. On such a plane the trilinear
interpolation of the volume is bilinear in one slice, itself a mean of two: half the corners, all in one plane. (Slices
in one direction for a whole picture: Cabral et al., "Accelerated volume rendering and tomographic reconstruction using
texture mapping hardware", 1994; here each ray takes those that suit it.)
"""

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from render3d.cameras import Cameras
from render3d.renderers.volumetric.crossings import Crossings, Planes, Rule, between, planes_of
from render3d.scenes import Volume

_BLOCKS, _LEAST_BLOCK = 3, 8  # of planes: rays that enter or leave the cube sideways miss some
_SLACK = 1e-3  # voxels


class Integral(NamedTuple):
    """What is integrated: ``of`` crossings, ``[channels, P]``, and how what lies in front and behind join.

    Where a ray meets nothing, it is zero, which must join with anything to that.
    """

    of: Callable[[Crossings], Tensor]
    join: Callable[[Tensor, Tensor], Tensor]
    channels: int


@dataclasses.dataclass(frozen=True)
class _Rays:
    origins: Tensor  # [3, P], world
    directions: Tensor  # [3, P], world, unit
    along: Tensor  # [P]
    near: float
    far: float


def integrate(volume: Volume, cameras: Cameras, integral: Integral, rule: Rule) -> Tensor:
    """An integral over the ray through every pixel centre, ``[views, channels, H, W]``; differentiable in both.

    Args:
        volume: One volume.
        cameras: ``[views]``.
        integral: What is wanted.
        rule: Where the planes stand.
    """
    exact = torch.promote_types(volume.values.dtype, torch.float32)
    volume = dataclasses.replace(volume, values=volume.values.to(exact))
    rays = _rays_of(cameras, exact)
    integrated = _integrate_by_slices if volume.device.type == "cpu" else _integrate_at_once
    result = integrated(volume, rays, integral, rule)
    return result.reshape(integral.channels, cameras.views, *cameras.image_size).movedim(1, 0)


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


# On a CPU: rays grouped by axis and direction, and slices sampled bilinearly, which is what torch is quick at there.


def _integrate_by_slices(volume: Volume, rays: _Rays, integral: Integral, rule: Rule) -> Tensor:
    """``[channels, P]``."""
    padded = _padded(volume)
    main, towards = _main_axes(rays.directions.detach())
    begin, end = _stay(volume, rays)
    group = torch.where(begin <= end, 2 * main + (towards > 0), -1)
    chosen, found = [], []
    for axis in range(3):
        for forward in (True, False):
            numbers = (group == 2 * axis + forward).nonzero()[:, 0]
            if len(numbers) > 0:
                bundle = _bundle(volume, rays, numbers, axis, forward)
                # Seen from the other side, all that follows is the same.
                slices = padded.movedim(3 - axis, 0) if forward else padded.movedim(3 - axis, 0).flip(0)
                blocks = _cross_slices(slices.contiguous(), bundle, begin[numbers], end[numbers], rule)
                chosen.append(numbers)
                found.append(_joined(blocks, integral, padded.new_zeros(integral.channels, len(numbers))))
    return _assembled(chosen, found, padded.new_zeros(integral.channels, 1), len(main))


def _joined(blocks: Iterator[tuple[Tensor | None, Crossings]], integral: Integral, nothing: Tensor) -> Tensor:
    """``[channels, P]`` of blocks from front to back, each of the rays that are chosen, or of all."""
    total: Tensor | None = None
    for chosen, crossings in blocks:
        found = integral.of(crossings)
        found = found if chosen is None else nothing.index_copy(1, chosen, found)
        total = found if total is None else integral.join(total, found)
    return nothing if total is None else total


def _assembled(chosen: Sequence[Tensor], found: Sequence[Tensor], missing: Tensor, count: int) -> Tensor:
    """``[channels, count]`` of pieces ``[channels, P]``, each of the rays that are chosen; ``missing`` for the rest."""
    order = torch.cat([torch.empty(0, dtype=torch.long), *chosen])
    place = torch.full((count,), len(order)).index_put((order,), torch.arange(len(order)))
    return torch.cat([*found, missing], dim=1).index_select(1, place)


def _main_axes(directions: Tensor) -> tuple[Tensor, Tensor]:
    """The axis that each of ``[3, P]`` follows most closely, and its component along it: ``[P]`` each."""
    x, y, z = directions.abs()
    # argmax and gather say the same, and are slow along a first dimension of three.
    main = torch.where(z > torch.maximum(x, y), 2, (y > x).long())
    return main, torch.where(main == 0, directions[0], torch.where(main == 1, directions[1], directions[2]))


def _stay(volume: Volume, rays: _Rays) -> tuple[Tensor, Tensor]:
    """The distances ``[P]`` between which rays are in the cube, grown by the half voxel in which values fall to zero.

    The second is the lesser where a ray misses it.
    """
    begin, end = torch.full_like(rays.along, -torch.inf), torch.full_like(rays.along, torch.inf)
    origins, directions = rays.origins.detach(), rays.directions.detach()
    for cells, origin, direction in zip(reversed(volume.resolution), origins, directions, strict=True):
        reach = volume.extent * (1 + 1 / cells)
        ends = (-reach - origin) / direction, (reach - origin) / direction
        # Rays parallel to a face give infinities of the right sign, and in the face itself 0 / 0: those are kept.
        begin = torch.maximum(begin, torch.minimum(*ends).nan_to_num(-torch.inf, torch.inf, -torch.inf))
        end = torch.minimum(end, torch.maximum(*ends).nan_to_num(torch.inf, torch.inf, -torch.inf))
    return begin, end


class _Bundle(NamedTuple):
    """Rays that follow one axis, in its direction. Few tensors, since every block of planes takes some of the rays."""

    line: Tensor  # [5, P]: distances of place 0 and of one voxel, depth per distance, distances of near and far
    sideways: Tensor  # [2, P, 2]: where they cross place 0, and how far they move in one voxel, as grid_sample counts
    clipped: bool  # whether near or far cut off any of the planes of any ray

    def select(self, chosen: Tensor) -> "_Bundle":
        """Some of them."""
        return _Bundle(self.line.index_select(1, chosen), self.sideways.index_select(1, chosen), self.clipped)


def _bundle(volume: Volume, rays: _Rays, numbers: Tensor, axis: int, forward: bool) -> _Bundle:
    """Some rays, along an axis (0 is x) or, turned round, against it."""
    origins, directions = rays.origins.index_select(1, numbers), rays.directions.index_select(1, numbers)
    along = rays.along.index_select(0, numbers)
    cells, turned = volume.resolution[::-1], 1 if forward else -1
    first, step = _distances(turned * origins[axis], turned * directions[axis], cells[axis], volume.extent)
    near, far = rays.near / along, rays.far / along
    clipped = (first - step < near) | (first + (cells[axis] + 2) * step > far)
    start, slope = [], []
    for other in range(3):
        if other != axis:
            # In the grid with a voxel more on each side, [-1, 1] is that much longer.
            scale = cells[other] / (cells[other] + 2) / volume.extent
            direction = directions[other] * scale
            start.append(torch.addcmul(origins[other] * scale, first, direction))
            slope.append(step * direction)
    sideways = torch.stack([torch.stack(start, -1), torch.stack(slope, -1)])
    return _Bundle(torch.stack([first, step, along, near, far]), sideways, bool(clipped.any()))


def _cross_slices(
    slices: Tensor, bundle: _Bundle, begin: Tensor, end: Tensor, rule: Rule
) -> Iterator[tuple[Tensor | None, Crossings]]:
    """Blocks of planes from front to back, each with the rays that are in the cube there; None is all of them.

    Args:
        slices: ``[n + 2, C, A + 2, B + 2]``, in the direction of the rays.
        bundle: Of P rays.
        begin: ``[P]``: distances at which they enter the cube.
        end: ``[P]``: and at which they leave it.
        rule: Where the planes stand.
    """
    planes = planes_of(len(slices) - 2, rule, slices.dtype, slices.device)
    count = max(1, min(_BLOCKS, len(planes.place) // _LEAST_BLOCK))
    sizes = [len(part) for part in planes.place.tensor_split(count)]
    first, step = bundle.line[:2].detach()
    enter, leave = (begin - first) / step - _SLACK, (end - first) / step + _SLACK
    blended = torch.split(between(slices, planes), sizes)
    for own, part in zip(blended, planes.parts(sizes), strict=True):
        inside = (enter <= part.place[-1]) & (leave >= part.place[0])
        chosen = inside.nonzero()[:, 0]
        if len(chosen) == len(inside):
            yield None, _cross(own, bundle, part)
        elif len(chosen) > 0:
            yield chosen, _cross(own, bundle.select(chosen), part)


def _cross(slices: Tensor, bundle: _Bundle, planes: Planes) -> Crossings:
    start, slope = bundle.sideways.unbind(0)
    grid = torch.addcmul(start, planes.place[:, None, None], slope)[:, None]  # [K, 1, P, 2]
    found = torch.nn.functional.grid_sample(slices, grid, align_corners=False)
    found = found.reshape(*found.shape[:2], -1)
    density, colors = found.flatten(0, 1), None
    if found.shape[1] > 1:  # split, for the backward passes of two slices would each fill a whole gradient
        density, colors = torch.split(found, [1, found.shape[1] - 1], dim=1)
        density = density.reshape(len(found), -1)
    first, step, along, near, far = bundle.line.unbind(0)
    visible = _visible(first, step, near, far, planes) if bundle.clipped else None
    return Crossings(density, colors, planes, first, step, along, visible)


# On a GPU: all rays and planes together, sampled trilinearly; nothing waits for the host.


def _integrate_at_once(volume: Volume, rays: _Rays, integral: Integral, rule: Rule) -> Tensor:
    """``[channels, P]``."""
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
    visible = _visible(first, step, rays.near / rays.along, rays.far / rays.along, planes)
    return integral.of(Crossings(found[0], colors, planes, first, step, rays.along, visible))


def _distances(origin: Tensor, direction: Tensor, cells: int | Tensor, extent: float) -> tuple[Tensor, Tensor]:
    """The distances along rays of place 0, and of one voxel, given what they do along the axis."""
    before = -extent - extent / cells
    return (before - origin) / direction, 2 * extent / cells / direction


def _visible(first: Tensor, step: Tensor, near: Tensor, far: Tensor, planes: Planes) -> Tensor:
    """``[K, P]``: the share of each plane's part that lies between near and far."""
    middle, half = first + planes.place[:, None] * step, planes.share / 2 * step
    low, high = torch.maximum(middle - half, near), torch.minimum(middle + half, far)
    return ((high - low) / (2 * half)).clamp(0, 1)
