"""What is wrong with a mesh, and mending it: `Mesh.check`, `Mesh.repair`, `Mesh.merged`."""

import dataclasses
from collections import deque
from pathlib import Path
from typing import Any, NamedTuple, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from render3d.scenes.topology import edges_of

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Mask = NDArray[np.bool_]

# A triangle whose height is a smaller share of its longest edge is within the rounding of float32 coordinates.
_FLAT = float(np.finfo(np.float32).eps)


@final
@dataclasses.dataclass(frozen=True, kw_only=True)
class MeshProblems:
    """What is wrong with a mesh; ``print`` it. Of a batch, what is wrong with any of its elements.

    Vertices at one position count as one here, so that seams of textures are no holes.

    Attributes:
        source: The file it came from, or None.
        vertices: How many vertices there are.
        faces: How many faces there are.
        nonfinite_vertices: Vertices with a coordinate that is NaN or infinite.
        unreferenced_vertices: Vertices of no face.
        out_of_range_faces: Faces with an index that no vertex, or no texture coordinate, has.
        nonfinite_faces: Faces with a vertex that is not finite.
        zero_area_faces: Faces without area to the precision of float32.
        duplicate_faces: Faces in the place of an earlier one, whichever way they turn. They flicker when rendered.
        open_edges: Edges of one face only, among faces with none of the faults above.
        crowded_edges: Edges of more than two such faces.
        inconsistent_edges: Edges whose two faces turn opposite ways.
        inside_out_bodies: Closed surfaces whose faces all turn inwards.
        problems: What could not be kept when the file was loaded.
        far_vertices: Vertices farther than 1e10 from the origin, where normals overflow.
        nonfinite_colors: Colours of vertices, of faces or of texels that are NaN or infinite.
        colors_far_outside_0_to_1: Such colours with a value beyond 10.
        unusable_texture_coordinates: Texture coordinates that are NaN, infinite or beyond 2**20.
        oversized_textures: 1 if the texture has more than 16384 pixels along a side.
    """

    source: Path | None
    vertices: int
    faces: int
    nonfinite_vertices: int
    unreferenced_vertices: int
    out_of_range_faces: int
    nonfinite_faces: int
    zero_area_faces: int
    duplicate_faces: int
    open_edges: int
    crowded_edges: int
    inconsistent_edges: int
    inside_out_bodies: int
    problems: tuple[str, ...]
    far_vertices: int = 0
    nonfinite_colors: int = 0
    colors_far_outside_0_to_1: int = 0
    unusable_texture_coordinates: int = 0
    oversized_textures: int = 0

    @property
    def watertight(self) -> bool:
        """Whether every edge of its sound faces is shared by two of them."""
        return self.faces > 0 and self.open_edges == 0 and self.crowded_edges == 0

    @property
    def renderable(self) -> bool:
        """Whether renderers take it as it is."""
        faults = (
            self.nonfinite_vertices,
            self.out_of_range_faces,
            self.far_vertices,
            self.nonfinite_colors,
            self.colors_far_outside_0_to_1,
            self.unusable_texture_coordinates,
            self.oversized_textures,
        )
        return self.faces > 0 and not any(faults)

    def __str__(self) -> str:
        faults = [
            f"  {count} {name.replace('_', ' ')}"
            for name, count in dataclasses.asdict(self).items()
            if isinstance(count, int) and count and name not in ("vertices", "faces")
        ]
        if self.faces == 0:
            faults.insert(0, "  no faces")
        closed = "watertight" if self.watertight else "not watertight"
        head = f"{self.source or 'mesh'}: {self.vertices} vertices, {self.faces} faces, {closed}"
        return "\n".join([head, *faults, *(f"  {problem}" for problem in self.problems)])


class Kept(NamedTuple):
    """What is left of a mesh.

    Attributes:
        faces: ``[F', 3]`` int64, indices of the vertices that are left.
        of_corners: ``[F', 3]`` int64, which corners theirs were: ``3 f + k`` is corner k of face f.
        of_vertices: ``[V']`` int64, the vertices that are left.
    """

    faces: Tensor
    of_corners: Tensor
    of_vertices: Tensor


