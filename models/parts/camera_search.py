"""Where a picture was taken from, found by looking: a search of the sphere, as a law that a bound can use."""

import dataclasses
import math
import warnings
from collections.abc import Callable
from typing import NamedTuple, final

import torch
from torch import Tensor

from render3d.cameras import Cameras
from render3d.datasets import RandomCameras
from render3d.errors import ModelError
from render3d.models.parts.cell_search import draw_cells, uniform_numbers
from render3d.randomness import Key
from render3d.renderers.base import EmptyViewWarning


class FoundCamera(NamedTuple):
    """Cameras of N objects with V pictures each, drawn from q.

    Attributes:
        cameras: ``[N, V]``.
        log_ratio: ``[N, V]``, nats: ``log p(camera) - log q(camera given picture, volume)``.
    """

    cameras: Cameras
    log_ratio: Tensor


class _Cells(NamedTuple):
    """Rectangles of sine of elevation and azimuth, ``[...]`` each: of equal areas of the sphere."""

    row: Tensor
    column: Tensor


@final
@dataclasses.dataclass(frozen=True, kw_only=True)
class CameraSearch:
    """q(camera given picture, volume), where cameras look at the origin, upright, from anywhere in a zone of a sphere.

    The prior is uniform over the zone. In sine of elevation and azimuth the zone is a rectangle, and equal cells of it
    have equal probability. The object is drawn from the centres of all cells of a grid, and the picture is compared
    with each: a cell is drawn with a probability that falls with the squared difference. It is cut into four, and so
    on; the camera is uniform within the last cell. Whatever the differences tell, this is a law whose density is known,
    so a bound stays a bound. All cells are tried, so there is no local optimum to be caught in at the start.

    This law is drawn from cell by cell. A `CellSearch`, which compares more of them, finds cameras as well in true
    volumes; but a model that was trained with it for as long drew novel views worse.

    Attributes:
        places: Where cameras may be; its image size is that of the pictures. How many views it has does not matter.
        rows: Cells of the first grid in sine of elevation.
        columns: In azimuth.
        halvings: How often a cell is cut into four.
        pixels: Pictures are compared at this size along each side.
        spread: Standard deviation, in brightness, of pixels that the law allows for; large ones make it broad.

    Raises:
        ModelError: A number below one, negative halvings, or a spread that is not positive.
    """

    places: RandomCameras
    rows: int = 4
    columns: int = 10
    halvings: int = 2
    pixels: int = 12
    spread: float = 0.2

    def __post_init__(self) -> None:
        counts = (self.rows, self.columns, self.pixels)
        if min(counts) < 1 or self.halvings < 0 or not 0 < self.spread < math.inf:
            raise ModelError(
                "rows, columns and pixels must be at least 1, halvings at least 0, and spread positive; got "
                f"{counts}, {self.halvings} and {self.spread}."
            )

    @torch.no_grad()
    def find(self, draw: Callable[[Cameras], Tensor], views: Tensor, key: Key | None) -> FoundCamera:
        """Draw a camera for each picture.

        Args:
            draw: Pictures ``[N, K, 1, H, W]`` of N objects from any cameras ``[K]`` or ``[N, K]``.
            views: ``[N, V, 1, H, W]``, as `DepthPictures` makes.
            key: Of the draws; None takes the most probable cell each time, and its centre.
        """
        count, number = views.shape[:2]
        small = torch.nn.functional.adaptive_avg_pool2d(views.flatten(0, 1), self.pixels).reshape(count, number, -1)
        # A number for the choice at each level, and two for the place in the last cell.
        uniform = None if key is None else uniform_numbers(key, count, number, self.halvings + 3).to(views)
        cells, log_ratio = self._first_cells(views.device), torch.zeros(count, number).to(views)
        for level in range(self.halvings + 1):
            if level:
                cells = _quarters(cells)
            with warnings.catch_warnings():  # small pictures of thin objects may be empty
                warnings.simplefilter("ignore", EmptyViewWarning)
                drawn = draw(self._cameras(cells, level, small=True)).flatten(2)
            drawn = drawn[:, None] if level == 0 else drawn.reshape(count, number, 4, -1)
            error = (small[:, :, None] - drawn).square().sum(-1)  # [N, V, cells]
            log_law = torch.log_softmax(-error / (2 * self.spread**2), dim=-1)
            chosen = log_law.argmax(-1, keepdim=True) if uniform is None else draw_cells(log_law, uniform[..., level])
            log_ratio = log_ratio - math.log(log_law.shape[-1]) - log_law.gather(-1, chosen)[..., 0]
            offered = _Cells(*(part.expand(count, number, -1) if level == 0 else part for part in cells))
            cells = _Cells(*(part.gather(-1, chosen)[..., 0] for part in offered))
        within = None if uniform is None else uniform[..., self.halvings + 1 :]
        return FoundCamera(self._cameras(cells, self.halvings, within=within), log_ratio)

    def _first_cells(self, device: torch.device) -> _Cells:
        row, column = torch.meshgrid(torch.arange(self.rows), torch.arange(self.columns), indexing="ij")
        return _Cells(row.flatten().to(device), column.flatten().to(device))

    def _cameras(self, cells: _Cells, level: int, *, within: Tensor | None = None, small: bool = False) -> Cameras:
        """``[K]`` or ``[N, V]`` or, of the quarters of cells ``[N, V, 4]``, ``[N, V * 4]``."""
        down, across = (0.5, 0.5) if within is None else within.unbind(-1)
        row, column = cells.row + down, cells.column + across
        low, high = self.places.heights
        height = low + (high - low) * row / (self.rows * 2**level)
        azimuth = 2 * math.pi * column / (self.columns * 2**level)
        if height.dim() == 3:
            height, azimuth = height.flatten(1), azimuth.flatten(1)
        size = (self.pixels, self.pixels) if small else self.places.image_size
        return dataclasses.replace(self.places, image_size=size).at(height, azimuth)


def _quarters(cells: _Cells) -> _Cells:
    """``[..., 4]``."""
    low_or_high = torch.tensor([0, 1], device=cells.row.device)
    row = 2 * cells.row[..., None] + low_or_high.repeat_interleave(2)
    return _Cells(row, 2 * cells.column[..., None] + low_or_high.repeat(2))
