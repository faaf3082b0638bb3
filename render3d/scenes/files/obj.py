"""Wavefront OBJ, read and written.

trimesh's reader is not used for it: of what users meet, it counts negative indices from the end of the file, splits
vertices by their normals, fills concave polygons beyond their outline, reads the first ``mtllib`` only, and passes
over missing materials, missing images and broken lines without a word.
"""

import itertools
from pathlib import Path
from typing import NoReturn, final

import numpy as np
import torch

from render3d.color import NEUTRAL_GREY, linear_to_srgb
from render3d.errors import MeshError
from render3d.scenes.files.folder import Folder, encode_image
from render3d.scenes.files.mtl import Material, read_materials
from render3d.scenes.files.polygons import triangulate
from render3d.scenes.files.raw import Floats, Image, Integers, RawMesh, linear_light, unit_colors
from render3d.scenes.files.text import decode_text, digits_of, join_continued, rest_of
from render3d.scenes.mesh import Mesh

Corner = tuple[int, int]
"""Indices of a vertex and of its texture coordinate."""

_NOTHING = -1
"""The index of what a file leaves out or counts wrongly."""


def read_obj(path: Path, folder: Folder) -> RawMesh:
    """Read an OBJ file; indices out of range are kept, for `Mesh.check` to count."""
    return _Reader(path, folder).read()


@final
class _Reader:
    """The state of reading one file."""

    def __init__(self, path: Path, folder: Folder) -> None:
        self.path = path
        self.folder = folder
        self.vertices: list[list[float]] = []
        self.colors: dict[int, list[float]] = {}
        self.uv: list[list[float]] = []
        self.corners: list[Corner] = []
        self.sizes: list[int] = []
        """How many of the corners each polygon has."""
        self.known: dict[str, Corner] = {}
        """Corners by their words, which most files repeat six times."""
        self.materials: dict[str, Material] = {}
        self.used: dict[str, int] = {"": 0}
        """Numbers of the materials, in order of use."""
        self.material = 0
        self.polygon_material: list[int] = []
        self.too_short = 0

    def read(self) -> RawMesh:
        text = join_continued(decode_text(self.path.read_bytes()))
        readers = {"v": self._read_v, "vt": self._read_vt, "f": self._read_f}
        names = {"usemtl": self._use_material, "mtllib": self._read_library}
        lines = text.split("\n")
        for number, line in enumerate(lines, 1):
            key, *words = (line.partition("#")[0] if "#" in line else line).split() or [""]
            try:
                if key in readers:
                    readers[key](words)
                elif key in names:
                    names[key](rest_of(line))
            except ValueError as error:
                self._refuse(number, line, last=number == len(lines), error=error)
        return self._assemble()

    def _refuse(self, number: int, line: str, *, last: bool, error: ValueError) -> NoReturn:
        ending = " The file ends there: it seems truncated; fetch it again." if last else ""
        raise MeshError(f"{self.path}, line {number}: cannot read {line[:80]!r}.{ending}") from error

    def _read_v(self, words: list[str]) -> None:
        numbers = list(map(float, words))
        if len(numbers) < 3:
            raise ValueError(words)
        if len(numbers) >= 6:
            self.colors[len(self.vertices)] = numbers[3:6]
        self.vertices.append(numbers[:3])

    def _read_vt(self, words: list[str]) -> None:
        numbers = [float(word) for word in words]
        self.uv.append([*numbers, 0.0][:2] if numbers else [np.nan, np.nan])

    def _read_f(self, words: list[str]) -> None:
        known = self.known
        corners = [known.get(word) or self._corner(word) for word in words]
        if len(corners) < 3:
            self.too_short += 1
            return
        self.corners += corners
        self.sizes.append(len(corners))
        self.polygon_material.append(self.material)

    def _corner(self, word: str) -> Corner:
        vertex, uv, *_ = [*word.split("/"), ""]
        corner = (_index(vertex, len(self.vertices)), _index(uv, len(self.uv)) if uv else _NOTHING)
        if "-" not in word:  # what counts backwards means another corner at every line
            self.known[word] = corner
        return corner

    def _use_material(self, name: str) -> None:
        self.material = self.used.setdefault(name, len(self.used))

    def _read_library(self, rest: str) -> None:
        # One line may name several files; but a name may hold spaces, too.
        names = [rest] if self.folder.holds(rest) else rest.split()
        for name in names:
            content = self.folder.read(name)
            if content is not None:
                self.materials |= read_materials(join_continued(decode_text(content)), self.folder)

    def _assemble(self) -> RawMesh:
        if self.too_short:
            self.folder.problems.append(f"{self.too_short} faces of fewer than three corners were left out.")
        vertices = np.array(self.vertices, dtype=np.float64).reshape(-1, 3)
        corners, polygon = self._triangles(vertices)
        material = np.array(self.polygon_material, dtype=np.int64)[polygon]
        colors, images, image_of_material = self._surfaces(used=set(material.tolist()))
        return RawMesh(
            vertices=vertices,
            faces=corners[..., 0],
            vertex_colors=self._vertex_colors(),
            face_colors=None if colors is None else colors[material],
            corner_uv=self._corner_uv(corners[..., 1]),
            face_image=image_of_material[material],
            images=tuple(images),
        )

    def _triangles(self, vertices: Floats) -> tuple[Integers, Integers]:
        """Corners ``[F, 3, 2]`` of the triangles and the number ``[F]`` of the polygon each is part of."""
        numbers = itertools.chain.from_iterable(self.corners)
        corners = np.fromiter(numbers, np.int64, 2 * len(self.corners)).reshape(-1, 2)
        places, polygon = triangulate(vertices, corners[:, 0], np.array(self.sizes, dtype=np.int64))
        return corners[places], polygon

    def _vertex_colors(self) -> Floats | None:
        if not self.colors:
            return None
        colors = np.tile(NEUTRAL_GREY, (len(self.vertices), 1))
        encoded = unit_colors(np.array(list(self.colors.values())), self.folder.problems)
        colors[list(self.colors)] = linear_light(encoded)
        return colors

    def _corner_uv(self, index: Integers) -> Floats:
        uv = np.array([*self.uv, [np.nan, np.nan]], dtype=np.float64)
        inside = (index >= 0) & (index < len(self.uv))
        return uv[np.where(inside, index, len(self.uv))]

    def _surfaces(self, used: set[int]) -> tuple[Floats | None, list[Image], Integers]:
        """Of the materials by number: the colours, the images, and which of these each has."""
        missing = [name for name, number in self.used.items() if name and number in used and name not in self.materials]
        if missing:
            self.folder.problems.append(f"Materials that it uses are not defined: {', '.join(map(repr, missing))}.")
        defined = [self.materials.get(name) for name in self.used]
        if defined[0] is None and 0 in used and self.materials and not self.colors:
            defined[0] = self._of_unnamed()
        materials = [material or Material() for material in defined]
        images: list[Image] = []
        number_of: dict[str | None, int] = {None: _NOTHING}
        for number, material in enumerate(materials):
            name = material.image_name
            if number in used and name is not None and name not in number_of:
                image = self.folder.read_image(name)
                number_of[name] = _NOTHING if image is None else len(images)
                images += [] if image is None else [image]
        image_of_material = np.array([number_of.get(material.image_name, _NOTHING) for material in materials])
        if not any(defined):
            return None, images, image_of_material
        return (np.array([material.color for material in materials]), images, image_of_material)

    def _of_unnamed(self) -> Material | None:
        """The material of faces before the first ``usemtl``: the only one there is, as in MeshLab; of several, none."""
        (name, material), *others = self.materials.items()
        choice = "in neutral grey" if others else f"in {name!r}, the only one of its library"
        self.folder.problems.append(f"Faces of it name no material (usemtl); they are drawn {choice}.")
        return None if others else material


