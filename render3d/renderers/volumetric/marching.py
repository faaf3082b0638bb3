"""Integrals along rays through grids.

A ray is sampled where it crosses planes across the axis it follows most closely. On such a plane the trilinear
interpolation of the volume is bilinear in one slice, itself a mean of two: half the corners, all in one plane. (Slices
in one direction for a whole image: Cabral et al., "Accelerated volume rendering and tomographic reconstruction using
texture mapping hardware", 1994; here each ray takes those that suit it.)
"""

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from render3d.cameras import Cameras
from render3d.renderers.volumetric.crossings import Crossings
from render3d.renderers.volumetric.planes import Planes, Rule, planes_of
from render3d.renderers.volumetric.slices import Cut, padded, slices_of
from render3d.scenes import Volume

_BLOCKS = 2  # of planes: rays that enter or leave the cube sideways miss some
_SLACK = 1e-3  # voxels


class Integral(NamedTuple):
    """What is integrated: ``of`` crossings, ``[channels, P]``, and how what lies in front and behind join.

    Where a ray meets nothing, it is zero, which must join with anything to that.
    """

    of: Callable[[Crossings], Tensor]
    join: Callable[[Tensor, Tensor], Tensor]
    channels: int


class GridRays(NamedTuple):
    """Rays through each of M volumes, as many through each, one volume after the other: P together."""

    origins: Tensor  # [3, P], world
    directions: Tensor  # [3, P], world, unit
    along: Tensor  # [P]: depth per distance
    near: float
    far: float


def integrate(volume: Volume, cameras: Cameras, integral: Integral, rule: Rule) -> Tensor:
    """An integral over the ray through every pixel centre, ``[M, views, channels, H, W]``; differentiable in both.

    Args:
        volume: ``[M]`` volumes.
        cameras: ``[M, views]``.
        integral: What is wanted.
        rule: Where the planes stand.
    """
    exact = torch.promote_types(volume.values.dtype, torch.float32)
    volume = dataclasses.replace(volume, values=volume.values.to(exact))
    integrated = integrate_by_slices if volume.device.type == "cpu" else integrate_at_once
    result = integrated(volume, rays_of(cameras, exact), integral, rule)
    return result.reshape(integral.channels, *cameras.leading_shape, *cameras.image_size).movedim(0, 2)


def rays_of(cameras: Cameras, dtype: torch.dtype) -> GridRays:
    """The rays of ``[M, views]`` cameras."""
    origins, directions = cameras.rays()
    along = (directions * cameras.rotation[..., None, None, 2, :]).sum(-1)
    flat = [part.reshape(-1, 3).T.contiguous().to(dtype) for part in (origins, directions)]
    return GridRays(flat[0], flat[1], along.reshape(-1).to(dtype), cameras.near, cameras.far)


# On a CPU: rays grouped by volume, axis and direction, and slices sampled bilinearly, which torch is quick at there.


def integrate_by_slices(volume: Volume, rays: GridRays, integral: Integral, rule: Rule) -> Tensor:
    """``[channels, P]``."""
    bundles, order = _bundles_of(volume, rays)
    # All slices are kept for a gradient in any case; without one, those of one volume at a time are enough.
    together = len(bundles) if volume.requires_grad and torch.is_grad_enabled() else 1
    found: list[Tensor] = []
    for first in range(0, len(bundles), together):
        these = slice(first, first + together)
        found.extend(_integrals(volume.values[these], bundles[these], integral, rule))
    missing = len(rays.along) - len(order)
    place = torch.full((len(rays.along),), -1).index_put((order,), torch.arange(len(order)))
    return torch.cat([*found, rays.along.new_zeros(integral.channels, min(1, missing))], dim=1)[:, place]


