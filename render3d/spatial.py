"""Spatial transformers in two and three dimensions: glimpses read from a grid, and patches written onto one.

``VST(x, h) = [k_d(h) (x) k_h(h) (x) k_w(h)] * x`` (Rezende et al. 2016, supplement A.3; in two dimensions Jaderberg et
al., "Spatial transformer networks", 2015). The kernels interpolate linearly between the centres of cells, and beyond
the grid there are zeros: this is ``grid_sample`` with ``align_corners=False``.

A transform says where a patch lies on a canvas. Both span ``[-1, 1]`` along every axis, and the point ``p`` of the
patch lies at ``A p + b`` of the canvas. `read` gives the patch that lies there, `write` puts one there.
"""

import dataclasses
import itertools
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar, Self, final

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.profiler import record_function

from render3d.batches import Batched, broadcast_shapes, check_same_device, check_shape, may_look_at
from render3d.errors import ShapeError, TransformError
from render3d.precision import exact, without_autocast

REGION = "spatial transformer"
"""What a profiler calls reading and writing."""

_CACHED = 2**19  # numbers: some such tensors fit a cache together


@final
@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Affine(Batched):
    """``p -> A p + b`` in n dimensions, 2 or 3: six or twelve degrees of freedom.

    Attributes:
        matrix: ``[*batch, n, n + 1]`` float, ``[A | b]``, components in the order (x, y) or (x, y, z). Differentiable.

    Raises:
        ShapeError: A matrix of another shape.
    """

    event_dims: ClassVar[dict[str, int]] = {"matrix": 2}

    matrix: Tensor

    def __post_init__(self) -> None:
        if self.matrix.dim() < 2 or tuple(self.matrix.shape[-2:]) not in ((2, 3), (3, 4)):
            raise ShapeError(
                f"matrix must have shape [*batch, n, n + 1] for n of 2 or 3; got {list(self.matrix.shape)}."
            )
        object.__setattr__(self, "matrix", exact(self.matrix))

    @property
    def dims(self) -> int:
        """The number of dimensions n."""
        return self.matrix.shape[-2]

    @classmethod
    def identity(cls, dims: int = 3) -> Self:
        """The transform that changes nothing."""
        return cls(torch.eye(dims, dims + 1))

    @without_autocast
    def inverse(self) -> Self:
        """The transform that undoes this one. Differentiable.

        Raises:
            TransformError: It is singular, or not finite.
        """
        linear, shift = self.matrix[..., :-1], self.matrix[..., -1:]
        # Compared with the product of the rows' lengths, so that small patches are not taken for flat ones.
        volume = linear.detach().norm(dim=-1).prod(-1)
        share = torch.linalg.det(linear.detach()).abs() / volume
        if not bool((share > 100 * torch.finfo(linear.dtype).eps).all() and shift.detach().isfinite().all()):
            raise TransformError(
                "A transform is singular or not finite: its patch has no extent along some direction, so nothing can "
                "be written there. Keep its scales away from zero."
            )
        inverse = torch.linalg.inv(linear)
        return type(self)(torch.cat([inverse, -inverse @ shift], dim=-1))

    @without_autocast
    def compose(self, inner: "Affine") -> "Affine":
        """The transform that applies ``inner`` first: a patch of a patch of the canvas. Batches broadcast."""
        linear, shift = self.matrix[..., :-1], self.matrix[..., -1:]
        moved = linear @ inner.matrix
        return Affine(torch.cat([moved[..., :-1], moved[..., -1:] + shift], dim=-1))


