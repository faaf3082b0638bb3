"""What a mesh file says, before it becomes a `Mesh`: colours of vertices, of faces and of images, all at once."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any, final

import numpy as np
import torch
from numpy.typing import NDArray

from render3d.color import NEUTRAL_GREY, srgb_to_linear
from render3d.scenes.files.atlas import build_texture
from render3d.scenes.mesh import Mesh
from render3d.scenes.texture import Texture

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Image = NDArray[np.float32]


@final
@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class RawMesh:
    """The content of a file, colours in linear light.

    Attributes:
        vertices: ``[V, 3]``.
        faces: ``[F, 3]`` indices of vertices, possibly out of range.
        vertex_colors: ``[V, 3]`` or None.
        face_colors: ``[F, 3]`` or None; they count where a face has no image.
        corner_uv: ``[F, 3, 2]`` texture coordinates of the corners or None; NaN where a corner has none.
        face_image: ``[F]`` indices of ``images`` or None; -1 where a face has none.
        images: ``[H, W, 3]`` each.
    """

    vertices: Floats
    faces: Integers
    vertex_colors: Floats | None = None
    face_colors: Floats | None = None
    corner_uv: Floats | None = None
    face_image: Integers | None = None
    images: tuple[Image, ...] = ()


def linear_light(encoded: Sequence[Sequence[float]]) -> Floats:
    """``[N, 3]`` in linear light of sRGB values."""
    decoded: Floats = srgb_to_linear(torch.tensor(encoded, dtype=torch.float64).reshape(-1, 3)).numpy()
    return decoded


def join(parts: list[RawMesh]) -> RawMesh:
    """All parts as one; a part without colours among coloured ones is of a neutral grey."""
    if len(parts) == 1:
        return parts[0]
    vertex_starts = np.cumsum([0, *(len(part.vertices) for part in parts)])[:-1]
    image_starts = np.cumsum([0, *(len(part.images) for part in parts)])[:-1]
    has_vertex_colors = any(part.vertex_colors is not None for part in parts)
    has_face_colors = any(part.face_colors is not None for part in parts)
    face_image = []
    for part, start in zip(parts, image_starts, strict=True):
        own = _filled(part.face_image, -1, len(part.faces)).astype(np.int64)
        face_image.append(np.where(own >= 0, own + start, -1))
    return RawMesh(
        vertices=np.concatenate([part.vertices for part in parts]),
        faces=np.concatenate([part.faces + start for part, start in zip(parts, vertex_starts, strict=True)]),
        vertex_colors=np.concatenate([_colors_of_vertices(part) for part in parts]) if has_vertex_colors else None,
        face_colors=np.concatenate([_colors_of_faces(part) for part in parts]) if has_face_colors else None,
        corner_uv=np.concatenate([_filled(part.corner_uv, np.nan, len(part.faces), 3, 2) for part in parts]),
        face_image=np.concatenate(face_image),
        images=tuple(image for part in parts for image in part.images),
    )


def _colors_of_vertices(part: RawMesh) -> Floats:
    if part.vertex_colors is not None:
        return part.vertex_colors
    colors = _filled(None, NEUTRAL_GREY, len(part.vertices), 3)
    if part.face_colors is not None:
        inside = _in_range(part).all(-1)
        colors[part.faces[inside]] = part.face_colors[inside, None]
    return colors


def _colors_of_faces(part: RawMesh) -> Floats:
    return _filled(part.face_colors, NEUTRAL_GREY, len(part.faces), 3)


def _filled(values: NDArray[Any] | None, default: Any, *shape: int) -> NDArray[Any]:
    if values is not None:
        return values
    filled = np.empty(shape)
    filled[...] = default
    return filled


def _in_range(raw: RawMesh) -> NDArray[np.bool_]:
    return (raw.faces >= 0) & (raw.faces < len(raw.vertices))


def to_mesh(raw: RawMesh, source: Path, problems: list[str]) -> Mesh:
    """The mesh of one kind of colour that looks like the file; what could not be kept is added to ``problems``."""
    raw = _without_unmapped_images(raw, problems)
    if raw.face_image is not None and bool((raw.face_image >= 0).any()):
        if raw.vertex_colors is not None:
            problems.append("It has vertex colours beside textures; a mesh keeps one kind, and the textures were kept.")
        return _textured(raw, source, problems)
    colors = _tensor(raw.vertex_colors)
    return Mesh(
        vertices=_float32(raw.vertices),
        faces=torch.from_numpy(raw.faces),
        colors=colors,
        face_colors=_tensor(raw.face_colors) if colors is None else None,
        source=source,
        problems=tuple(problems),
    )


def _without_unmapped_images(raw: RawMesh, problems: list[str]) -> RawMesh:
    """Faces that have an image but no texture coordinates fall back to their colour."""
    if raw.face_image is None:
        return raw
    unmapped = raw.face_image >= 0
    if raw.corner_uv is not None:
        unmapped &= ~np.isfinite(raw.corner_uv).all((-1, -2))
    if not unmapped.any():
        return raw
    problems.append(f"{unmapped.sum()} faces have a texture image but no texture coordinates; drawn in one colour.")
    return dataclasses.replace(
        raw, face_image=np.where(unmapped, -1, raw.face_image), face_colors=_colors_of_faces(raw)
    )


def _textured(raw: RawMesh, source: Path, problems: list[str]) -> Mesh:
    assert raw.corner_uv is not None
    assert raw.face_image is not None
    image, corner_uv = build_texture(raw.images, raw.face_image, raw.corner_uv, _colors_of_faces(raw), problems)
    faces = torch.from_numpy(raw.faces)
    corners = torch.arange(faces.numel()).reshape(-1, 3)
    texture = Texture(torch.from_numpy(image), _float32(corner_uv.reshape(-1, 2)), corners)
    return Mesh(
        vertices=_float32(raw.vertices),
        faces=faces,
        texture=texture.compact(faces, len(raw.vertices)),
        source=source,
        problems=tuple(problems),
    )


def _float32(values: NDArray[Any]) -> torch.Tensor:
    with np.errstate(over="ignore"):  # a coordinate beyond float32 becomes infinite, which `Mesh.check` counts
        return torch.from_numpy(np.ascontiguousarray(values, dtype=np.float32))


def _tensor(values: Floats | None) -> torch.Tensor | None:
    return None if values is None else _float32(values)