class _Bundle(NamedTuple):
    """Rays that follow one axis in one direction. Few tensors, since every block of planes takes some of the rays."""

    axis: int  # 0 is x
    descending: bool
    clipped: bool  # whether near or far cut off any of the planes of any ray
    line: Tensor  # [5, P]: distances of place 0 and of one voxel, depth per distance, distances of near and far
    sideways: Tensor  # [2, P, 2]: as of `_sideways`
    stay: Tensor  # [2, P]: the places at which they enter the cube and leave it

    def cross(self, slices: Tensor, planes: Planes, chosen: Tensor | None) -> Crossings:
        """Those of the chosen rays, or of all, with ``planes`` of which the slices are given."""
        line, sideways = self.line, self.sideways
        if chosen is not None:
            line, sideways = line.index_select(1, chosen), sideways.index_select(1, chosen)
        grid = torch.addcmul(sideways[0], planes.place[:, None, None], sideways[1])[:, None]  # [K, 1, P, 2]
        values = torch.nn.functional.grid_sample(slices, grid, align_corners=False).squeeze(2)
        first, step, along, near, far = line.unbind(0)
        visible = _visible(first, step, near, far, planes) if self.clipped else None
        return Crossings(values, planes, first, step, along, visible)


def _integrals(
    values: Tensor, bundles: Sequence[Sequence[_Bundle]], integral: Integral, rule: Rule
) -> Iterator[Tensor]:
    """``[channels, P]`` for each bundle of rays through each of the volumes ``[M, C, D, H, W]``."""
    tasks = [
        (volume, bundle, list(_blocks(bundle, values, rule))) for volume, own in enumerate(bundles) for bundle in own
    ]
    cuts = [Cut(volume, bundle.axis, planes) for volume, bundle, blocks in tasks for planes, _ in blocks]
    slices = iter(slices_of(values, cuts) if cuts else ())
    for _, bundle, blocks in tasks:
        total = nothing = values.new_zeros(integral.channels, bundle.line.shape[1])
        for number, (planes, chosen) in enumerate(blocks):
            part = integral.of(bundle.cross(next(slices), planes, chosen))
            part = part if chosen is None else nothing.index_copy(1, chosen, part)
            total = part if number == 0 else integral.join(total, part)
        yield total


def _blocks(bundle: _Bundle, values: Tensor, rule: Rule) -> Iterator[tuple[Planes, Tensor | None]]:
    """Blocks of planes, in the order in which the rays meet them, and the rays that are in the cube there, or None."""
    voxels = values.shape[4 - bundle.axis]
    blocks = planes_of(voxels, rule, _BLOCKS, bundle.descending, values.dtype, values.device)
    enter, leave = bundle.stay
    for planes in reversed(blocks) if bundle.descending else blocks:
        inside = (enter <= planes.back) & (leave >= planes.front)
        chosen = inside.nonzero()[:, 0]
        if len(chosen) > 0:
            yield planes, None if len(chosen) == len(inside) else chosen


