"""In which orientation a picture shows an object, found by looking."""

import dataclasses
import math
import warnings
from collections.abc import Callable
from typing import NamedTuple, final

import torch
from torch import Tensor

from render3d.errors import ModelError
from render3d.models.parts.cell_search import CellSearch, uniform_numbers
from render3d.randomness import Key
from render3d.renderers.base import EmptyViewWarning

_CELLS = CellSearch(grid=(3, 6, 5), spread=0.1)


class FoundTurn(NamedTuple):
    """Orientations of N objects, drawn from q.

    Attributes:
        rotation: ``[N, 3, 3]``, from the frame of the object to the world.
        log_ratio: ``[N]``, nats: ``log p(rotation) - log q(rotation given picture, object)``.
    """

    rotation: Tensor
    log_ratio: Tensor


@final
@dataclasses.dataclass(frozen=True, kw_only=True)
class TurnSearch:
    """q(rotation given pictures, object); the prior is uniform over SO(3).

    A rotation is told by the direction of the object that is turned to +z, and by the roll about z. In sine of
    elevation, azimuth and roll, uniform rotations are uniform over a box, which a `CellSearch` searches.

    Attributes:
        cells: Of sine of elevation, azimuth and roll.
        pixels: Pictures are compared when they are blurred to this size along each side: cells are tried at their
            centres, from which an orientation is some degrees off.

    Raises:
        ModelError: Cells of another number of dimensions, or less than a pixel.
    """

    cells: CellSearch = _CELLS
    pixels: int = 8

    def __post_init__(self) -> None:
        if len(self.cells.grid) != 3 or self.pixels < 1:
            raise ModelError(
                f"cells must have 3 dimensions, and pixels be at least 1; got {self.cells.grid} and {self.pixels}."
            )

    def find(self, draw: Callable[[Tensor], Tensor], pictures: Tensor, key: Key | None) -> FoundTurn:
        """Draw an orientation for the pictures of each object.

        Args:
            draw: Pictures ``[N, K, views, C, H, W]`` of N objects that are turned by ``[K, 3, 3]`` or
                ``[N, K, 3, 3]``.
            pictures: ``[N, views, C, H, W]``, of one orientation.
            key: Of the draws; None takes the centre of the cell that is most like them.
        """

        def seen(points: Tensor) -> Tensor:
            with warnings.catch_warnings():  # small pictures of thin objects may be empty
                warnings.simplefilter("ignore", EmptyViewWarning)
                return self._blurred(draw(rotations_of(points)))

        where, log_ratio = self.cells.find(seen, self._blurred(pictures), key)
        return FoundTurn(rotations_of(where), log_ratio)

    def _blurred(self, pictures: Tensor) -> Tensor:
        small = torch.nn.functional.adaptive_avg_pool2d(pictures.flatten(0, -4), self.pixels)
        return small.reshape(*pictures.shape[:-2], self.pixels, self.pixels)

    def prior(self, count: int, key: Key | None) -> FoundTurn:
        """``[count]`` of the prior; without a key, no turn."""
        if key is None:
            return FoundTurn(torch.eye(3).expand(count, 3, 3), torch.zeros(count))
        return FoundTurn(rotations_of(uniform_numbers(key, count, 3)), torch.zeros(count))


def rotations_of(points: Tensor) -> Tensor:
    """``[..., 3, 3]`` of points ``[..., 3]`` of the unit box: uniform over SO(3) where the points are over the box."""
    sine, azimuth, roll = 2 * points[..., 0] - 1, 2 * math.pi * points[..., 1], 2 * math.pi * points[..., 2]
    cosine, zero = (1 - sine.square()).clamp(min=0).sqrt(), torch.zeros_like(sine)
    facing = torch.stack([azimuth.sin() * cosine, sine, azimuth.cos() * cosine], -1)
    right = torch.stack([azimuth.cos(), zero, -azimuth.sin()], -1)
    up = torch.linalg.cross(facing, right)
    across, along = roll.cos()[..., None], roll.sin()[..., None]
    return torch.stack([across * right - along * up, along * right + across * up, facing], -2)
