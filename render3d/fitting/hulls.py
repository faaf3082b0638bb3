"""Hulls: the largest shape that silhouettes allow, and the smallest convex one round it."""

import math
from collections.abc import Iterator
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from render3d import renderers
from render3d.cameras import Cameras
from render3d.errors import FitError
from render3d.fitting.spheres import enclosing_sphere
from render3d.fitting.targets import focal_length, shrunk
from render3d.metrics import silhouette_iou
from render3d.scenes import Mesh
from render3d.scenes.topology import parts_of
from render3d.view_sets import ViewSet

_Floats: TypeAlias = npt.NDArray[np.float32]

_COARSE = 48  # cubes, to find the box
_LARGEST = 1024  # pixels; silhouettes of more tell a grid of this kind nothing
_ENOUGH = 8  # views, of which one may be wrong
_POINTS = 1 << 18  # at once
_SMOOTHINGS = (1.0, 0.5)  # standard deviations, cubes; the first is taken where both are as good
_WORSE = 0.01  # of the intersection over union: what fewer handles may cost
_LEAST_PART = 0.01  # of the volume of the largest, or of its area in an image


def visual_hull(views: ViewSet, *, resolution: int = 128) -> Mesh:
    """The largest shape that agrees with the silhouettes, smooth and closed.

    The visual hull (Laurentini, "The visual hull concept for silhouette-based image understanding", PAMI 1994) is where
    the signed distance to every silhouette is positive: its surface is found by marching cubes in the smallest of these
    distances, each in scene units where its point is. From eight views on it is the second smallest, so that no point
    is lost to one mask alone. Smoothing the distances a little takes away handles that only noise of the masks makes.

    What lies outside an image is not on its silhouette, unless the silhouette is cut off by the border: then nobody
    knows, and that view has no say. Parts of less than a hundredth of the largest are left out.

    Args:
        views: Views of one object.
        resolution: Cubes along the longest side of the result.

    Raises:
        FitError: Nothing is left: the silhouettes contradict one another, or the shape is thinner than a cube.
    """
    views = shrunk(views, _LARGEST)
    distances = _distances(views)
    sphere = enclosing_sphere(views)
    low, high = (torch.tensor(sphere.center) + side * 1.5 * sphere.radius for side in (-1, 1))
    # A coarse pass finds the box; what it misses at the border is caught by the margin of one cube.
    for count in (_COARSE, resolution):
        size = float((high - low).max()) / count
        shape = ((high - low) / size).ceil().int().add(1).tolist()
        field = _field(views.cameras, distances, low, size, shape)
        inside = (field > -size / 2 if count == _COARSE else field > 0).nonzero()
        if not len(inside):
            raise FitError(
                "The visual hull is empty: no point lies on the silhouette in every view. Check the poses and masks."
            )
        corner = low
        low, high = corner + size * (inside.amin(0) - 2), corner + size * (inside.amax(0) + 2)
    found = list(_surfaces(field.numpy(), size, corner))
    if not found:
        raise FitError("The visual hull is empty: the shape is thinner than a cube. Take a higher resolution.")
    return _with_fewest_handles(found, views)


def cut_off(alpha: Tensor) -> Tensor:
    """Whether the border of its image cuts each silhouette ``[views, 1, H, W]``, ``[views]``; specks do not count."""
    from scipy.ndimage import label

    found = []
    for mask in alpha[:, 0].cpu().numpy() > 0.5:
        parts, _ = label(mask)
        sizes = np.bincount(parts.reshape(-1))
        sizes[0] = 0  # what is not covered
        border = np.concatenate([parts[0], parts[-1], parts[:, 0], parts[:, -1]])
        found.append(bool((sizes[border] > _LEAST_PART * sizes.max()).any()))
    return torch.tensor(found, device=alpha.device)


def _distances(views: ViewSet) -> list[tuple[Tensor, bool]]:
    """Of each view, the distance to the edge of its silhouette ``[H, W]`` in pixels, and whether the border cuts it."""
    from scipy.ndimage import distance_transform_edt

    found = []
    for mask, is_cut in zip(views.alpha[:, 0].cpu().numpy() > 0.5, cut_off(views.alpha).tolist(), strict=True):
        inner = distance_transform_edt(mask) if not mask.all() else np.full(mask.shape, math.hypot(*mask.shape))
        outer = distance_transform_edt(~mask) if mask.any() else np.full(mask.shape, math.hypot(*mask.shape))
        # Edges lie between pixels, half a pixel from the centres of both.
        distance = np.where(mask, inner - 0.5, 0.5 - outer).astype(np.float32)
        found.append((torch.from_numpy(distance), is_cut))
    return found


