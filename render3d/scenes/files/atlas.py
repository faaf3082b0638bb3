"""One texture out of many: images, repeated or not, and flat colours, laid side by side.

Sampling the result bilinearly gives what sampling the image a face came with gives, repetition included: tiles carry
as many repetitions as their faces use, and a margin of what would follow.
"""

import dataclasses
import math
from collections.abc import Sequence
from typing import final

import numpy as np
import torch
from numpy.typing import NDArray

from render3d.scenes.values import shrink, shrunk_to

Image = NDArray[np.float32]
Floats = NDArray[np.float64]

_MARGIN = 2  # pixels round a tile: bilinear sampling reaches one beyond it
_LARGEST_TILE = 2048  # pixels along a side, repetitions included
_LARGEST_ATLAS = 4096 * 4096  # pixels in all: 200 MB
_LARGEST_SIDE = 4096  # pixels along a side of each image; rows of such images make no side above that of a texture


@final
@dataclasses.dataclass(frozen=True, eq=False)
class _Tile:
    """An image, its repetitions ``(across, down)``, the faces it is for and their local coordinates ``[F, 3, 2]``."""

    image: Image
    repeats: tuple[int, int]
    faces: NDArray[np.bool_]
    uv: Floats

    @property
    def size(self) -> tuple[int, int]:
        """``(height, width)`` with repetitions and margins."""
        height, width = self.image.shape[:2]
        return height * self.repeats[1] + 2 * _MARGIN, width * self.repeats[0] + 2 * _MARGIN


def build_texture(
    images: Sequence[Image], face_image: NDArray[np.int64], uv: Floats, face_colors: Floats, problems: list[str]
) -> tuple[Image, Floats]:
    """The one image of a mesh and the coordinates ``[F, 3, 2]`` of its corners.

    Args:
        images: ``[H, W, 3]`` each.
        face_image: ``[F]``; -1 where a face has its flat colour.
        uv: ``[F, 3, 2]``, the origin at the lower left; any value, as images repeat.
        face_colors: ``[F, 3]``.
        problems: Told of images that had to be shrunk.
    """
    used = np.unique(face_image)
    if len(used) == 1:
        return images[used[0]], uv
    images = [_shrunk_to_fit(image, problems) if index in used else image for index, image in enumerate(images)]
    tiles = [_image_tile(images[index], face_image == index, uv) for index in used if index >= 0]
    tiles += _color_tiles(face_image < 0, face_colors)
    shrunk = sum(tile.image.shape != images[index].shape for tile, index in zip(tiles, used[used >= 0], strict=False))
    if shrunk:
        problems.append(f"{shrunk} of its textures are repeated so often that they were shrunk to fit one image.")
    while _area(tiles) > _LARGEST_ATLAS and any(tile.image.size > 3 for tile in tiles):
        problems.append("Its textures were shrunk by half to fit one image.")
        tiles = [_tile(_shrink(tile.image, 2), tile.repeats, tile.faces, tile.uv) for tile in tiles]
    return _assemble(tiles, uv)


def _shrunk_to_fit(image: Image, problems: list[str]) -> Image:
    fitted: Image = shrunk_to(torch.from_numpy(image), _LARGEST_SIDE).numpy()
    if fitted.shape != image.shape:
        problems.append(f"A texture of it is longer than {_LARGEST_SIDE} pixels; shrunk to fit one image with others.")
    return fitted


def _image_tile(image: Image, faces: NDArray[np.bool_], uv: Floats) -> _Tile:
    # Moving a face by whole repetitions changes nothing and leaves the fewest of them to be laid out.
    local = uv[faces]
    local = local - np.floor(local.min(1, keepdims=True))
    size = np.array(image.shape[1::-1])
    # A coordinate less than a pixel beyond an edge is still within the margin.
    repeats = np.ceil(local.reshape(-1, 2).max(0) - 1 / size).clip(1, 1e6).astype(int)
    too_large = 1 if max(repeats) == 1 else math.ceil(max(size * repeats) / _LARGEST_TILE)
    return _tile(_shrink(image, too_large), (int(repeats[0]), int(repeats[1])), faces, local)


def _tile(image: Image, repeats: tuple[int, int], faces: NDArray[np.bool_], uv: Floats) -> _Tile:
    """A tile; of a single pixel, repetitions and coordinates do not matter."""
    if image.shape[:2] == (1, 1):
        return _Tile(image, (1, 1), faces, np.full_like(uv, 0.5))
    return _Tile(image, repeats, faces, uv)


def _color_tiles(faces: NDArray[np.bool_], face_colors: Floats) -> list[_Tile]:
    colors, inverse = np.unique(face_colors[faces], axis=0, return_inverse=True)
    tiles = []
    for index, color in enumerate(colors):
        own = np.zeros_like(faces)
        own[faces] = inverse.reshape(-1) == index
        tiles.append(_Tile(color.astype(np.float32).reshape(1, 1, 3), (1, 1), own, np.full((own.sum(), 3, 2), 0.5)))
    return tiles


def _shrink(image: Image, factor: int) -> Image:
    """The image at ``1 / factor`` of its size, averaged over areas."""
    shrunk: Image = shrink(torch.from_numpy(image), (factor, factor)).numpy()
    return shrunk


def _area(tiles: list[_Tile]) -> int:
    return sum(height * width for height, width in (tile.size for tile in tiles))


def _assemble(tiles: list[_Tile], uv: Floats) -> tuple[Image, Floats]:
    """Lay the tiles in rows, the tallest first."""
    width = max(math.isqrt(_area(tiles)) + 1, *(tile.size[1] for tile in tiles))
    corners: list[tuple[int, int]] = []
    x = y = row_height = 0
    tiles = sorted(tiles, key=lambda tile: tile.size, reverse=True)
    for tile in tiles:
        if x + tile.size[1] > width:
            x, y, row_height = 0, y + row_height, 0
        corners.append((x, y))
        x += tile.size[1]
        row_height = max(row_height, tile.size[0])
    height = y + row_height
    atlas = np.zeros((height, width, 3), dtype=np.float32)
    atlas_uv = np.empty_like(uv)
    for tile, (left, top) in zip(tiles, corners, strict=True):
        across, down = tile.repeats
        margins = ((_MARGIN, _MARGIN), (_MARGIN, _MARGIN), (0, 0))
        pixels = np.pad(np.tile(tile.image, (down, across, 1)), margins, mode="wrap")
        atlas[top : top + pixels.shape[0], left : left + pixels.shape[1]] = pixels
        columns = left + _MARGIN + tile.uv[..., 0] * tile.image.shape[1]
        rows = top + _MARGIN + (down - tile.uv[..., 1]) * tile.image.shape[0]
        atlas_uv[tile.faces] = np.stack([columns / width, 1 - rows / height], -1)
    return atlas, atlas_uv