@final
@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class ScaleShift(Batched):
    """``p -> scale * p + shift``, axis by axis: the affine transform whose kernel is a product of 1-D kernels.

    Attributes:
        scale: ``[*batch, n]`` float, n of 2 or 3, in the order (x, y) or (x, y, z). Differentiable.
        shift: The same.

    Raises:
        ShapeError: Tensors of other shapes, or batches that do not broadcast.
        DeviceError: The two live on different devices.
    """

    event_dims: ClassVar[dict[str, int]] = {"scale": 1, "shift": 1}

    scale: Tensor
    shift: Tensor

    def __post_init__(self) -> None:
        for name, tensor in (("scale", self.scale), ("shift", self.shift)):
            if tensor.dim() < 1 or tensor.shape[-1] not in (2, 3):
                raise ShapeError(f"{name} must have shape [*batch, n] for n of 2 or 3; got {list(tensor.shape)}.")
        check_same_device(scale=self.scale, shift=self.shift)
        shape = broadcast_shapes(self.scale.shape, self.shift.shape, names=("scale", "shift"))
        object.__setattr__(self, "scale", self.scale.expand(shape))
        object.__setattr__(self, "shift", self.shift.expand(shape))

    @property
    def dims(self) -> int:
        """The number of dimensions n."""
        return self.scale.shape[-1]

    @classmethod
    def identity(cls, dims: int = 3) -> Self:
        """The transform that changes nothing."""
        return cls(torch.ones(dims), torch.zeros(dims))

    def inverse(self) -> Self:
        """The transform that undoes this one. Differentiable.

        Raises:
            TransformError: A scale is zero, or something is not finite.
        """
        scale, shift = self.scale.detach(), self.shift.detach()
        if may_look_at(scale) and not bool(((scale != 0) & scale.isfinite() & shift.isfinite()).all()):
            raise TransformError(
                "A scale is zero, or a scale or shift is not finite: such a patch has no extent, so nothing can be "
                "written there. Keep scales away from zero, for example as exponentials."
            )
        return type(self)(1 / self.scale, -self.shift / self.scale)

    def compose(self, inner: "ScaleShift") -> "ScaleShift":
        """The transform that applies ``inner`` first: a patch of a patch of the canvas. Batches broadcast."""
        return ScaleShift(self.scale * inner.scale, self.scale * inner.shift + self.shift)

    def to_affine(self) -> Affine:
        """The same transform in the general form."""
        return Affine(torch.cat([torch.diag_embed(self.scale), self.shift[..., None]], dim=-1))


Transform = Affine | ScaleShift


@without_autocast
def read(canvas: Tensor, place: Transform, size: Sequence[int]) -> Tensor:
    """The patch of ``size`` that lies at ``place`` on the canvas: an attention glimpse.

    Cells are sampled, not averaged: a glimpse with fewer cells than the part of the canvas it covers skips some.

    Args:
        canvas: ``[*batch, C, H, W]`` or ``[*batch, C, D, H, W]`` float. Differentiable.
        place: Where the patch lies; its batch broadcasts with that of the canvas. Differentiable, but for the corners
            of the linear kernel.
        size: ``(h, w)`` or ``(d, h, w)`` of the patch, in cells.

    Returns:
        ``[*batch, C, *size]``; NaN where ``place`` is NaN.

    Raises:
        ShapeError: Dimensions that do not match, batches that do not broadcast, or a size below one cell.
        DeviceError: Canvas and place on different devices.
    """
    batch = _check(canvas, place, size)
    with record_function(REGION):
        values = _flat(canvas, batch, place.dims + 1)
        if isinstance(place, Affine):
            sampled = _general(values, _flat(place.matrix, batch, 2), size)
        else:
            sampled = _contract(values, _kernels(place, values, batch, size)).movedim(-1, 1)
        return sampled.reshape(*batch, *sampled.shape[1:])


def write(patch: Tensor, place: Transform, size: Sequence[int]) -> Tensor:
    """A canvas of ``size`` with the patch at ``place`` and zeros round it; arguments and errors as in `read`.

    It is `read` by the inverse transform: reading from the same place gives the patch back, up to interpolation.

    Raises:
        TransformError: ``place`` cannot be inverted.
    """
    return read(patch, place.inverse(), size)


