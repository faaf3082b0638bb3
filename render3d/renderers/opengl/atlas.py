"""The framebuffer: many small images as tiles of one, and what it costs to read them back."""

import dataclasses
import math
from typing import Any, final

import moderngl
import numpy as np
import numpy.typing as npt

FORMATS: dict[str, tuple[int, str, type[np.generic]]] = {
    "color": (4, "f2", np.float16),
    "alpha": (1, "f1", np.uint8),
    "depth": (1, "f4", np.float32),
    "normal": (4, "f2", np.float16),
    "face_index": (1, "f4", np.float32),
    "any_face": (1, "f4", np.float32),  # of those that cover a pixel, not always the nearest
    "barycentric": (4, "f4", np.float32),
}
"""Components, moderngl type and numpy type of each attachment."""

_DEPTH_BUFFER = "depth buffer"

_MOST_PIXELS = 2**24
"""The largest framebuffer of more than one column: 128 MiB of colour."""


@final
@dataclasses.dataclass(frozen=True)
class Grid:
    """Tiles of one size in columns from the top; a column is contiguous in memory, so it is read without untiling.

    Attributes:
        tile_height: In pixels.
        tile_width: In pixels.
        rows: Tiles in a column.
        columns: Number of columns.
    """

    tile_height: int
    tile_width: int
    rows: int
    columns: int

    @property
    def tiles(self) -> int:
        """How many tiles there are room for."""
        return self.rows * self.columns

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels, OpenGL's order."""
        return self.columns * self.tile_width, self.rows * self.tile_height

    def corners(self, tiles: int) -> npt.NDArray[np.int32]:
        """``[tiles, 2]``: x and y of each tile's first pixel."""
        number = np.arange(tiles, dtype=np.int32)
        return np.stack([number // self.rows * self.tile_width, number % self.rows * self.tile_height], axis=-1)


def plan_grid(tiles: int, image_size: tuple[int, int], max_size: int) -> Grid:
    """A grid for as many of ``tiles`` as the limits allow; at least one, whatever its size."""
    height, width = image_size
    rows = min(tiles, max(1, max_size // height))
    most = max(1, min(max_size // width, _MOST_PIXELS // (rows * height * width)))
    return Grid(height, width, rows, min(most, -(-tiles // rows)))


@final
class Atlas:
    """The attachments of a context, grown when a call needs larger ones and kept for the next."""

    def __init__(self, gl: moderngl.Context) -> None:
        self._gl = gl
        self._size = (0, 0)
        self._attachments: dict[str, moderngl.Texture | moderngl.Renderbuffer] = {}
        self._framebuffers: dict[tuple[str, ...], moderngl.Framebuffer] = {}

    def framebuffer(self, targets: tuple[str, ...], size: tuple[int, int], *, depth_test: bool) -> moderngl.Framebuffer:
        """A framebuffer of at least ``size`` with those attachments."""
        if size[0] > self._size[0] or size[1] > self._size[1]:
            self.release()
            self._size = (max(size[0], self._size[0]), max(size[1], self._size[1]))
        key = (*targets, _DEPTH_BUFFER) if depth_test else targets
        if key not in self._framebuffers:
            depth = self._attachment(_DEPTH_BUFFER) if depth_test else None
            self._framebuffers[key] = self._gl.framebuffer([self._attachment(name) for name in targets], depth)
        return self._framebuffers[key]

    def _attachment(self, name: str) -> Any:
        if name not in self._attachments and name == _DEPTH_BUFFER:
            self._attachments[name] = self._gl.depth_renderbuffer(self._size)
        elif name not in self._attachments:
            components, dtype, _ = FORMATS[name]
            self._attachments[name] = self._gl.texture(self._size, components, dtype=dtype)
        return self._attachments[name]

    def release(self) -> None:
        """Free everything."""
        for held in (*self._framebuffers.values(), *self._attachments.values()):
            held.release()
        self._framebuffers, self._attachments = {}, {}


def read_tiles(
    framebuffer: moderngl.Framebuffer, attachment: int, name: str, grid: Grid, tiles: int, memory: bytearray
) -> npt.NDArray[np.generic]:
    """``[tiles, H, W, components]`` of one attachment, in the framebuffer's own type, as a view of ``memory``.

    Fresh memory would cost as much again as the reading: the system clears every page of it.
    """
    components, dtype, numpy_type = FORMATS[name]
    shape = (tiles, grid.tile_height, grid.tile_width, components)
    size = math.prod(shape) * np.dtype(numpy_type).itemsize
    memory.extend(bytes(max(0, size - len(memory))))
    out = np.frombuffer(memory, numpy_type, math.prod(shape)).reshape(shape)
    for column in range(-(-tiles // grid.rows)):
        part = out[column * grid.rows : (column + 1) * grid.rows]
        viewport = (column * grid.tile_width, 0, grid.tile_width, len(part) * grid.tile_height)
        framebuffer.read_into(part, viewport, components, attachment=attachment, alignment=1, dtype=dtype)
    return out
