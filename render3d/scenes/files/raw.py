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
from render3d.scenes.values import FARTHEST_UV, mended_colors

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Image = NDArray[np.float32]

COARSE = 2.0**-16  # of the size of a mesh: what a coordinate may be off before vertices are centred
_REPEATED = 2.0**12  # texture coordinates beyond are moved by whole repetitions, which float32 would round
_ABOVE_ONE = 1e-3  # rounding; what is farther outside 0-1 is listed


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


def unit_colors(values: Floats, problems: list[str]) -> Floats:
    """Colours of one file as 0-1, where the format says so but the largest of all shows that it is 0-255: listed."""
    largest = values.max(initial=0, where=np.isfinite(values))
    if not 16 < largest <= 255:
        return values
    problems.append(f"Its colours reach {largest:g}: they were taken for values of 0 to 255.")
    return values / 255


def linear_light(encoded: Sequence[Sequence[float]] | Floats) -> Floats:
    """``[N, 3]`` in linear light of sRGB values."""
    decoded: Floats = srgb_to_linear(torch.as_tensor(encoded, dtype=torch.float64).reshape(-1, 3)).numpy()
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


def _faces_in_range(raw: RawMesh) -> Integers:
    inside = _in_range(raw)
    return raw.faces if inside.all() else raw.faces[inside.all(-1)]


def to_mesh(raw: RawMesh, source: Path, problems: list[str]) -> Mesh:
    """The mesh of one kind of colour that looks like the file; what could not be kept is added to ``problems``."""
    raw = _without_unmapped_images(_with_near_uv(raw, problems), problems)
    vertices, to_source = _placed(raw, problems)
    colors = face_colors = texture = None
    if raw.face_image is not None and bool((raw.face_image >= 0).any()):
        if raw.vertex_colors is not None:
            problems.append("It has vertex colours beside textures; a mesh keeps one kind, and the textures were kept.")
        texture = _texture(raw, problems)
    elif raw.vertex_colors is not None:
        colors = _reflectances(raw.vertex_colors, "vertex colours", problems)
    elif raw.face_colors is not None:
        face_colors = _reflectances(raw.face_colors, "face colours", problems)
    return Mesh(
        vertices=vertices,
        faces=torch.from_numpy(raw.faces),
        colors=colors,
        face_colors=face_colors,
        texture=texture,
        to_source=to_source,
        source=source,
        problems=tuple(problems),
    )


