"""A group of segments in the layout of the vertex buffers."""

import dataclasses
from typing import Any, final

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from render3d.renderers.opengl.draws import Segment
from render3d.renderers.opengl.shaders import ProgramKey
from render3d.scenes.topology import is_closed

Array = npt.NDArray[Any]


@final
@dataclasses.dataclass(frozen=True)
class Upload:
    """What one indirect draw call reads.

    Attributes:
        attributes: Per-vertex arrays ``[vertices, components]`` float32 by name, ``clip`` first.
        indices: ``[indices]`` int32, those of all segments in a row.
        commands: ``[tiles, 5]`` uint32: count, instances, first index, first vertex, first instance; one draw a tile.
        first: ``[tiles, 3]`` int32: where a tile's indices, vertices and face colours begin.
        contained: ``[tiles]`` bool: whether every vertex lies inside the view, near and far included.
        closed: ``[tiles]`` bool: whether the surface has no border.
        face_colors: ``[colours, 3]`` float32, or None.
    """

    attributes: dict[str, Array]
    indices: Array
    commands: Array
    first: Array
    contained: Array
    closed: Array
    face_colors: Array | None


def pack(group: list[Segment], matrices: Tensor, key: ProgramKey) -> Upload:
    """Transform the vertices and lay everything out, segment after segment, tile after tile.

    Vertices are transformed here rather than by the vertex shader: a batched matrix product is far quicker on the CPU
    than software OpenGL's vertex stage, and costs nothing on a GPU.

    Args:
        group: Segments of one colouring.
        matrices: ``[cameras, 4, 4]``, world to clip space.
        key: The program that will read it.
    """
    attributes: dict[str, list[Tensor]] = {}
    indices, commands, starts, contained, closed, colors = [], [], [], [], [], []
    first = {"index": 0, "vertex": 0, "tile": 0, "color": 0}
    for segment in group:
        faces, values = _drawn(segment, matrices, key)
        clip = values["clip"]
        count, vertices = clip.shape[:2]
        for name, tensor in values.items():
            attributes.setdefault(name, []).append(tensor.reshape(-1, tensor.shape[-1]))
        draws = np.zeros((count, 5), np.uint32)
        draws[:, 0], draws[:, 1], draws[:, 2] = faces.numel(), 1, first["index"]
        draws[:, 3] = first["vertex"] + vertices * np.arange(count)
        draws[:, 4] = first["tile"] + np.arange(count)
        color = first["color"] + len(faces) * segment.mesh_of_tile.numpy()
        starts.append(np.stack([draws[:, 2], draws[:, 3], color], axis=-1).astype(np.int32))
        commands.append(draws)
        indices.append(faces.reshape(-1).int())
        contained.append(((clip[..., :3].abs().amax(-1) <= clip[..., 3]).all(-1)).cpu().numpy())
        closed.append(np.full(count, is_closed(segment.mesh.faces)))
        if key.coloring == "face" and segment.mesh.face_colors is not None:
            colors.append(segment.mesh.face_colors.reshape(-1, 3).float())
            first["color"] += len(colors[-1])
        first["index"] += faces.numel()
        first["vertex"] += count * vertices
        first["tile"] += count
    return Upload(
        attributes={name: _numpy(parts) for name, parts in attributes.items()},
        indices=_numpy(indices),
        commands=np.concatenate(commands),
        first=np.concatenate(starts),
        contained=np.concatenate(contained),
        closed=np.concatenate(closed),
        face_colors=_numpy(colors) if colors else None,
    )


def _drawn(segment: Segment, matrices: Tensor, key: ProgramKey) -> tuple[Tensor, dict[str, Tensor]]:
    """Faces ``[F, 3]``, and attributes ``[tiles, V', C]`` of their vertices, which are split where seams show."""
    mesh, values = segment.mesh, {"clip": to_clip_space(segment, matrices), **_other_attributes(segment, key)}
    if mesh.texture is None or "color" not in key.targets:
        return mesh.faces, values
    faces, uv, seams = mesh.faces, mesh.texture.uv, mesh.seams
    if seams is not None:
        faces, uv = seams.faces, uv[seams.of_uv]
        values = {name: tensor[:, seams.of_vertices] for name, tensor in values.items()}
    return faces, values | {"uv": uv.expand(segment.tiles, *uv.shape).float()}


def to_clip_space(segment: Segment, matrices: Tensor) -> Tensor:
    """``[tiles, V, 4]`` float32: every tile's vertices in the clip space of its camera."""
    matrix = matrices[segment.camera_of_tile.to(matrices.device)]
    points = _per_tile(segment, segment.mesh.vertices.float())
    return torch.baddbmm(matrix[:, None, :, 3], points, matrix[:, :, :3].mT)


def _other_attributes(segment: Segment, key: ProgramKey) -> dict[str, Tensor]:
    mesh = segment.mesh
    attributes = {}
    if key.lit:
        attributes["surface"] = _per_tile(segment, mesh.vertex_normals() if key.smooth else mesh.vertices)
    if "color" in key.targets and mesh.colors is not None:
        attributes["color"] = _per_tile(segment, mesh.colors)
    return {name: tensor.float() for name, tensor in attributes.items()}


def _per_tile(segment: Segment, values: Tensor) -> Tensor:
    """``[tiles, V, C]`` from ``[M, V, C]``."""
    tiles = segment.mesh_of_tile
    if len(tiles) == len(values) and bool((tiles == torch.arange(len(tiles))).all()):
        return values
    return values[tiles.to(values.device)]


def _numpy(parts: list[Tensor]) -> Array:
    joined = parts[0] if len(parts) == 1 else torch.cat(parts)
    return joined.contiguous().cpu().numpy()
