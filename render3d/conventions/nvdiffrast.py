"""nvdiffrast: no camera, only clip space as in OpenGL; row 0 of its images is the bottom row."""

from typing import NamedTuple

import torch
from torch import Tensor

from render3d.batches import check_shape
from render3d.cameras import Cameras, Projection, check_rigid
from render3d.conventions.common import OPENGL_AXES
from render3d.conventions.opengl import check_same_clip_space, intrinsics_of_ndc, opengl_projection
from render3d.precision import without_autocast


class NvdiffrastCameras(NamedTuple):
    """Cameras as nvdiffrast's users have them: ``clip = world_to_clip @ (x, y, z, 1)``.

    Attributes:
        world_to_clip: ``[*batch, views, 4, 4]`` float, for column vectors: projection times view matrix.
        image_size: ``(height, width)`` in pixels.
        near: The distance in scene units that ends at -1 in normalised depth.
        far: The distance that ends at 1.
    """

    world_to_clip: Tensor
    image_size: tuple[int, int]
    near: float
    far: float


@without_autocast
def to_nvdiffrast(cameras: Cameras) -> NvdiffrastCameras:
    """Cameras as nvdiffrast's users have them. Differentiable.

    ``world_to_clip = P @ diag(1, -1, -1, 1) @ world_to_camera`` with the P of `opengl_projection`.

    nvdiffrast returns images with the bottom row first: flip them (``image.flip(-3)`` while channels are last). To
    negate the second row of ``world_to_clip`` instead flips them, too, but also the sense of the triangles.

    Source: nvdiffrast documentation, "Coordinate systems"; OpenGL 4.6 specification, "Coordinate Transformations".
    """
    matrix = opengl_projection(cameras) @ OPENGL_AXES.to(cameras.world_to_camera) @ cameras.world_to_camera
    return NvdiffrastCameras(matrix, cameras.image_size, cameras.near, cameras.far)


def from_nvdiffrast(nvdiffrast: NvdiffrastCameras) -> Cameras:
    """The inverse of `to_nvdiffrast`. Differentiable.

    An orthographic matrix does not tell a camera that stands sideways from a principal point that is off centre: these
    cameras come back with a centred one, and with the same images and depths.

    Raises:
        ShapeError: A matrix of another shape.
        CameraError: A matrix that is not made of a rigid pose and the projection of `opengl_projection`.
    """
    matrix = check_shape(nvdiffrast.world_to_clip, "*views 4 4", name="world_to_clip")
    near, far = nvdiffrast.near, nvdiffrast.far
    right, up, depth, forward = matrix.unbind(-2)
    orthographic = bool((forward[..., :3] == 0).all())
    if orthographic:
        forward = (depth * (far - near) + forward * (far + near)) / 2
    # What the rows of x and y have along the line of sight is the principal point; the rest is the camera's axis.
    offset_x, offset_y = ((row[..., :3] * forward[..., :3]).sum(-1) for row in (right, up))
    right, up = right - offset_x[..., None] * forward, up - offset_y[..., None] * forward
    scale_x, scale_y = right[..., :3].norm(dim=-1), up[..., :3].norm(dim=-1)
    last = torch.tensor([0.0, 0.0, 0.0, 1.0]).to(matrix).expand_as(forward)
    pose = torch.stack([right / scale_x[..., None], -up / scale_y[..., None], forward, last], dim=-2)
    check_rigid(pose, name="world_to_clip, without its projection,")
    intrinsics = intrinsics_of_ndc(scale_x, scale_y, offset_x, offset_y, nvdiffrast.image_size)
    projection: Projection = "orthographic" if orthographic else "perspective"
    cameras = Cameras(pose, intrinsics, nvdiffrast.image_size, near, far, projection)
    check_same_clip_space(matrix, to_nvdiffrast(cameras).world_to_clip, name="world_to_clip")
    return cameras