@np.errstate(over="ignore", invalid="ignore")  # differences of what is not finite are looked for
def _placed(raw: RawMesh, problems: list[str]) -> tuple[torch.Tensor, torch.Tensor | None]:
    """The vertices ``[V, 3]``, centred where float32 needs it, and then ``to_source``; lists what it cannot hold."""
    vertices, faces, to_source = _float32(raw.vertices), _faces_in_range(raw), None
    rounding = np.abs(vertices.numpy() - raw.vertices)
    if not np.isfinite(rounding).all():
        finite = vertices.isfinite().all(-1).numpy()
        problems.append(f"{(~finite).sum()} vertices are not finite numbers of float32; repair() drops their faces.")
        faces, rounding = faces[finite[faces].all(-1)], rounding[finite]
    largest = rounding.max(initial=0)
    if largest == 0 or len(faces) == 0:
        return vertices, None
    # Nearly all files are done after a look at a few faces, which are of nearly the size of the whole.
    exact, few = raw.vertices, faces[:: len(faces) // 64 + 1]
    if largest > COARSE * np.ptp(exact[few].reshape(-1, 3), axis=0).max(initial=0):
        exact, to_source = _centred(exact, faces, problems)
        vertices = _float32(exact)
        largest = np.abs(vertices.numpy()[faces] - exact[faces]).max(initial=0)
    if small := _collapsed(exact, vertices.numpy(), faces, largest):
        problems.append(f"{small} faces are too small for float32 beside the rest of it: their shape is lost.")
    return vertices, to_source


def _centred(vertices: Floats, faces: Integers, problems: list[str]) -> tuple[Floats, torch.Tensor | None]:
    """The vertices, relative to the centre of those of faces if float32 needs it, and then ``to_source``."""
    used = vertices[np.unique(faces)]
    rounding = np.abs(_float32(used).numpy() - used).max(initial=0)
    low, high = used.min(0, initial=np.inf), used.max(0, initial=-np.inf)
    size, farthest = (high - low).max(), max(np.abs(low).max(), np.abs(high).max())
    if rounding <= COARSE * size or farthest <= 2 * size or _were_float32(used):
        return vertices, None
    center = (low + high) / 2
    problems.append(
        f"Its coordinates, up to {farthest:,.0f}, are too far from the origin for float32: vertices are relative to "
        f"{tuple(center.tolist())}; restored() brings the coordinates of the file back."
    )
    to_source = torch.eye(4, dtype=torch.float64)
    to_source[:3, 3] = torch.from_numpy(center)
    return vertices - center, to_source


def _collapsed(exact: Floats, rounded: Image, faces: Integers, rounding: float) -> int:
    """How many faces have an edge that float32 changes by more than an eighth of its length."""
    changed = np.zeros(len(faces), dtype=bool)
    for first, second in ((0, 1), (1, 2), (2, 0)):
        near, one, other = np.arange(len(faces)), faces[:, first], faces[:, second]
        for column in exact.T:  # few corners are close along the first axis already
            close = np.abs(column[one] - column[other]) <= 32 * rounding
            near, one, other = near[close], one[close], other[close]
        edge, as_drawn = exact[one] - exact[other], rounded[one].astype(np.float64) - rounded[other]
        changed[near] |= np.linalg.norm(as_drawn - edge, axis=-1) > np.linalg.norm(edge, axis=-1) / 8
    return int(changed.sum())


def _were_float32(values: Floats) -> bool:
    """Whether all are what float32 has in nine digits: a program that keeps no more wrote them, and they return."""
    return all(float(f"{np.float32(value):.9g}") == value for value in values.flat)


def _with_near_uv(raw: RawMesh, problems: list[str]) -> RawMesh:
    """Faces whose texture coordinates are far from 0 moved by whole repetitions; 0 for what is still absurd then."""
    if raw.corner_uv is None or not (np.abs(raw.corner_uv) > _REPEATED).any():
        return raw
    uv = raw.corner_uv.copy()
    far = (np.abs(uv) > _REPEATED).any((1, 2)) & np.isfinite(uv).all((1, 2))
    uv[far] -= np.floor(uv[far].min(1, keepdims=True))
    absurd = np.abs(uv) > FARTHEST_UV
    if absurd.any():
        count = absurd.any((1, 2)).sum()
        problems.append(f"{count} faces have texture coordinates that are infinite or absurdly large; taken for 0.")
    return dataclasses.replace(raw, corner_uv=np.where(absurd, 0, uv))


def _without_unmapped_images(raw: RawMesh, problems: list[str]) -> RawMesh:
    """Faces that have an image but no texture coordinates fall back to their colour."""
    if raw.face_image is None:
        return raw
    unmapped = raw.face_image >= 0
    if raw.corner_uv is not None:
        finite = np.isfinite(raw.corner_uv)
        unmapped &= False if finite.all() else ~finite.all((-1, -2))
    if not unmapped.any():
        return raw
    problems.append(f"{unmapped.sum()} faces have a texture image but no texture coordinates; drawn in one colour.")
    return dataclasses.replace(
        raw, face_image=np.where(unmapped, -1, raw.face_image), face_colors=_colors_of_faces(raw)
    )


def _texture(raw: RawMesh, problems: list[str]) -> Texture:
    assert raw.corner_uv is not None
    assert raw.face_image is not None
    image, corner_uv = build_texture(raw.images, raw.face_image, raw.corner_uv, _colors_of_faces(raw), problems)
    faces = torch.from_numpy(raw.faces)
    corners = torch.arange(faces.numel()).reshape(-1, 3)
    colors = _reflectances(image, "texels", problems)
    return Texture(colors, _float32(corner_uv.reshape(-1, 2)), corners).compact(faces, len(raw.vertices))


def _reflectances(values: NDArray[Any], what: str, problems: list[str]) -> torch.Tensor:
    """Colours ``[..., 3]`` as float32 of 0-1; what had to be changed for that is listed."""
    colors = _float32(values)
    low, high = (float(bound) for bound in torch.aminmax(colors)) if colors.numel() else (0, 1)
    if low >= 0 and high <= 1:
        return colors
    nonfinite = ~colors.isfinite().all(-1)
    if nonfinite.any():
        problems.append(f"{int(nonfinite.sum())} of its {what} are not finite; drawn in neutral grey.")
        low, high = (float(bound) for bound in torch.aminmax(torch.where(nonfinite[..., None], 0, colors)))
    if low < -_ABOVE_ONE or high > 1 + _ABOVE_ONE:
        problems.append(f"Its {what} reach from {low:.4g} to {high:.4g}, beyond 0-1 of linear light; clipped.")
    return mended_colors(colors)


def _float32(values: NDArray[Any]) -> torch.Tensor:
    with np.errstate(over="ignore", invalid="ignore"):  # what is beyond float32 becomes infinite
        return torch.from_numpy(np.ascontiguousarray(values, dtype=np.float32))
