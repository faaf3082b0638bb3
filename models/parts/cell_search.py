"""A search of a unit box for what explains a picture, as a law that a bound can use."""

import dataclasses
import itertools
import math
from collections.abc import Callable
from typing import NamedTuple, final

import torch
from torch import Tensor

from render3d.errors import ModelError
from render3d.randomness import Key, standard_normal


class Points(NamedTuple):
    """Points of the box for N objects, drawn from q.

    Attributes:
        where: ``[N, D]``, each coordinate from 0 to 1.
        log_ratio: ``[N]``, nats: ``log p(point) - log q(point given picture, object)``, for p uniform over the box.
    """

    where: Tensor
    log_ratio: Tensor


@final
@dataclasses.dataclass(frozen=True, kw_only=True)
class CellSearch:
    """q(point given picture, object), for points of the unit box of D dimensions.

    The object is drawn as the centre of each cell of a grid says, and compared with the picture. The cells that are
    most like it are cut in two along each dimension, what they are cut into is drawn and compared as well, and so on.
    In the end there is a partition of the box into large and small cells. A cell is drawn with a probability that is
    its volume times what falls with the squared difference; the point is uniform within. Whatever the differences tell,
    this is a law whose density is known, so a bound stays a bound. All of the grid is tried, so there is no local
    optimum to be caught in at the start.

    Attributes:
        grid: Cells of the grid along each dimension.
        cut: How many cells are cut in a round.
        rounds: How often.
        spread: Standard deviation, in brightness, of pixels that the law allows for; large ones make it broad.

    Raises:
        ModelError: No cell, more to be cut than there are, negative rounds, or a spread that is not positive.
    """

    grid: tuple[int, ...]
    cut: int = 8
    rounds: int = 2
    spread: float = 0.2

    def __post_init__(self) -> None:
        if min(self.grid) < 1 or not 1 <= self.cut <= math.prod(self.grid):
            raise ModelError(
                "A search needs at least 1 cell along each dimension, and cuts at least 1 and at most all of them in a "
                f"round; got {self.grid} and {self.cut}."
            )
        if self.rounds < 0 or not 0 < self.spread < math.inf:
            raise ModelError(f"rounds must be at least 0, and spread positive; got {self.rounds} and {self.spread}.")

    @torch.no_grad()
    def find(self, draw: Callable[[Tensor], Tensor], pictures: Tensor, key: Key | None) -> Points:
        """Draw a point for the picture of each object.

        Args:
            draw: Pictures ``[N, K, ...]`` of N objects at points ``[K, D]`` or ``[N, K, D]`` of the box.
            pictures: ``[N, ...]``, of the same sizes.
            key: Of the draws; None takes the centre of the cell that is most like the picture.
        """
        wanted = pictures.flatten(1)[:, None]
        first = self._first(wanted.device)
        errors = (wanted - draw(first.centre).flatten(2)).square().sum(-1)  # [N, cells]
        cells = _Cells(*(part.expand(*errors.shape, -1) for part in first))
        for _ in range(self.rounds):
            worst_first = errors.argsort(-1, descending=True)
            left, chosen = worst_first[..., : -self.cut], worst_first[..., -self.cut :]
            parts = cells.at(chosen).halves()
            drawn = draw(parts.centre).flatten(2)
            cells = _Cells(*(torch.cat(pair, -2) for pair in zip(cells.at(left), parts, strict=True)))
            errors = torch.cat([errors.gather(-1, left), (wanted - drawn).square().sum(-1)], -1)
        return self._point(cells, errors, key)

    def _first(self, device: torch.device) -> "_Cells":
        """``[cells, D]``."""
        counts = torch.tensor(self.grid, device=device)
        numbers = torch.cartesian_prod(*(torch.arange(count, device=device) for count in self.grid))
        numbers = numbers.reshape(-1, len(self.grid))
        return _Cells(numbers / counts, (1 / counts).expand(numbers.shape))

    def _point(self, cells: "_Cells", errors: Tensor, key: Key | None) -> Points:
        log_volume = cells.size.log().sum(-1)
        log_law = torch.log_softmax(log_volume - errors / (2 * self.spread**2), dim=-1)
        within: Tensor | float = 0.5
        if key is None:
            chosen = errors.argmin(-1, keepdim=True)
        else:
            uniform = uniform_numbers(key, len(errors), 1 + len(self.grid)).to(errors)
            chosen, within = draw_cells(log_law, uniform[..., 0]), uniform[..., 1:]
        cell = cells.at(chosen)
        where = cell.low[:, 0] + within * cell.size[:, 0]
        return Points(where, (log_volume - log_law).gather(-1, chosen)[..., 0])


class _Cells(NamedTuple):
    """Boxes.

    Attributes:
        low: ``[..., cells, D]``, their least corners.
        size: ``[..., cells, D]``.
    """

    low: Tensor
    size: Tensor

    @property
    def centre(self) -> Tensor:
        """``[..., cells, D]``."""
        return self.low + self.size / 2

    def at(self, chosen: Tensor) -> "_Cells":
        """``[..., chosen, D]``."""
        return _Cells(*(part.take_along_dim(chosen[..., None], -2) for part in self))

    def halves(self) -> "_Cells":
        """``[..., cells * 2^D, D]``: each is cut in two along each dimension."""
        corners = torch.tensor(list(itertools.product((0.0, 0.5), repeat=self.low.shape[-1])), device=self.low.device)
        low = self.low[..., None, :] + corners * self.size[..., None, :]
        return _Cells(low.flatten(-3, -2), (self.size / 2).repeat_interleave(len(corners), -2))


def uniform_numbers(key: Key, count: int, *shape: int) -> Tensor:
    """``[count, *shape]`` from 0 to 1, a function of the key and the number of the example."""
    numbers: Tensor = torch.special.ndtr(standard_normal(key, 1, count, shape)[0])
    return numbers


def draw_cells(log_law: Tensor, uniform: Tensor) -> Tensor:
    """Indices ``[..., 1]`` of the last dimension of a law, by uniform numbers ``[...]``."""
    below = log_law.exp().cumsum(-1) < uniform[..., None]
    return below.sum(-1, keepdim=True).clamp(max=log_law.shape[-1] - 1)
