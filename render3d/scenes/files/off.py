"""OFF, read and written: trimesh passes over its colours, those of vertices and those of faces."""

import re
from pathlib import Path

import numpy as np
import torch

from render3d.color import NEUTRAL_GREY, srgb_bytes
from render3d.errors import MeshError
from render3d.scenes.files.folder import Folder
from render3d.scenes.files.polygons import triangulate
from render3d.scenes.files.raw import Floats, Integers, RawMesh, linear_light, unit_colors
from render3d.scenes.files.text import decode_text, digits_of
from render3d.scenes.mesh import Mesh

# ModelNet has files whose counts follow the keyword without a space: "OFF490 518 0".
_HEADER = re.compile(r"\A\s*(?P<kinds>(ST)?C?N?)OFF(?P<rest>.*)\Z", re.DOTALL)


def read_off(path: Path, folder: Folder) -> RawMesh:
    """Read an OFF file of text: ``OFF``, ``COFF``, ``NOFF`` or ``CNOFF``. It refers to no other file."""
    text = re.sub(r"#[^\n]*", "", decode_text(path.read_bytes()))
    header = _HEADER.match(text)
    if header is None or header["rest"].lstrip().startswith("BINARY"):
        raise MeshError(f"{path}: no OFF file of text; the first word must be OFF, COFF, NOFF or CNOFF.")
    lines = [words for line in header["rest"].split("\n") if (words := line.split())]
    try:
        vertex_count, face_count = (int(word) for word in lines[0][:2])
        rows, polygons = lines[1 : 1 + vertex_count], lines[1 + vertex_count : 1 + vertex_count + face_count]
        vertices = np.array([[float(word) for word in row[:3]] for row in rows], np.float64).reshape(vertex_count, 3)
        if len(polygons) < face_count:
            raise ValueError(f"{len(polygons)} of {face_count} faces")
        polygons = _without_edges(polygons, folder)
        faces, owner = _triangles(vertices, polygons)
        return RawMesh(
            vertices=vertices,
            faces=faces,
            vertex_colors=_vertex_colors(rows, header["kinds"], folder.problems),
            face_colors=_face_colors(polygons, owner, folder),
        )
    except (ValueError, IndexError) as error:
        raise MeshError(f"{path}: the file is truncated or broken ({error}); fetch it again.") from error


def _without_edges(rows: list[list[str]], folder: Folder) -> list[list[str]]:
    """The faces of three corners and more, each with all of its corners."""
    for row in rows:
        if not 0 <= int(row[0]) < len(row):
            raise ValueError(f"face {' '.join(row)!r}")
    faces = [row for row in rows if int(row[0]) >= 3]
    if len(faces) < len(rows):
        folder.problems.append(f"{len(rows) - len(faces)} faces of fewer than three corners were left out.")
    return faces


def _triangles(vertices: Floats, rows: list[list[str]]) -> tuple[Integers, Integers]:
    """Faces ``[F, 3]`` and the row ``[F]`` that each came from."""
    polygons = [[int(word) for word in row[1 : 1 + int(row[0])]] for row in rows]
    flat = np.array([index for polygon in polygons for index in polygon], dtype=np.int64)
    sizes = np.array([len(polygon) for polygon in polygons], dtype=np.int64)
    places, owner = triangulate(vertices, flat, sizes)
    return flat[places], owner


def _vertex_colors(rows: list[list[str]], kinds: str, problems: list[str]) -> Floats | None:
    start = 6 if "N" in kinds else 3
    words = [row[start : start + 3] for row in rows]
    if "C" not in kinds:
        if not _are_colors([row[start:] for row in rows], kinds):
            return None
        problems.append("Its header announces no colours: the numbers after its vertices were taken for them.")
    if any(len(own) != 3 for own in words):
        raise ValueError("a vertex without colour")
    return _decoded(words, problems)


def _are_colors(words: list[list[str]], kinds: str) -> bool:
    """Whether words that the header does not announce are colours: as many as these have, and none below zero.

    Normals are other triples that programs write without saying so; those of most surfaces point to all sides.
    """
    sizes = {len(own) for own in words}
    return "ST" not in kinds and sizes in ({3}, {4}) and all(float(word) >= 0 for own in words for word in own)


def _face_colors(polygons: list[list[str]], owner: Integers, folder: Folder) -> Floats | None:
    words = [polygon[1 + int(polygon[0]) :][:3] for polygon in polygons]
    if any(len(own) == 1 for own in words):
        folder.problems.append("Faces of it have the number of a colour in a table, which is not read; drawn in grey.")
    has_color = np.array([len(own) == 3 for own in words], dtype=bool)
    if not has_color.any():
        return None
    colors = np.tile(NEUTRAL_GREY, (len(words), 1))
    colors[has_color] = _decoded([own for own in words if len(own) == 3], folder.problems)
    return colors[owner]


def _decoded(words: list[list[str]], problems: list[str]) -> Floats:
    """Linear light ``[N, 3]`` of colours as words: of 0-255 if all are whole numbers and any is above 1."""
    values = np.array([[float(word) for word in own] for own in words], dtype=np.float64).reshape(-1, 3)
    whole = all(word.isdigit() for own in words for word in own)
    return linear_light(values / 255 if whole and values.max(initial=0) > 1 else unit_colors(values, problems))


def write_off(mesh: Mesh, path: Path) -> dict[str, bytes]:
    """The file of a mesh; colours become whole numbers of 0-255."""
    digits = digits_of(mesh.vertices)
    rows = [" ".join(f"{number:.{digits}g}" for number in row) for row in mesh.vertices.detach().cpu().tolist()]
    faces = [f"3 {a} {b} {c}" for a, b, c in mesh.faces.tolist()]
    if mesh.colors is not None:
        rows = [f"{row} {color} 255" for row, color in zip(rows, _bytes(mesh.colors), strict=True)]
    if mesh.face_colors is not None:
        faces = [f"{face} {color} 255" for face, color in zip(faces, _bytes(mesh.face_colors), strict=True)]
    header = ["COFF" if mesh.colors is not None else "OFF", f"{len(rows)} {len(faces)} 0"]
    return {path.name: ("\n".join([*header, *rows, *faces]) + "\n").encode()}


def _bytes(colors: torch.Tensor) -> list[str]:
    return [" ".join(map(str, row)) for row in srgb_bytes(colors).tolist()]