def problems_of(vertices: Tensor, faces: Tensor, source: Path | None, problems: tuple[str, ...]) -> MeshProblems:
    """See `Mesh.check`; of vertices ``[*batch, V, 3]`` and faces ``[F, 3]``."""
    survey = _Survey(vertices, faces)
    edges = _Edges(survey.welded_faces[survey.sound])
    referenced = np.unique(survey.faces[survey.in_range])
    return MeshProblems(
        source=source,
        vertices=len(survey.finite),
        faces=len(survey.faces),
        nonfinite_vertices=int((~survey.finite).sum()),
        unreferenced_vertices=len(survey.finite) - len(referenced),
        out_of_range_faces=int((~survey.in_range).sum()),
        nonfinite_faces=int((survey.in_range & ~survey.finite_face).sum()),
        zero_area_faces=int((survey.finite_face & ~survey.has_area).sum()),
        duplicate_faces=int((survey.has_area & ~survey.sound).sum()),
        open_edges=int((edges.uses == 1).sum()),
        crowded_edges=int((edges.uses > 2).sum()),
        inconsistent_edges=int(edges.same_way.sum()),
        inside_out_bodies=len(_inward(edges, survey.triangles(survey.sound))),
        problems=problems,
    )


def repaired(vertices: Tensor, faces: Tensor) -> Kept | None:
    """See `Mesh.repair`; None if nothing that can be rendered is left."""
    survey = _Survey(vertices, faces)
    if not survey.sound.any():
        return None
    welded = survey.welded_faces[survey.sound]
    triangles = survey.triangles(survey.sound)
    flip = _flips_to_agree(_Edges(welded))
    welded, triangles = _flipped(welded, flip), _flipped(triangles, flip)
    for body in _inward(_Edges(welded), triangles):
        flip[body] ^= True
    referenced, renumbered = np.unique(_flipped(survey.faces[survey.sound], flip), return_inverse=True)
    corners = _flipped(_corners(len(survey.faces))[survey.sound], flip)
    return _kept(renumbered.reshape(-1, 3), corners, referenced)


def merged(faces: Tensor, *values: Tensor) -> Kept:
    """See `Mesh.merged`; ``values`` ``[*batch, V, C]`` are all that vertices must agree in."""
    first, inverse = unique_rows(np.concatenate([_rows(own) for own in values], axis=1))
    numbers = faces.cpu().numpy()
    inside = (numbers >= 0) & (numbers < len(inverse))
    renumbered = np.where(inside, inverse[np.where(inside, numbers, 0)], -1)
    return _kept(renumbered, _corners(len(numbers)), first)


def _corners(faces: int) -> Integers:
    return np.arange(3 * faces).reshape(-1, 3)


def _kept(*numbers: Integers) -> Kept:
    return Kept(*map(torch.from_numpy, numbers))


def unique_rows(rows: NDArray[Any]) -> tuple[Integers, Integers]:
    """The first occurrence of each distinct row of ``rows`` ``[N, C]``, in order, and the one that each row equals.

    Rows are compared exactly, with NaN equal to itself and zeros of either sign alike.
    """
    # Adding zero turns -0.0 into 0.0; a row of bytes sorts many times faster than a row of numbers.
    contiguous = np.ascontiguousarray(rows + 0)
    keys = contiguous.view(np.dtype((np.void, contiguous.dtype.itemsize * contiguous.shape[1]))).reshape(-1)
    _, first, inverse = np.unique(keys, return_index=True, return_inverse=True)
    order = np.argsort(first)
    return first[order], np.argsort(order)[inverse]


def _rows(tensor: Tensor) -> Floats:
    """``[*batch, N, C]`` as ``[N, batch * C]``."""
    array: Floats = tensor.detach().cpu().double().movedim(-2, 0).flatten(1).numpy()
    return array