@without_autocast
def superpose(patches: Tensor, places: Transform, size: Sequence[int]) -> Tensor:
    """The sum of T patches on one canvas: ``write(patches, places, size).sum(-5)``, with less memory and time.

    Args:
        patches: ``[*batch, T, C, d, h, w]`` float, three-dimensional. Differentiable.
        places: ``[*batch, T]``, as in `read`.
        size: ``(D, H, W)`` of the canvas.

    Returns:
        ``[*batch, C, D, H, W]``.
    """
    check_shape(patches, "*batch T C D H W", name="patches")
    inverse = places.inverse()
    if isinstance(inverse, Affine):
        return read(patches, inverse, size).sum(-5)
    batch = _check(patches, inverse, size)
    with record_function(REGION):
        flat = _flat(patches, batch, 4)
        depth_kernel, *others = _kernels(inverse, flat, batch, size)
        rows = _contract(flat, others)  # [N * T, H, W, C, d]
        per_canvas = (-1, batch[-1])
        # The sum over the patches is part of the product with the last kernel.
        canvas = torch.einsum(
            "ntpd,nthwcd->ncphw",
            depth_kernel.reshape(*per_canvas, *depth_kernel.shape[1:]),
            rows.reshape(*per_canvas, *rows.shape[1:]),
        )
        return canvas.reshape(*batch[:-1], *canvas.shape[1:])


def _check(values: Tensor, transform: Transform, size: Sequence[int]) -> torch.Size:
    """The batch that both broadcast to; what does not fit is an error."""
    dims = transform.dims
    if len(size) != dims or min(size) < 1:
        raise ShapeError(f"size must be {dims} numbers of at least one cell, as the transform has; got {list(size)}.")
    check_shape(values, "*batch C H W" if dims == 2 else "*batch C D H W", name="the grid")
    if 0 in values.shape[-dims - 1 :]:
        raise ShapeError(f"The grid must have a channel, and a cell along each axis; got {list(values.shape)}.")
    check_same_device(grid=values, transform=next(iter(transform._tensors().values())))
    return broadcast_shapes(values.shape[: -dims - 1], transform.leading_shape, names=("the grid", "the transform"))


def _flat(tensor: Tensor, batch: torch.Size, event_dims: int) -> Tensor:
    """``tensor`` expanded to ``batch``, as ``[N, *event]``."""
    event = tensor.shape[tensor.dim() - event_dims :]
    return tensor.expand(*batch, *event).reshape(batch.numel(), *event)


def _general(values: Tensor, matrix: Tensor, size: Sequence[int]) -> Tensor:
    """Any affine transform, by way of the coordinates of every point: ``[N, C, *size]``."""
    shape, kind = [len(values), values.shape[1], *size], torch.promote_types(values.dtype, matrix.dtype)
    grid = torch.nn.functional.affine_grid(matrix.to(kind), shape, align_corners=False)
    sampled = torch.nn.functional.grid_sample(values.to(kind), grid, padding_mode="zeros", align_corners=False)
    # To grid_sample, NaN is a place outside: its zeros would hide that the transform is broken.
    return (sampled + 0 * matrix.to(kind).sum((1, 2)).reshape(-1, *[1] * (values.dim() - 1))).to(values.dtype)


