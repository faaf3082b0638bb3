"""What the nouns have in common: tensors that share leading batch dimensions.

A noun is a frozen dataclass. Its ``event_dims`` say, for each tensor field that has a batch, how many trailing
dimensions belong to one element; what stands before them is the batch. Every other field is shared by the batch: all
elements must agree on it.
"""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Self

import torch
from torch import Tensor

from render3d.errors import DeviceError, ShapeError


def check_shape(tensor: Tensor, pattern: str, *, name: str) -> Tensor:
    """Raise `ShapeError` unless ``tensor`` ends in the sizes of ``pattern``, such as ``"*batch V 3"``.

    Words stand for any size, numbers for themselves; a leading ``*word`` stands for any number of dimensions.
    """
    words = pattern.split()
    open_ended = words[0].startswith("*")
    sizes = words[1:] if open_ended else words
    shape = tuple(tensor.shape)
    fits = len(shape) >= len(sizes) if open_ended else len(shape) == len(sizes)
    tail = shape[len(shape) - len(sizes) :]
    if not fits or any(word.isdigit() and int(word) != size for word, size in zip(sizes, tail, strict=True)):
        raise ShapeError(f"{name} must have shape [{', '.join(words)}]; got {list(shape)}.")
    return tensor


def broadcast_shapes(first: Sequence[int], second: Sequence[int], *, names: tuple[str, str]) -> torch.Size:
    """The shape both broadcast to, or a `ShapeError` that names them."""
    # torch.broadcast_shapes would import SymPy, for half a second of every program's.
    rank = max(len(first), len(second))
    pairs = list(
        zip((1,) * (rank - len(first)) + tuple(first), (1,) * (rank - len(second)) + tuple(second), strict=True)
    )
    if any(one != other and 1 not in (one, other) for one, other in pairs):
        raise ShapeError(
            f"{names[0]} has batch shape {list(first)} and {names[1]} has batch shape {list(second)}, which do not "
            "broadcast. Batch dimensions follow the usual rules and views come last: B meshes each seen by a camera "
            "of its own are cameras[:, None]."
        )
    return torch.Size([other if one == 1 else one for one, other in pairs])


def index_leading(tensor: Tensor, event_dims: int, index: Any) -> Tensor:
    """``tensor[index]`` that cannot reach the last ``event_dims`` dimensions, not even by ``...`` or a mask."""
    leading = tensor.shape[: tensor.dim() - event_dims]
    # A stand-in of element numbers is indexed in the tensor's place.
    numbers = torch.arange(leading.numel(), device=tensor.device).reshape(leading)[index]
    flat = tensor.reshape(leading.numel(), *tensor.shape[tensor.dim() - event_dims :])
    return flat[numbers.reshape(-1)].reshape(*numbers.shape, *flat.shape[1:])


def cat_leading(tensors: Sequence[Tensor], event_dims: int, dim: int) -> Tensor:
    """Concatenate along leading dimension ``dim``, counted among those before the last ``event_dims``."""
    rank = tensors[0].dim() - event_dims
    if not -rank <= dim < rank:
        raise ShapeError(f"cat along dim={dim} needs that leading dimension; the items have {rank} of them.")
    return torch.cat(list(tensors), dim % rank)


