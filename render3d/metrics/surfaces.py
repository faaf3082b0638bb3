"""How close surfaces are."""

import dataclasses
from typing import Any, final

import numpy as np
import torch
from numpy.typing import NDArray

from render3d.cameras import Cameras, landing
from render3d.errors import ShapeError
from render3d.scenes import Mesh

# A truth is seen through buffers of depth that are filled with points: with so many, and of so many pixels along the
# longer side that a surface has no holes in them. What lies deeper than they say by less than this share of the radius
# is seen too, as a pixel holds a piece of the surface, and not a point.

_Points = NDArray[np.float64]

_HIDDEN = 0.01  # of the radius, behind what a pixel shows: depth differs by less within a pixel that faces it


@final
@dataclasses.dataclass(frozen=True, kw_only=True)
class SurfaceAccuracy:
    """How close a surface is to a true one, in shares of the radius of the true one.

    Attributes:
        chamfer: The mean distance from points of either surface to the other, not squared, the mean of both ways.
        f1_1_percent: The harmonic mean of two shares: that of the points of either surface which are nearer to the
            other than 1 % of the radius. 1 is best.
        f1_3_5_percent: The same of 3.5 % of the radius.
    """

    chamfer: float
    f1_1_percent: float
    f1_3_5_percent: float


@final
@dataclasses.dataclass(frozen=True, kw_only=True)
class SurfaceComparison:
    """What a truth says of a surface.

    Attributes:
        radius: What distances are divided by, scene units.
        whole: Against all of the true surface.
        visible: What cameras see of either surface, against all of the other; None if there were no cameras, or they
            see nothing of one of them.
    """

    radius: float
    whole: SurfaceAccuracy
    visible: SurfaceAccuracy | None


def compare_surfaces(
    found: Mesh, truth: Mesh, cameras: Cameras | None = None, *, radius: float | None = None
) -> SurfaceComparison:
    """Compare a surface with a true one: 25,000 points of each with the nearest of 250,000 points of the other.

    Points are spread evenly over the area, always the same on the same mesh. A chamfer distance of 0 is not reached, as
    points of equal surfaces are apart too: by 0.002 of the radius for a ball.

    Args:
        found: One mesh, no batch.
        truth: Another.
        cameras: ``[views]``, whose views show what is visible: a point that at least one of them has in its image, and
            which nothing of its own surface hides there. None: only the whole is compared.
        radius: Scene units that distances are divided by; by default half the diagonal of the truth's bounding box.

    Raises:
        ShapeError: A batch of meshes or of cameras, or a mesh without faces.

    Source: chamfer distance and F1 as in Tatarchenko et al., "What do single-view 3D reconstruction networks learn?",
    CVPR 2019.
    """
    if cameras is not None and cameras.batch_shape:
        raise ShapeError(f"cameras must be [views]; got {list(cameras.leading_shape)}. Index them.")
    for name, mesh in (("found", found), ("truth", truth)):
        _check_single(name, mesh)
    if radius is None:
        corners = truth.vertices[truth.faces].detach().reshape(-1, 3)
        radius = float((corners.amax(0) - corners.amin(0)).norm()) / 2
    true, ours = _points_on(truth, 25_000, seed=2), _points_on(found, 25_000, seed=3)
    missed = _distances(_tree(true), _tree(_points_on(found, 250_000, seed=5))) / radius
    wrong = _distances(_tree(ours), _tree(_points_on(truth, 250_000, seed=4))) / radius
    visible = None
    if cameras is not None:
        seen, shown = (_seen(of, mesh, cameras, radius * _HIDDEN) for of, mesh in ((true, truth), (ours, found)))
        visible = _accuracy(missed[seen], wrong[shown]) if seen.any() and shown.any() else None
    return SurfaceComparison(radius=radius, whole=_accuracy(missed, wrong), visible=visible)


def chamfer_distance(first: Mesh, second: Mesh, *, points: int = 30_000) -> float:
    """How far two surfaces are apart: the mean distance from points on either to the nearest on the other.

    The mean of both ways, not squared, in scene units. The points are spread evenly over the area, always the same on
    the same mesh; so equal surfaces with other triangles are still as far apart as points are from their neighbours.

    Args:
        first: One mesh, no batch.
        second: Another.
        points: On each of them.

    Raises:
        ShapeError: A batch, or a mesh without faces.
    """
    for name, mesh in (("first", first), ("second", second)):
        _check_single(name, mesh)
    a, b = (_tree(_points_on(mesh, points)) for mesh in (first, second))
    return float(_distances(a, b).mean() + _distances(b, a).mean()) / 2


def _check_single(name: str, mesh: Mesh) -> None:
    if mesh.batch_shape:
        raise ShapeError(f"{name} must be one mesh; got a batch of shape {list(mesh.batch_shape)}. Index it.")
    if not len(mesh.faces):
        raise ShapeError(f"{name} must be a surface; got a mesh without faces.")


def _accuracy(missed: NDArray[Any], wrong: NDArray[Any]) -> SurfaceAccuracy:
    """The accuracy by distances of points of the truth, and of points of what was found, shares of the radius."""

    def f1(threshold: float) -> float:
        recall, precision = (float((each < threshold).mean()) for each in (missed, wrong))
        return 2 * recall * precision / max(recall + precision, 1e-12)

    chamfer = float(missed.mean() + wrong.mean()) / 2
    return SurfaceAccuracy(chamfer=chamfer, f1_1_percent=f1(0.01), f1_3_5_percent=f1(0.035))


def _distances(start: Any, to: Any) -> NDArray[Any]:
    """From each point of one tree to the nearest of another, ``[N]``."""
    distances = np.empty(start.n)
    distances[start.indices] = to.query(start.data[start.indices])[0]  # neighbours soon after each other are quicker
    return distances


def _tree(points: _Points) -> Any:
    from scipy.spatial import cKDTree

    # Nodes of equal shapes are searched sooner than those of equal counts.
    return cKDTree(points, balanced_tree=False, compact_nodes=False)


def _points_on(mesh: Mesh, count: int, seed: int = 0) -> _Points:
    import trimesh

    arrays = mesh.vertices.detach().cpu().numpy(), mesh.faces.cpu().numpy()
    surface = trimesh.Trimesh(*arrays, process=False)
    points: _Points = trimesh.sample.sample_surface(surface, count, seed=seed)[0]
    return points


def _seen(points: _Points, mesh: Mesh, cameras: Cameras, tolerance: float) -> NDArray[np.bool_]:
    """Which points ``[N, 3]`` of a mesh a camera sees: nothing of it is before them by more than a tolerance."""
    from render3d.renderers import OpenGL

    cameras, places = cameras.detach().to("cpu"), torch.from_numpy(points).float()
    with torch.no_grad():
        depths = OpenGL()(mesh.detach().to("cpu"), cameras, ("depth",)).depth
    seen = torch.zeros(len(points), dtype=torch.bool)
    for number, depth in enumerate(depths.flatten(1)):
        of, pixel, distance = landing(cameras[number : number + 1], places)
        seen[of[(depth[pixel] > 0) & (distance < depth[pixel] + tolerance)]] = True
    return seen.numpy()