def _field(
    cameras: Cameras, distances: list[tuple[Tensor, bool]], low: Tensor, size: float, shape: list[int]
) -> Tensor:
    """The distance to the hull's surface ``[X, Y, Z]``, positive inside, about that in scene units."""
    cameras = cameras.to("cpu")
    axes = [low[axis] + size * torch.arange(shape[axis]) for axis in range(3)]
    points = torch.cartesian_prod(*axes)
    found = [_least(cameras, distances, block) for block in points.tensor_split(-(-len(points) // _POINTS))]
    return torch.cat(found).reshape(shape)


def _least(cameras: Cameras, distances: list[tuple[Tensor, bool]], points: Tensor) -> Tensor:
    """The smallest distance over the views, ``[N]``; of many views, the second smallest."""
    least = second = torch.full((len(points),), torch.inf)
    scale = focal_length(cameras)
    for view, (distance, is_cut) in enumerate(distances):
        seen = cameras[view : view + 1].to_camera_space(points)
        at = cameras[view : view + 1].to_pixels(seen)[0]
        height, width = distance.shape
        grid = (2 * at / torch.tensor([width, height]) - 1)[None, None]
        image = distance[None, None]
        pixels = torch.nn.functional.grid_sample(image, grid, padding_mode="border", align_corners=False)[0, 0, 0]
        depth = seen[0, :, 2]
        outside = ~((grid[0, 0].abs() <= 1).all(-1) & (depth > 0))
        unit = depth if cameras.projection == "perspective" else torch.ones_like(depth)
        value = (pixels * unit / scale[view]).where(~outside | (depth > 0), -torch.inf)
        value = value.where(~outside, torch.inf if is_cut else value.clamp(max=-1e-6))
        second = torch.minimum(second, torch.maximum(least, value))
        least = torch.minimum(least, value)
    return second if len(distances) >= _ENOUGH else least


def _surfaces(field: _Floats, size: float, corner: Tensor) -> Iterator[Mesh]:
    """The surface of each smoothing, but for those of which nothing remains."""
    from scipy.ndimage import gaussian_filter
    from skimage.measure import marching_cubes

    limit = 4 * size  # what is farther from the surface does not count to it; infinities would spoil the smoothing
    padded = np.pad(field.clip(-limit, limit), 1, constant_values=-limit)
    for smoothing in _SMOOTHINGS:
        smooth = gaussian_filter(padded, smoothing)
        if smooth.max() <= 0:
            continue
        vertices, faces, _, _ = marching_cubes(smooth, 0.0)  # type: ignore[no-untyped-call]
        places = torch.from_numpy((vertices - 1).astype(np.float32)) * size + corner
        mesh = _without_small_parts(Mesh(places, torch.from_numpy(faces[:, ::-1].astype(np.int64))))
        if mesh is not None:
            yield mesh


def volumes_of_parts(mesh: Mesh) -> tuple[Tensor, Tensor]:
    """``[F]``: the part of each face; and ``[parts]`` float64: what each part encloses, below zero inside out."""
    of_face, parts = parts_of(mesh.faces, len(mesh.vertices))
    a, b, c = (mesh.vertices - mesh.vertices.mean(0))[mesh.faces].double().unbind(1)
    sixfold = (a * torch.linalg.cross(b, c)).sum(-1)
    return of_face, torch.zeros(parts, dtype=torch.float64).to(sixfold).index_add(0, of_face, sixfold) / 6


def _without_small_parts(mesh: Mesh) -> Mesh | None:
    """The mesh without parts that hold little, or that are the walls of bubbles."""
    of_face, volume = volumes_of_parts(mesh)
    kept = (volume > _LEAST_PART * volume.max())[of_face] & (volume > 0)[of_face]
    if not bool(kept.any()):
        return None
    used, faces = torch.unique(mesh.faces[kept], return_inverse=True)
    return Mesh(mesh.vertices[used], faces)


def _with_fewest_handles(meshes: list[Mesh], views: ViewSet) -> Mesh:
    """Of meshes that agree with the views about as well, the first of the fewest handles."""
    if len(meshes) == 1:
        return meshes[0]
    small = shrunk(views, 256).to("cpu")
    renderer = renderers.OpenGL()
    agreement = [
        float(silhouette_iou(renderer(mesh, small.cameras, ("alpha",)).alpha, small.alpha).mean()) for mesh in meshes
    ]
    good = [mesh for mesh, iou in zip(meshes, agreement, strict=True) if iou >= max(agreement) - _WORSE]
    return min(good, key=lambda mesh: -_euler_number(mesh))


def _euler_number(mesh: Mesh) -> int:
    return len(mesh.vertices) - len(mesh.faces) // 2  # of a closed surface, which has 3 edges for 2 faces


def convex_hull(mesh: Mesh) -> Mesh:
    """The convex hull of the vertices of one mesh."""
    import trimesh

    hull = trimesh.convex.convex_hull(mesh.vertices.detach().cpu().double().numpy())
    return Mesh(torch.tensor(hull.vertices, dtype=torch.float32), torch.tensor(hull.faces))