class Batched:
    """Mixin of the nouns: ``.to``, ``.detach``, indexing of the batch, ``cat``, ``stack`` and a ``repr`` of shapes."""

    event_dims: ClassVar[dict[str, int]]

    def _tensors(self) -> dict[str, Tensor]:
        tensors = {name: getattr(self, name) for name in self.event_dims}
        return {name: tensor for name, tensor in tensors.items() if tensor is not None}

    def tensors(self) -> list[Tensor]:
        """Every tensor, those of nested nouns and shared ones included, in the order of the fields."""
        found: list[Tensor] = []
        self._map(lambda tensor: found.append(tensor) or tensor)  # type: ignore[func-returns-value]
        return found

    def _map(self, function: Callable[[Tensor], Tensor]) -> Self:
        """Apply ``function`` to every tensor, those of nested nouns and shared ones included."""
        changes: dict[str, Any] = {}
        for field in dataclasses.fields(self):  # type: ignore[arg-type]
            value = getattr(self, field.name)
            if isinstance(value, Tensor):
                changes[field.name] = function(value)
            elif isinstance(value, Batched):
                changes[field.name] = value._map(function)
        return dataclasses.replace(self, **changes)  # type: ignore[type-var]

    @property
    def leading_shape(self) -> torch.Size:
        """Every dimension before those of one element."""
        name, tensor = next(iter(self._tensors().items()))
        return tensor.shape[: tensor.dim() - self.event_dims[name]]

    @property
    def device(self) -> torch.device:
        """The device all tensors live on."""
        return next(iter(self._tensors().values())).device

    @property
    def requires_grad(self) -> bool:
        """Whether any tensor takes part in autograd."""
        return any(tensor.requires_grad for tensor in self._tensors().values())

    def to(self, device: torch.device | str) -> Self:
        """The same on another device."""
        return self._map(lambda tensor: tensor.to(device))

    def detach(self) -> Self:
        """The same values, cut from the autograd graph; tensors that are not in it stay the same objects."""
        return self._map(lambda tensor: tensor.detach() if tensor.requires_grad else tensor)

    def __getitem__(self, index: Any) -> Self:
        """Index the leading dimensions; an integer, slice, ``None``, ``...``, mask or tuple of these, as in torch."""
        changes = {name: index_leading(value, self.event_dims[name], index) for name, value in self._tensors().items()}
        return dataclasses.replace(self, **changes)  # type: ignore[type-var]

    def elements(self) -> list[Self]:
        """Every element of the batch by itself, in order; the backward pass takes them together, unlike indexing's."""
        parts = {
            name: tensor.reshape(-1, *tensor.shape[len(self.leading_shape) :]).unbind(0)
            for name, tensor in self._tensors().items()
        }
        together = [dict(zip(parts, row, strict=True)) for row in zip(*parts.values(), strict=True)]
        return [dataclasses.replace(self, **changes) for changes in together]  # type: ignore[type-var]

    @classmethod
    def cat(cls, items: Sequence[Self], dim: int = -1) -> Self:
        """Join along a leading dimension; ``dim`` counts leading dimensions only. The default is the last."""
        return cls._join(items, lambda tensors, event_dims: cat_leading(tensors, event_dims, dim))

    @classmethod
    def stack(cls, items: Sequence[Self]) -> Self:
        """Join along a new first dimension."""
        return cls._join(items, lambda tensors, event_dims: torch.stack(list(tensors)))

    @classmethod
    def _join(cls, items: Sequence[Self], join: Callable[[Sequence[Tensor], int], Tensor]) -> Self:
        if not items:
            raise ShapeError(f"{cls.__name__}: nothing to join; got an empty list.")
        changes: dict[str, Any] = {}
        for field in dataclasses.fields(cls):  # type: ignore[arg-type]
            values = [getattr(item, field.name) for item in items]
            if field.name in cls.event_dims and all(isinstance(value, Tensor) for value in values):
                changes[field.name] = _join_tensors(
                    values, cls.event_dims[field.name], join, f"{cls.__name__}.{field.name}"
                )
            elif not all(_same(values[0], value) for value in values[1:]):
                raise ShapeError(
                    f"{cls.__name__}: items to be joined must agree on {field.name!r}, and they differ. Pass a list "
                    "of them instead, or change that field first."
                )
        return dataclasses.replace(items[0], **changes)  # type: ignore[type-var]

    def __repr__(self) -> str:
        parts = []
        for field in dataclasses.fields(self):  # type: ignore[arg-type]
            value = getattr(self, field.name)
            if value is not None:
                parts.append(f"{field.name}={list(value.shape) if isinstance(value, Tensor) else value!r}")
        return f"{type(self).__name__}({', '.join(parts)}, device={str(self.device)!r})"


def _join_tensors(
    tensors: Sequence[Tensor], event_dims: int, join: Callable[[Sequence[Tensor], int], Tensor], name: str
) -> Tensor:
    check_same_device(**{f"{name} of item {index}": tensor for index, tensor in enumerate(tensors)})
    try:
        return join(tensors, event_dims)
    except RuntimeError:
        shapes = ", ".join(str(list(tensor.shape)) for tensor in tensors)
        raise ShapeError(
            f"{name}: tensors of shapes {shapes} cannot be joined; cat wants all but the joined dimension alike, and "
            "stack wants all alike. Pass a list of the items instead."
        ) from None


def _same(first: Any, second: Any) -> bool:
    if type(first) is not type(second):
        return False
    if isinstance(first, Tensor):
        alike = first.shape == second.shape and first.device == second.device
        return first is second or (alike and bool((first == second).all()))
    if isinstance(first, Batched):
        names = [field.name for field in dataclasses.fields(first)]  # type: ignore[arg-type]
        return all(_same(getattr(first, name), getattr(second, name)) for name in names)
    return bool(first == second)


def usable_device(name: str) -> torch.device:
    """Return the device of this name, such as ``"cuda:1"``.

    Raises:
        DeviceError: torch cannot compute there.
    """
    try:
        return torch.empty(0, device=name).device
    except (RuntimeError, AssertionError) as error:  # the latter of a torch without CUDA
        raise DeviceError(
            f"Nothing can be computed on the device {name!r}: {' '.join(str(error).split())}. Take one that this "
            "machine has, such as cpu."
        ) from error


def check_same_device(**tensors: Tensor) -> None:
    """Raise `DeviceError` unless all ``tensors``, given by name, live on one device."""
    places = {name: tensor.device for name, tensor in tensors.items()}
    if len(set(places.values())) > 1:
        listing = ", ".join(f"{name} on {device}" for name, device in places.items())
        raise DeviceError(f"All must live on one device; got {listing}. Move one of them with .to(device).")


def may_look_at(tensor: Tensor) -> bool:
    """Whether its values can be read now: while a CUDA graph is recorded, kernels are listed and none has run."""
    return not (tensor.is_cuda and torch.cuda.is_current_stream_capturing())
