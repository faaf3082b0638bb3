"""What was wrong with objects that were made all the same."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple, final

import torch
from torch import Tensor

from render3d.atomic import write_text
from render3d.cameras import Cameras
from render3d.datasets.collections import CollectionObject
from render3d.datasets.view_sets.write.tables import csv_text
from render3d.scenes import Mesh

PROBLEMS = "problems.csv"

# Names in quotes, folders and numbers. A quote after a letter is an apostrophe; numbers of a range belong to the kind.
_PARTICULARS = re.compile(
    r"""(?<!\w)'[^']*'|(?<!\w)"[^"]*"|(?<=folder )/.+?(?=: |\.$)|(?<![\w.-])\d[\d.,]*(?<![.,])(?![\w-])"""
)
_ELLIPSIS = "\N{HORIZONTAL ELLIPSIS}"


@final
class Problem(NamedTuple):
    """One thing that was wrong with an object.

    Attributes:
        id: Of the object.
        kind: The text without the names and numbers that are particular to the object.
        text: In a sentence.
    """

    id: str
    kind: str
    text: str

    @classmethod
    def of(cls, id_: str, text: str) -> "Problem":
        """The problem of an object in these words."""
        kind = _PARTICULARS.sub(_ELLIPSIS, text)
        return cls(id_, re.sub(f"{_ELLIPSIS}(, {_ELLIPSIS})+", _ELLIPSIS, kind), text)


def problems_of(objects: Iterable[CollectionObject], texts: Mapping[str, Iterable[str]]) -> Iterator[Problem]:
    """Yield the problems of objects in their order, from their texts by id."""
    for item in objects:
        for text in texts.get(item.id, ()):
            yield Problem.of(item.id, text)


def objects_by_kind(problems: Iterable[Problem]) -> dict[str, int]:
    """How many objects have problems of each kind, the most frequent first."""
    counts = Counter(kind for _, kind in {(problem.id, problem.kind) for problem in problems})
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def write_problems(folder: Path, problems: Iterable[Problem]) -> None:
    """Write ``problems.csv`` into the folder of a run."""
    write_text(folder / PROBLEMS, csv_text([Problem._fields, *problems]))


def problems_of_views(mesh: Mesh, cameras: Cameras) -> Iterator[str]:
    """Yield what is wrong with where cameras stand.

    A camera inside a closed object sees it from within; what is nearer than the near plane or farther than the far one
    is not drawn.

    Args:
        mesh: As it is rendered, batch shape ``[]``.
        cameras: ``[views]``.
    """
    corners = mesh.vertices[mesh.faces]
    low, high = corners.amin((0, 1)), corners.amax((0, 1))
    depths = cameras.to_camera_space(torch.cartesian_prod(*torch.stack([low, high], dim=1)))[..., 2]
    # In most views the whole box lies between the planes, and then nothing of what is asked for can be.
    close = ((depths.amin(-1) < cameras.near) | (depths.amax(-1) > cameras.far)).nonzero()[:, 0].tolist()
    found = {view: _problems_of_view(corners, cameras[view]) for view in close}
    for problem in _PROBLEMS_OF_VIEW:
        if views := [view for view, problems in found.items() if problem in problems]:
            what = problem.format(near=cameras.near, far=cameras.far)
            yield f"{what} in {len(views)} of {cameras.views} views, the first of them view {views[0]}."


_PROBLEMS_OF_VIEW = (
    "The camera stands inside it",
    "Parts of it are nearer than the near plane ({near:g}), and not drawn,",
    "Parts of it are farther than the far plane ({far:g}), and not drawn,",
)


def _problems_of_view(corners: Tensor, camera: Cameras) -> list[str]:
    """Those of one camera, of faces with corners ``[F, 3, 3]`` in the world."""
    is_perspective = camera.projection == "perspective"
    points = camera.to_camera_space(corners.flatten(0, 1))[0].reshape(corners.shape)
    depths = points[_may_be_seen(points, camera)][..., 2]
    in_front = depths[depths.amax(-1) > 0] if is_perspective else depths
    found = (
        is_perspective and _encloses_origin(points),
        bool((in_front < camera.near).any()),
        bool((in_front > camera.far).any()),
    )
    return [problem for problem, is_so in zip(_PROBLEMS_OF_VIEW, found, strict=True) if is_so]


def _may_be_seen(points: Tensor, camera: Cameras) -> Tensor:
    """``[F]``: which faces with corners ``[F, 3, 3]`` in camera space are not wholly beyond one side of the image."""
    height, width = camera.image_size
    depth = points[..., 2] if camera.projection == "perspective" else torch.ones_like(points[..., 2])
    intrinsics = camera.intrinsics[0]
    x = intrinsics[0, 0] * points[..., 0] + intrinsics[0, 2] * depth
    y = intrinsics[1, 1] * points[..., 1] + intrinsics[1, 2] * depth
    sides = torch.stack([x, width * depth - x, y, height * depth - y])
    return (sides >= 0).any(-1).all(0)


def _encloses_origin(corners: Tensor) -> bool:
    """Whether the surface of triangles ``[F, 3, 3]`` does; the box that holds them is looked at first."""
    low, high = corners.amin((0, 1)), corners.amax((0, 1))
    return bool((low < 0).all() and (high > 0).all()) and _winding_number(corners) > 0.5


def _winding_number(corners: Tensor) -> float:
    """How often triangles ``[F, 3, 3]`` wind round the origin: 1 inside a closed surface, 0 outside, either way turned.

    The sum of their solid angles over 4 pi (van Oosterom and Strackee, "The solid angle of a plane triangle", 1983;
    Jacobson, Kavan and Sorkine-Hornung, "Robust inside-outside segmentation", 2013).
    """
    a, b, c = corners.double().unbind(1)
    la, lb, lc = (side.norm(dim=-1) for side in (a, b, c))
    volume = torch.linalg.cross(a, b).mul(c).sum(-1)
    scale = la * lb * lc + (a * b).sum(-1) * lc + (b * c).sum(-1) * la + (c * a).sum(-1) * lb
    return abs(float(torch.atan2(volume, scale).sum())) / (2 * torch.pi)