def _bundles_of(volume: Volume, rays: GridRays) -> tuple[list[list[_Bundle]], Tensor]:
    """The bundles of every volume, and the numbers of their rays, one bundle after the other."""
    volumes, count = len(volume.values), len(rays.along)
    course = _course(volume, rays)
    begin, end = _stay(volume, rays)
    against = course.towards < 0
    group = torch.arange(count).div(count // volumes, rounding_mode="floor") * 6 + 2 * course.main + against
    group = torch.where(begin <= end, group, 6 * volumes)
    sizes = group.bincount(minlength=6 * volumes)[: 6 * volumes].tolist()
    order = group.argsort(stable=True)[: sum(sizes)]
    first, step = course.first.detach(), course.step.detach()
    stay = torch.stack([(begin - first) / step - _SLACK, (end - first) / step + _SLACK])
    line = torch.stack([course.first, course.step, rays.along, rays.near / rays.along, rays.far / rays.along])
    parts = [part.index_select(1, order) for part in (line, _sideways(volume, rays, course), stay)]
    clipped = bool(((line[3] > first - step) | (line[4] < first + (max(volume.resolution) + 2) * step)).any())
    bundles: list[list[_Bundle]] = [[] for _ in range(volumes)]
    for number, (line, sideways, stay) in enumerate(
        zip(*(torch.split(part, sizes, dim=1) for part in parts), strict=True)
    ):
        if sizes[number] > 0:
            own, (axis, descending) = number // 6, divmod(number % 6, 2)
            bundles[own].append(_Bundle(axis, bool(descending), clipped, line, sideways, stay))
    return bundles, order


class _Course(NamedTuple):
    """How rays cross planes: all ``[P]``."""

    main: Tensor  # the axis that a ray follows most closely
    towards: Tensor  # its direction along that
    first: Tensor  # the distance of place 0
    step: Tensor  # and of one voxel


def _course(volume: Volume, rays: GridRays) -> _Course:
    x, y, z = rays.directions.detach().abs()
    # argmax says the same, and is slow along a first dimension of three.
    main = torch.where(z > torch.maximum(x, y), 2, (y > x).long())
    origin, direction = (part.gather(0, main[None])[0] for part in (rays.origins, rays.directions))
    turned = direction.detach().sign()  # the axis of each ray is taken in the direction of the ray
    cells = torch.tensor(volume.resolution[::-1]).to(rays.along)[main]
    before = -volume.extent - volume.extent / cells
    first, step = (before - origin * turned) / (direction * turned), 2 * volume.extent / cells / (direction * turned)
    return _Course(main, turned, first, step)


def _sideways(volume: Volume, rays: GridRays, course: _Course) -> Tensor:
    """``[2, P, 2]``: where rays cross place 0, and how far they move in one voxel, along their other two axes.

    As grid_sample counts: the lower axis first, and from -1 to 1 in the padded grid.
    """
    cells = torch.tensor(volume.resolution[::-1]).to(rays.along)
    scale = (cells / (cells + 2) / volume.extent)[:, None]
    others = torch.stack([(course.main == 0).long(), 2 - (course.main == 2).long()])
    origin, direction = ((part * scale).gather(0, others).T for part in (rays.origins, rays.directions))
    first, step = course.first[:, None], course.step[:, None]
    return torch.stack([torch.addcmul(origin, first, direction), step * direction])


def _stay(volume: Volume, rays: GridRays) -> tuple[Tensor, Tensor]:
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


# On a GPU: all rays and planes together, sampled trilinearly; nothing waits for the host.


def integrate_at_once(volume: Volume, rays: GridRays, integral: Integral, rule: Rule) -> Tensor:
    """``[channels, P]``."""
    course = _course(volume, rays)
    # The planes of a ray that follows a shorter axis end sooner: those that are left lie outside, where nothing is.
    planes = planes_of(max(volume.resolution), rule, 1, False, rays.along.dtype, rays.along.device)[0]
    distance = course.first + planes.place[:, None] * course.step  # [K, P]
    volumes, channels = volume.values.shape[:2]
    cells = torch.tensor(volume.resolution[::-1]).to(rays.along)
    scale = (cells / (cells + 2) / volume.extent)[:, None]
    points = (rays.origins * scale)[:, None] + distance * (rays.directions * scale)[:, None]  # [3, K, P]
    grid = points.reshape(*points.shape[:2], volumes, -1).permute(2, 1, 3, 0)[..., None, :]  # [M, K, P / M, 1, 3]
    found = torch.nn.functional.grid_sample(padded(volume.values), grid, align_corners=False)[..., 0]
    values = found.permute(2, 1, 0, 3).reshape(len(planes.place), channels, -1)
    visible = _visible(course.first, course.step, rays.near / rays.along, rays.far / rays.along, planes)
    return integral.of(Crossings(values, planes, course.first, course.step, rays.along, visible))


def _visible(first: Tensor, step: Tensor, near: Tensor, far: Tensor, planes: Planes) -> Tensor:
    """``[K, P]``: the share of each plane's part that lies between near and far."""
    middle, half = first + planes.place[:, None] * step, planes.share / 2 * step
    low, high = torch.maximum(middle - half, near), torch.minimum(middle + half, far)
    return ((high - low) / (2 * half)).clamp(0, 1)