def _index(word: str, count: int) -> int:
    """From the file's counting, from 1 or backwards from the latest as -1, to one from 0."""
    number = int(word)
    if number < 0:
        return count + number if count + number >= 0 else _NOTHING
    return number - 1


def write_obj(mesh: Mesh, path: Path) -> dict[str, bytes]:
    """The files of a mesh by name, the OBJ last: face colours become one material for each colour."""
    stem = path.stem
    files: dict[str, bytes] = {}
    materials: list[str] = []
    lines = []
    if mesh.texture is not None:
        files[f"{stem}.png"] = encode_image(mesh.texture.image)
        materials = [f"newmtl surface\nKd 1 1 1\nmap_Kd {stem}.png"]
    elif mesh.face_colors is not None:
        colors, material = torch.unique(_encoded(mesh.face_colors), dim=0, return_inverse=True)
        materials = [f"newmtl color_{number}\nKd {_numbers(color)}" for number, color in enumerate(colors.tolist())]
    if materials:
        files[f"{stem}.mtl"] = ("\n\n".join(materials) + "\n").encode()
        lines.append(f"mtllib {stem}.mtl")
    vertices, digits = mesh.vertices.detach().cpu(), digits_of(mesh.vertices)
    rows = vertices if mesh.colors is None else torch.cat([vertices, _encoded(mesh.colors).to(vertices)], -1)
    lines += [f"v {_numbers(row, digits)}" for row in rows.tolist()]
    faces = (mesh.faces + 1).tolist()
    if mesh.texture is not None:
        lines += [f"vt {_numbers(row)}" for row in mesh.texture.uv.tolist()]
        corners = torch.stack([mesh.faces, mesh.uv_faces], -1).flatten(1) + 1
        lines += ["usemtl surface", *("f {}/{} {}/{} {}/{}".format(*face) for face in corners.tolist())]
    elif mesh.face_colors is not None:
        current = _NOTHING
        for (a, b, c), number in zip(faces, material.tolist(), strict=True):
            if number != current:
                lines.append(f"usemtl color_{number}")
                current = number
            lines.append(f"f {a} {b} {c}")
    else:
        lines += [f"f {a} {b} {c}" for a, b, c in faces]
    return files | {path.name: ("\n".join(lines) + "\n").encode()}


def _encoded(colors: torch.Tensor) -> torch.Tensor:
    return linear_to_srgb(colors.detach().cpu())


def _numbers(row: list[float], digits: int = 9) -> str:
    """Nine digits bring every float32 back, 17 every float64."""
    return " ".join(f"{number:.{digits}g}" for number in row)
