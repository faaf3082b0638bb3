"""PLY, read: what its rows mean.

The format leaves names to those who write it; looked for are those that Stanford's files, MeshLab, Blender, PCL and
assimp use.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import final

import numpy as np

from render3d.errors import MeshError
from render3d.scenes.files.folder import Folder
from render3d.scenes.files.ply_rows import Array, Ragged, Rows, read_rows
from render3d.scenes.files.polygons import triangulate
from render3d.scenes.files.raw import Floats, Image, Integers, RawMesh, join, linear_light

_POSITION = [("x", "y", "z")]
_COLOR = [("red", "green", "blue"), ("r", "g", "b"), ("diffuse_red", "diffuse_green", "diffuse_blue")]
_OPACITY = [("alpha",), ("a",), ("diffuse_alpha",)]
_COORDINATES = [("s", "t"), ("u", "v"), ("texture_u", "texture_v"), ("texture_s", "texture_t")]
_TEXTURE_FILE = "texturefile"
_NOTHING = -1
"""The index of what a file leaves out or counts wrongly; in a strip of triangles, what ends it."""


def read_ply(path: Path, folder: Folder) -> RawMesh:
    """Read a PLY file, of text or binary; its colours are sRGB. Indices out of range are kept for `Mesh.check`.

    Its faces are the polygons of ``face`` and the triangles of ``tristrips``. Colours are those of vertices or faces;
    texture coordinates those of vertices or of the corners of faces, with the images that comments name.
    """
    elements, comments = read_rows(path, folder.problems)
    polygons, strips = elements.get("face"), elements.get("tristrips")
    surfaces = [polygons, None if strips is None else _triangles_of_strips(strips)]
    filled = [rows for rows in surfaces if rows is not None and len(_outlines(rows).values)]
    if not filled:
        raise MeshError(f"{path}: no faces; points and lines alone cannot be rendered.")
    vertices = elements.get("vertex")
    positions = None if vertices is None else _numbers(vertices, _POSITION)
    if vertices is None or positions is None:
        raise MeshError(f"{path}: no element 'vertex' with the numbers x, y and z; it has {', '.join(elements)}.")
    reader = _Reader(positions, vertices, comments, folder)
    return join([reader.read(rows) for rows in filled])


@final
class _Reader:
    """What the surfaces of one file share."""

    def __init__(self, positions: Floats, vertices: Rows, comments: list[str], folder: Folder) -> None:
        self.folder = folder
        self.positions = positions
        self.colors = self._colors(vertices)
        self.uv = _numbers(vertices, _COORDINATES)
        starts = [comment.split(maxsplit=1) for comment in comments]
        self.image_names = [words[1] for words in starts if len(words) == 2 and words[0].lower() == _TEXTURE_FILE]

    def read(self, rows: Rows) -> RawMesh:
        """The triangles of the polygons in ``rows``."""
        sizes, values = _outlines(rows)
        kept = sizes >= 3
        if not kept.all():
            self.folder.problems.append(f"{(~kept).sum()} faces of fewer than three corners were left out.")
        of_kept = np.flatnonzero(np.repeat(kept, sizes))
        corners = _indices(values)
        places, polygon = triangulate(self.positions, corners[of_kept], sizes[kept])
        places, row = of_kept[places], np.flatnonzero(kept)[polygon]
        colors, uv = self._colors(rows), self._corner_uv(rows, sizes, corners)
        images, face_image = self._images(_numbers(rows, [("texnumber",)]), row)
        return RawMesh(
            vertices=self.positions,
            faces=corners[places],
            vertex_colors=self.colors,
            face_colors=None if colors is None else colors[row],
            corner_uv=None if uv is None else uv[places],
            face_image=face_image,
            images=images,
        )

    def _colors(self, rows: Rows) -> Floats | None:
        """``[N, 3]`` linear light, or None."""
        encoded = _fractions(rows, _COLOR)
        if encoded is None:
            return None
        opacity = _fractions(rows, _OPACITY)
        if opacity is not None and bool((opacity < 1).any()):
            self.folder.problems.append("Its colours are transparent in places; drawn opaque.")
        return linear_light(encoded)

    def _corner_uv(self, rows: Rows, sizes: Integers, corners: Integers) -> Floats | None:
        """Texture coordinates ``[sum of sizes, 2]`` of the corners of polygons, NaN where there are none."""
        own = rows.lists("texcoord")
        if own is None and self.uv is None:
            return None
        by_vertex = np.full((1, 2), np.nan) if self.uv is None else np.concatenate([self.uv, [[np.nan, np.nan]]])
        inside = (corners >= 0) & (corners < len(by_vertex) - 1)
        uv: Floats = by_vertex[np.where(inside, corners, -1)]
        if own is not None:
            fits = own.sizes == 2 * sizes
            uv[np.repeat(fits, sizes)] = own.values[np.repeat(fits, own.sizes)].reshape(-1, 2)
        return uv

    def _images(self, numbers: Floats | None, row: Integers) -> tuple[tuple[Image, ...], Integers | None]:
        """The images that faces use, and which of them each uses: by its number, the first if there are none."""
        if not self.image_names:
            return (), None
        wanted = np.zeros(len(row), dtype=np.int64) if numbers is None else _indices(numbers[:, 0])[row]
        unknown = wanted >= len(self.image_names)
        if unknown.any():
            self.folder.problems.append(
                f"{unknown.sum()} faces have a texnumber of {len(self.image_names)} or more, but the file names "
                f"{len(self.image_names)} textures; drawn without."
            )
        images: list[Image] = []
        face_image = np.full(len(row), _NOTHING)
        for number, name in enumerate(self.image_names):
            own = wanted == number
            image = self.folder.read_image(name) if own.any() else None
            if image is not None:
                face_image[own] = len(images)
                images.append(image)
        return tuple(images), face_image


def _outlines(rows: Rows) -> Ragged:
    """The lists of vertices; none if there is no property of them."""
    lists = rows.lists("vertex_indices") or rows.lists("vertex_index")
    return lists or Ragged(np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64))


def _indices(values: Array) -> Integers:
    """Whole numbers; what is none, as text may hold, is out of range."""
    if np.issubdtype(values.dtype, np.integer):
        return values.astype(np.int64)
    is_whole = (np.abs(values) < 2**53) & (values == np.floor(values))
    return np.where(is_whole, values, _NOTHING).astype(np.int64)


def _triangles_of_strips(strips: Rows) -> Rows:
    """Each vertex of a strip makes a triangle with the two before it; every second one turns the other way round.

    Those of which two vertices are one only lead on to the next.
    """
    sizes, values = _outlines(strips)
    vertices = np.insert(_indices(values), np.cumsum(sizes), _NOTHING)
    place = np.arange(len(vertices))
    since_end = place - np.maximum.accumulate(np.where(vertices == _NOTHING, place, -1))
    triangles = np.stack([vertices[:-2], vertices[1:-1], vertices[2:]], -1) if len(vertices) > 2 else np.zeros((0, 3))
    a, b, c = triangles.T
    whole = (triangles != _NOTHING).all(-1) & (a != b) & (b != c) & (c != a)
    is_second = since_end[: len(triangles)] % 2 == 0
    turned = np.where(is_second[:, None], triangles[:, [1, 0, 2]], triangles)[whole]
    outlines = Ragged(np.full(len(turned), 3), turned.reshape(-1).astype(np.int64))
    return Rows({"vertex_indices": outlines}, {"vertex_indices": "q"})


def _numbers(rows: Rows, spellings: Sequence[tuple[str, ...]]) -> Floats | None:
    """``[N, C]`` of the first names that are all there, or None."""
    names = _present(rows, spellings)
    return None if names is None else np.stack([rows.columns[name] for name in names], -1).astype(np.float64)


def _fractions(rows: Rows, spellings: Sequence[tuple[str, ...]]) -> Floats | None:
    """Numbers of 0 to 1, whole ones being fractions of the largest of their type."""
    values, names = _numbers(rows, spellings), _present(rows, spellings)
    if values is None or names is None:
        return None
    return values / _largest(values, np.dtype(rows.types[names[0]]))


def _largest(values: Floats, dtype: np.dtype) -> float:
    """The number that stands for 1: in types that are wider than any colour, as the largest number of all shows."""
    if dtype.kind in "iu" and dtype.itemsize <= 2:
        return float(np.iinfo(dtype).max)
    known = values[np.isfinite(values)]
    largest = known.max(initial=0)
    if dtype.kind in "iu":
        return 255.0 if 1 < largest <= 255 else 1.0 if largest <= 1 else float(np.iinfo(dtype).max)
    are_whole = bool((known == np.floor(known)).all())
    return 255.0 if (1 if are_whole else 16) < largest <= 255 else 1.0


def _present(rows: Rows, spellings: Sequence[tuple[str, ...]]) -> tuple[str, ...] | None:
    return next((names for names in spellings if all(rows.column(name) is not None for name in names)), None)
