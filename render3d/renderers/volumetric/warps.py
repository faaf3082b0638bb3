"""A volume as a camera sees it: resampled to a grid whose columns and rows are those of the image."""

import math
from typing import Literal

import torch
from torch import Tensor

from render3d.batches import broadcast_shapes
from render3d.cameras import Cameras
from render3d.errors import CameraError
from render3d.precision import without_autocast
from render3d.scenes import Volume
from render3d.spatial import Affine, read

Warp = Literal["affine", "frustum", "none"]


@without_autocast
def warp_to_view(volume: Volume, cameras: Cameras, planes: int, kind: Warp) -> Tensor:
    """The volume ``[*batch, views, C, planes, H, W]`` in the frame of each camera; differentiable in both.

    The planes are evenly spaced in depth, from near to far, over the ball round the volume: over as much of it as lies
    between the cameras' near and far.

    Args:
        volume: ``[*batch]``.
        cameras: ``[*batch, views]``.
        planes: How many.
        kind: ``"affine"``: a spatial transformer by the camera, exact for orthographic cameras, and for perspective
            ones as if all were as far away as the volume's centre (weak perspective). ``"frustum"``: columns of the
            grid are the rays through the pixel centres. ``"none"``: the volume in its own frame, whatever the camera.

    Raises:
        CameraError: ``"affine"``, and a perspective camera is inside the volume or has its centre behind it.
    """
    values, size = volume.values[..., None, :, :, :, :], (planes, *cameras.image_size)
    leading = broadcast_shapes(values.shape[:-4], cameras.leading_shape, names=("the volume", "cameras"))
    if kind == "none":
        own_frame = read(values, Affine.identity().to(cameras.device), size)
        return own_frame.expand(*leading, *own_frame.shape[-4:])
    if kind == "affine":
        return read(values, affine_view(volume.extent, cameras), size)
    grid = _frustum_grid(volume.extent, cameras, planes)
    flat_values, flat_grid = (part.expand(*leading, *part.shape[-4:]).flatten(0, -5) for part in (values, grid))
    sampled = torch.nn.functional.grid_sample(flat_values, flat_grid, align_corners=False)
    return sampled.reshape(*leading, *sampled.shape[1:])


def depth_range(extent: float, cameras: Cameras) -> tuple[Tensor, Tensor]:
    """Camera z where the planes begin and end, ``[*batch, views]``; the same if a camera sees nothing of the ball."""
    middle, radius = cameras.translation[..., 2], math.sqrt(3) * extent
    return (middle - radius).clamp(cameras.near, cameras.far), (middle + radius).clamp(cameras.near, cameras.far)


def affine_view(extent: float, cameras: Cameras) -> Affine:
    """Where the image, and the range of depths behind it, lie in the volume: ``[*batch, views]``."""
    near, far = depth_range(extent, cameras)
    height, width = cameras.image_size
    matrix = cameras.intrinsics
    focal = torch.stack([matrix[..., 0, 0], matrix[..., 1, 1]], dim=-1)
    per_pixel = 1 / focal
    if cameras.projection == "perspective":
        _check_outside(extent, cameras)
        per_pixel = per_pixel * cameras.translation[..., 2, None]
    half = torch.tensor([width / 2, height / 2]).to(matrix)
    scale = torch.cat([per_pixel * half, (far - near)[..., None] / 2], dim=-1)
    shift = torch.cat([per_pixel * (half - matrix[..., :2, 2]), (far + near)[..., None] / 2], dim=-1)
    # From the grid to camera space, from there to the world, and to the volume's own units.
    to_volume = cameras.rotation.mT / extent
    linear = to_volume * scale[..., None, :]
    return Affine(torch.cat([linear, to_volume @ (shift - cameras.translation)[..., None]], dim=-1))


def _check_outside(extent: float, cameras: Cameras) -> None:
    in_front = cameras.translation[..., 2].detach() > 0
    outside = cameras.position.detach().abs().amax(-1) > extent
    if not bool((in_front & outside).all()):
        raise CameraError(
            "The affine warp needs perspective cameras outside the volume, with its centre in front of them: an image "
            "from inside has no weak perspective. Use warp='frustum', or move the camera back."
        )


def _frustum_grid(extent: float, cameras: Cameras, planes: int) -> Tensor:
    """Points ``[*batch, views, planes, H, W, 3]`` in units of the volume, along the rays at even depths."""
    near, far = depth_range(extent, cameras)
    thickness = (far - near) / planes
    number = torch.arange(planes, dtype=near.dtype, device=near.device) + 0.5
    depths = near[..., None] + number * thickness[..., None]
    origins, directions = cameras.rays()
    along = (directions * cameras.rotation[..., None, None, 2, :]).sum(-1, keepdim=True)
    rays = (directions / along)[..., None, :, :, :]
    return (origins[..., None, :, :, :] + depths[..., None, None, None] * rays) / extent