@final
class _Survey:
    """Which faces of a mesh are sound: each mask ``[F]`` narrows the one before it."""

    def __init__(self, vertices: Tensor, faces: Tensor) -> None:
        self.faces: Integers = faces.cpu().numpy()
        self._positions = _rows(vertices)
        self.finite: Mask = np.all(np.isfinite(self._positions), axis=1)
        count = len(self._positions)
        self.in_range: Mask = np.all((self.faces >= 0) & (self.faces < count), axis=1)
        safe = np.where(self.in_range[:, None], self.faces, count)
        # One more vertex, at the end, stands for those that an index out of range means.
        self.finite_face: Mask = np.all(np.append(self.finite, False)[safe], axis=1)
        self.welded_faces: Integers = np.append(unique_rows(self._positions)[1], -1)[safe]
        self.has_area: Mask = self.finite_face.copy()
        self.has_area[self.finite_face] = _has_area(self.triangles(self.finite_face))
        first = unique_rows(np.sort(self.welded_faces[self.has_area], axis=1))[0]
        self.sound: Mask = np.zeros_like(self.has_area)
        self.sound[np.flatnonzero(self.has_area)[first]] = True

    def triangles(self, faces: Mask) -> Floats:
        """``[F', 3, B, 3]``: the corners of the chosen faces, of each of the B elements of the batch."""
        corners: Floats = self._positions[self.faces[faces]]
        return corners.reshape(*corners.shape[:2], self._positions.shape[1] // 3, 3)


def _has_area(triangles: Floats) -> Mask:
    """Of faces ``[F, 3, B, 3]``, whether they have area in every element."""
    edges = np.roll(triangles, -1, axis=1) - triangles
    doubled_area = np.linalg.norm(np.cross(edges[:, 0], edges[:, 1]), axis=-1)
    longest = np.square(edges).sum(-1).max(1)
    has_area: Mask = (doubled_area > _FLAT * longest).all(1)
    return has_area


@final
class _Edges:
    """The edges of faces ``[F, 3]``, and those of just two faces as pairs.

    Attributes:
        uses: How many faces each edge has.
        pairs: ``[P, 2]`` the faces of the edges that have two.
        same_way: ``[P]`` whether both run along it the same way, as faces that agree on a side do not.
        closed: ``[F]`` whether all three edges of a face have two faces.
    """

    def __init__(self, faces: Integers) -> None:
        self.face_count = len(faces)
        table = edges_of(torch.from_numpy(faces))
        self.uses: Integers = table.uses.numpy()
        pairs = table.pairs.numpy()
        forward = (table.sides[:, 0] < table.sides[:, 1]).numpy()[pairs]
        self.pairs: Integers = pairs // 3
        self.same_way: Mask = forward[:, 0] == forward[:, 1]
        self.closed: Mask = np.bincount(self.pairs.reshape(-1), minlength=self.face_count) == 3

    def bodies(self) -> tuple[list[Integers], Mask]:
        """Faces connected through pairs, and ``[F]`` which to flip so that neighbours agree with a body's first."""
        neighbours: list[list[tuple[int, bool]]] = [[] for _ in range(self.face_count)]
        for (a, b), same in zip(self.pairs.tolist(), self.same_way.tolist(), strict=True):
            neighbours[a].append((b, same))
            neighbours[b].append((a, same))
        flip: list[bool | None] = [None] * self.face_count
        bodies = []
        for start in range(self.face_count):
            if flip[start] is not None:
                continue
            flip[start] = False
            body, queue = [start], deque([start])
            while queue:
                face = queue.popleft()
                for other, same in neighbours[face]:
                    if flip[other] is None:
                        flip[other] = bool(flip[face]) != same
                        body.append(other)
                        queue.append(other)
            bodies.append(np.array(body))
        return bodies, np.array(flip, dtype=bool)


def _flips_to_agree(edges: _Edges) -> Mask:
    """Which faces to flip so that neighbours agree; of each body, the lesser half."""
    bodies, flip = edges.bodies()
    for body in bodies:
        if 2 * flip[body].sum() > len(body):
            flip[body] ^= True
    return flip


def _inward(edges: _Edges, triangles: Floats) -> list[Integers]:
    """The bodies that are closed, agree on a side, and enclose a negative volume in every element."""
    disagrees = np.zeros(edges.face_count, dtype=bool)
    disagrees[edges.pairs[edges.same_way].reshape(-1)] = True
    inward = []
    for body in edges.bodies()[0]:
        if edges.closed[body].all() and not disagrees[body].any():
            corners = triangles[body] - triangles[body[0], 0]  # near the origin, where sums are exact
            volumes = np.einsum("fbi,fbi->b", corners[:, 0], np.cross(corners[:, 1], corners[:, 2]))
            if (volumes < 0).all():
                inward.append(body)
    return inward


def _flipped(faces: NDArray[Any], flip: Mask) -> NDArray[Any]:
    """``[F, 3, ...]`` with the chosen faces turned over."""
    turned = faces.copy()
    turned[flip] = faces[flip][:, [0, 2, 1]]
    return turned
