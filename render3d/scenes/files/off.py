"""OFF, read and written: trimesh passes over its colours, those of vertices and those of faces."""

import re
from pathlib import Path

import numpy as np
import torch

from render3d.color import NEUTRAL_GREY, srgb_bytes
from render3d.errors import MeshError
from render3d.scenes.files.folder import Folder
from render3d.scenes.files.polygons import triangulate
from render3d.scenes.files.raw import Floats, Integers, RawMesh, linear_light
from render3d.scenes.mesh import Mesh

# ModelNet has files whose counts follow the keyword without a space: "OFF490 518 0".
_HEADER = re.compile(r"\A\s*(?P<kinds>(ST)?C?N?)OFF(?P<rest>.*)\Z", re.DOTALL)


def read_off(path: Path, folder: Folder) -> RawMesh:
    """Read an OFF file of text: ``OFF``, ``COFF``, ``NOFF`` or ``CNOFF``. It refers to no other file."""
    text = re.sub(r"#[^\n]*", "", path.read_bytes().decode("utf-8", errors="replace"))
    header = _HEADER.match(text)
    if header is None:
        raise MeshError(f"{path}: no OFF file of text; the first word must be OFF, COFF, NOFF or CNOFF.")
    lines = [line for line in header["rest"].splitlines() if line.strip()]
    try:
        vertex_count, face_count = (int(word) for word in lines[0].split()[:2])
        rows = [[float(word) for word in line.split()] for line in lines[1 : 1 + vertex_count]]
        vertices = np.array([row[:3] for row in rows], dtype=np.float64).reshape(vertex_count, 3)
        polygons = [line.split() for line in lines[1 + vertex_count : 1 + vertex_count + face_count]]
        if len(polygons) < face_count:
            raise ValueError(f"{len(polygons)} of {face_count} faces")
        faces, owner = _triangles(vertices, polygons)
        return RawMesh(
            vertices=vertices,
            faces=faces,
            vertex_colors=_vertex_colors(lines[1 : 1 + vertex_count], header["kinds"]),
            face_colors=_face_colors(polygons, owner),
        )
    except (ValueError, IndexError) as error:
        raise MeshError(f"{path}: the file is truncated or broken ({error}); fetch it again.") from error


def _triangles(vertices: Floats, rows: list[list[str]]) -> tuple[Integers, Integers]:
    """Faces ``[F, 3]`` and the row ``[F]`` that each came from."""
    polygons = [[int(word) for word in row[1 : 1 + int(row[0])]] for row in rows]
    for polygon, row in zip(polygons, rows, strict=True):
        if len(polygon) != int(row[0]) or len(polygon) < 3:
            raise ValueError(f"face {' '.join(row)!r}")
    flat = np.array([index for polygon in polygons for index in polygon], dtype=np.int64)
    sizes = np.array([len(polygon) for polygon in polygons], dtype=np.int64)
    places, owner = triangulate(vertices, flat, sizes)
    return flat[places], owner


def _vertex_colors(lines: list[str], kinds: str) -> Floats | None:
    if "C" not in kinds:
        return None
    start = 6 if "N" in kinds else 3
    return _decoded([line.split()[start : start + 3] for line in lines])


def _face_colors(polygons: list[list[str]], owner: Integers) -> Floats | None:
    words = [polygon[1 + int(polygon[0]) :][:3] for polygon in polygons]
    has_color = np.array([len(own) == 3 for own in words], dtype=bool)
    if not has_color.any():
        return None
    colors = np.tile(NEUTRAL_GREY, (len(words), 1))
    colors[has_color] = _decoded([own for own in words if len(own) == 3])
    return colors[owner]


def _decoded(words: list[list[str]]) -> Floats:
    """Linear light ``[N, 3]`` of colours as words: whole numbers are of 0-255, others of 0-1."""
    if any(len(own) != 3 for own in words):
        raise ValueError("a vertex without colour")
    scales = [255 if all(word.isdigit() for word in own) else 1 for own in words]
    return linear_light([[float(word) / scale for word in own] for own, scale in zip(words, scales, strict=True)])


def write_off(mesh: Mesh, path: Path) -> dict[str, bytes]:
    """The file of a mesh; colours become whole numbers of 0-255."""
    rows = [" ".join(f"{number:.9g}" for number in row) for row in mesh.vertices.detach().cpu().tolist()]
    faces = [f"3 {a} {b} {c}" for a, b, c in mesh.faces.tolist()]
    if mesh.colors is not None:
        rows = [f"{row} {color} 255" for row, color in zip(rows, _bytes(mesh.colors), strict=True)]
    if mesh.face_colors is not None:
        faces = [f"{face} {color} 255" for face, color in zip(faces, _bytes(mesh.face_colors), strict=True)]
    header = ["COFF" if mesh.colors is not None else "OFF", f"{len(rows)} {len(faces)} 0"]
    return {path.name: ("\n".join([*header, *rows, *faces]) + "\n").encode()}


def _bytes(colors: torch.Tensor) -> list[str]:
    return [" ".join(map(str, row)) for row in srgb_bytes(colors).tolist()]
