"""Reading: what the model looks at, given its state. Serves as f_read of the context and as f_r of the posterior.

A reader prepares what does not depend on the state once, and is then asked at every step.
"""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol, final

import torch
from torch import Tensor, nn

from render3d.batches import may_look_at
from render3d.errors import ModelError
from render3d.models.parts.layers import TransformHead, TransformKind, cell_for_cell, mlp
from render3d.spatial import read


class Reader(Protocol):
    """From something observed and the state ``[N, S]`` to a summary ``[N, size]``."""

    size: int

    def prepare(self, observed: Tensor | None, count: int) -> Any:
        """What does not depend on the state, for ``count`` examples.

        Raises:
            ModelError: It does not fit the model.
        """
        ...

    def __call__(self, prepared: Any, state: Tensor) -> Tensor:
        """The summary at one step."""
        ...


@final
class NoReader(nn.Module):
    """Reads nothing: for models without a context."""

    size = 0

    def prepare(self, observed: Tensor | None, count: int) -> Tensor:
        """Nothing."""
        if observed is not None:
            raise ModelError(
                f"This model takes no context; got one of shape {list(observed.shape)}. Leave it out, or build the "
                "model with a context."
            )
        return torch.empty(count, 0)

    def forward(self, prepared: Tensor, state: Tensor) -> Tensor:
        """Nothing."""
        return state.new_empty(len(state), 0)


@final
class ClassReader(nn.Module):
    """A class label, as a one-hot vector."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        if classes < 1:
            raise ModelError(f"classes must be at least 1; got {classes}.")
        self.size = classes

    def prepare(self, observed: Tensor | None, count: int) -> Tensor:
        """Labels ``[N]`` of integers as ``[N, classes]``."""
        if observed is None or observed.shape != (count,) or observed.is_floating_point():
            raise ModelError(f"The context must be integer labels of shape [{count}]; got {_described(observed)}.")
        if may_look_at(observed):
            low, high = int(observed.min()), int(observed.max())
            if low < 0 or high >= self.size:
                raise ModelError(f"Labels must lie in 0-{self.size - 1}, the model's classes; got {low} to {high}.")
        return torch.nn.functional.one_hot(observed.long(), self.size).float()

    def forward(self, prepared: Tensor, state: Tensor) -> Tensor:
        """The same at every step."""
        return prepared.to(state)


class Observed(NamedTuple):
    """What a `GridReader` prepares."""

    grids: Tensor  # [N, views, C, *grid]
    whole: Tensor  # [N, size]


@final
class GridReader(nn.Module):
    """Convolutions of the whole, once; and at every step a glimpse by a spatial transformer that the state moves.

    The glimpse is of the observation itself: orientations and edges are finer than the cells of the convolutions.

    Args:
        shape: Of what is observed of an example: ``(C, D, H, W)`` for volumes, ``(views, C, H, W)`` for images, whose
            views are read alike and added.
        state: Size of the model's state.
        images: Whether ``shape`` is that of images.
        size: Size of the summary.
        features: Channels of the convolutions.
        glimpse: Cells of the glimpse along each axis. It begins cell for cell, and is moved and scaled from there.
        transform: What the glimpse may do.
    """

    def __init__(
        self,
        shape: Sequence[int],
        state: int,
        *,
        images: bool = False,
        size: int = 256,
        features: int = 16,
        glimpse: int = 12,
        transform: TransformKind = "scale_shift",
    ) -> None:
        super().__init__()
        if len(shape) != 4 or min(shape) < 1:
            raise ModelError(f"shape must be (C, D, H, W) or (views, C, H, W), each at least 1; got {tuple(shape)}.")
        self.shape, self.size, self.images = tuple(shape), size, images
        channels, grid = (shape[1], shape[2:]) if images else (shape[0], shape[1:])
        self.glimpse = (glimpse,) * len(grid)
        convolution: type[nn.Conv2d | nn.Conv3d] = nn.Conv2d if images else nn.Conv3d
        self.convolutions = nn.Sequential(
            convolution(channels, features, 3, stride=2, padding=1),
            nn.SiLU(),
            convolution(features, features, 3, stride=2, padding=1),
            nn.SiLU(),
        )
        cells = math.prod(-(-length // 4) for length in grid)
        self.whole = nn.Linear(features * cells, size)
        self.place = TransformHead(state, cell_for_cell(self.glimpse, grid), transform)
        self.summary = mlp(channels * math.prod(self.glimpse) + size + state, size, size)

    def prepare(self, observed: Tensor | None, count: int) -> Observed:
        """``[N, *shape]``, and the convolutions of it."""
        if observed is None or tuple(observed.shape) != (count, *self.shape):
            raise ModelError(
                f"What is read must have shape {[count, *self.shape]}; got {_described(observed)}. Build the model for "
                "this data."
            )
        views = observed if self.images else observed[:, None]
        cells = self.convolutions(views.flatten(0, 1)).reshape(*views.shape[:2], -1)
        return Observed(views, self.whole(cells).sum(1))

    def forward(self, prepared: Observed, state: Tensor) -> Tensor:
        """``[N, size]``."""
        glimpses = read(prepared.grids, self.place(state)[:, None], self.glimpse).flatten(2).sum(1)
        summary: Tensor = self.summary(torch.cat([glimpses, prepared.whole, state], dim=-1))
        return summary


def _described(observed: Tensor | None) -> str:
    return "none" if observed is None else f"{observed.dtype} of shape {list(observed.shape)}"