def _kernels(transform: ScaleShift, values: Tensor, batch: torch.Size, size: Sequence[int]) -> list[Tensor]:
    """The kernel of every axis, ``[N, points, cells]``, from the first axis of the grid to the last.

    Point u of the patch lies at ``scale * u + shift``; a cell counts for it by one minus their distance in cells.
    """
    exact = torch.promote_types(torch.promote_types(transform.scale.dtype, values.dtype), torch.float32)
    # (x, y, z) against (z, y, x)
    scale, shift = (_flat(tensor.to(exact), batch, 1).flip(1) for tensor in (transform.scale, transform.shift))
    # Axes of the same numbers are done together: what a GPU takes for such small tensors is the number of operations.
    alike = [(axis, len(list(group))) for axis, group in itertools.groupby(zip(values.shape[2:], size, strict=True))]
    scales, shifts = (torch.split(tensor, [count for _, count in alike], dim=1) for tensor in (scale, shift))
    kernels: list[Tensor] = []
    for ((cells, points), _), own_scale, own_shift in zip(alike, scales, shifts, strict=True):
        # In cells from the centre of the grid, which lies at (cells - 1) / 2.
        u = (torch.arange(points, dtype=exact, device=scale.device) + 0.5) * (cells / points) - cells / 2
        position = own_scale[..., None] * u + (own_shift * (cells / 2) + (cells - 1) / 2)[..., None]
        distance = position[..., None] - torch.arange(cells, dtype=exact, device=scale.device)
        kernels += torch.relu(1 - distance.abs()).to(values.dtype).unbind(1)
    return kernels


def _contract(values: Tensor, kernels: Sequence[Tensor]) -> Tensor:
    """``[k_d (x) k_h (x) k_w] * x`` over the last axes: ``[N, ..., *grid]`` to ``[N, *points, ...]``.

    Each product takes an axis from the end and puts it in front, so that none needs a copy of the values.
    """
    found: Tensor = _Contraction.apply(values.contiguous(), *reversed(kernels))  # type: ignore[no-untyped-call]
    return found


class _Contraction(torch.autograd.Function):
    """The products, one after the other, of few grids at a time.

    What lies between two products then stays in the cache, and is made again for the backward pass: on a CPU that is
    quicker than to write it to fresh memory, which the system has to clear, and to keep it.
    """

    @staticmethod
    def forward(ctx: Any, values: Tensor, *kernels: Tensor) -> Tensor:
        ctx.save_for_backward(values, *kernels)
        points = [kernel.shape[1] for kernel in reversed(kernels)]
        found = values.new_empty(len(values), *points, *values.shape[1 : values.dim() - len(kernels)])
        for few in _few(values):
            *_, last = _stages(values[few], [kernel[few] for kernel in kernels[:-1]])
            kernel = kernels[-1][few]
            torch.bmm(kernel, _rows(last).mT, out=found[few].view(len(kernel), kernel.shape[1], -1))
        return found

    @staticmethod
    @once_differentiable
    @without_autocast
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, ...]:
        values, *kernels = ctx.saved_tensors
        by_values, by_kernels = torch.empty_like(values), [torch.empty_like(kernel) for kernel in kernels]
        for few in _few(values):
            stages = _stages(values[few], [kernel[few] for kernel in kernels[:-1]])
            product = grad[few]
            for number in reversed(range(len(kernels))):
                kernel, rows = kernels[number][few], _rows(stages[number])
                product = product.reshape(len(kernel), kernel.shape[1], -1)
                torch.bmm(product, rows, out=by_kernels[number][few])
                if number > 0:
                    product = product.mT @ kernel
            torch.bmm(product.mT, kernels[0][few], out=_rows(by_values[few]))
        return by_values, *by_kernels


def _few(values: Tensor) -> Iterator[slice]:
    """Parts of a batch of grids, each small enough for the cache of a CPU; all of it at once elsewhere."""
    count = max(1, _CACHED // values.shape[1:].numel()) if values.device.type == "cpu" else len(values)
    return (slice(first, first + count) for first in range(0, len(values), count))


def _stages(values: Tensor, kernels: Sequence[Tensor]) -> list[Tensor]:
    """The values, and what each product makes of them."""
    stages = [values]
    for kernel in kernels:
        count, *rest, _ = stages[-1].shape
        stages.append((kernel @ _rows(stages[-1]).mT).reshape(count, -1, *rest))
    return stages


def _rows(values: Tensor) -> Tensor:
    """``[N, M, cells]``, of ``[N, ..., cells]``."""
    return values.reshape(len(values), -1, values.shape[-1])
