"""Metrics: how close images are, and surfaces. Nothing here is differentiable."""

from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor

from render3d.errors import ShapeError
from render3d.scenes import Mesh


def silhouette_iou(first: Tensor, second: Tensor, *, threshold: float = 0.5) -> Tensor:
    """Intersection over union of two silhouettes, one number an image.

    Args:
        first: Coverage ``[..., 1, H, W]``, 0-1, such as `render3d.Rendering.alpha`.
        second: The same; leading dimensions broadcast.
        threshold: Coverage above which a pixel counts as covered.

    Returns:
        ``[...]`` float32, 0-1. Two empty silhouettes agree: 1.

    Raises:
        ShapeError: The images differ in size.
    """
    a, b = _covered(first, second, threshold)
    intersection = (a & b).sum((-1, -2, -3))
    union = (a | b).sum((-1, -2, -3))
    return (intersection / union.clamp(min=1)).where(union > 0, 1.0)


def psnr(first: Tensor, second: Tensor, *, where: Tensor | None = None) -> Tensor:
    """Peak signal-to-noise ratio of two images whose white is 1, in decibels: ``-10 log10`` of the mean square.

    Images are compared as they are; published figures are those of sRGB (`render3d.color.linear_to_srgb`, clamped).

    Args:
        first: ``[..., C, H, W]``.
        second: The same; leading dimensions broadcast.
        where: ``[..., 1, H, W]`` bool: the pixels that count; by default all.

    Returns:
        ``[...]``; infinite where the images are equal, NaN where no pixel counts.

    Raises:
        ShapeError: The images differ in size.
    """
    if first.shape[-3:] != second.shape[-3:]:
        raise ShapeError(f"Images must be of one size; got {list(first.shape)} and {list(second.shape)}.")
    squares = (first - second).square().mean(-3, keepdim=True)
    counts = torch.ones_like(squares) if where is None else where.to(squares).expand_as(squares)
    return -10 * ((squares * counts).sum((-1, -2, -3)) / counts.sum((-1, -2, -3))).log10()


def silhouette_disagreement(first: Tensor, second: Tensor, *, threshold: float = 0.5) -> Tensor:
    """The share of pixels that one silhouette covers and the other does not, ``[...]``; else as `silhouette_iou`."""
    a, b = _covered(first, second, threshold)
    return (a ^ b).float().mean((-1, -2, -3))


def chamfer_distance(first: Mesh, second: Mesh, *, points: int = 30_000) -> float:
    """How far two surfaces are apart: the mean distance from points on either to the nearest on the other.

    The mean of both ways, not squared, in scene units. The points are spread evenly over the area, always the same on
    the same mesh; so equal surfaces with other triangles are still as far apart as points are from their neighbours.

    Args:
        first: One mesh, no batch.
        second: Another.
        points: On each of them.

    Raises:
        ShapeError: A batch.
    """
    for name, mesh in (("first", first), ("second", second)):
        if mesh.batch_shape:
            raise ShapeError(f"{name} must be one mesh; got a batch of shape {list(mesh.batch_shape)}. Index it.")
    from scipy.spatial import cKDTree

    # Nodes of equal shapes are searched sooner than those of equal counts, and neighbours soon after each other.
    trees = [cKDTree(_points_on(mesh, points), balanced_tree=False, compact_nodes=False) for mesh in (first, second)]
    there, back = (float(to.query(start.data[start.indices])[0].mean()) for start, to in (trees, trees[::-1]))
    return (there + back) / 2


def _points_on(mesh: Mesh, count: int) -> NDArray[Any]:
    import trimesh

    arrays = mesh.vertices.detach().cpu().numpy(), mesh.faces.cpu().numpy()
    surface = trimesh.Trimesh(*arrays, process=False)
    points: NDArray[Any] = trimesh.sample.sample_surface(surface, count, seed=0)[0]
    return points


def _covered(first: Tensor, second: Tensor, threshold: float) -> tuple[Tensor, Tensor]:
    if first.shape[-3:] != second.shape[-3:] or first.shape[-3:-2] != (1,):
        raise ShapeError(
            f"Silhouettes must be [..., 1, H, W] of one size; got {list(first.shape)} and {list(second.shape)}."
        )
    return first > threshold, second > threshold
