"""R2N2: the renderings of ShapeNet models by Choy et al., and the rows of their ``rendering_metadata.txt``.

What is known: the renderer, ``lib/blender_renderer.py`` of the 3D-R2N2 code, puts the camera at ``1.75 * distance
ratio`` from the origin and looks at it; Blender's OBJ importer turns the model by 90 degrees about X, which is undone
here, so that the world is the frame of the ShapeNet file (+Y up). The renderer never uses the row's field of view.

What is assumed, as PyTorch3D's and Mesh R-CNN's loaders of these images do: Blender's default lens of 35 mm on a sensor
of 32 mm, square pixels and a centred principal point. The images are 137 x 137.
"""

import torch
from torch import Tensor

from render3d.batches import check_shape
from render3d.cameras import Cameras, rigid
from render3d.conventions.common import check_perspective, intrinsics_matrix, nearly_equal, pinhole
from render3d.errors import CameraError

_SIZE = 137
_FOCAL = 35 / 32 * _SIZE
_LARGEST_DISTANCE = 1.75
_UNUSED_FOV = 25.0


def to_r2n2(cameras: Cameras) -> Tensor:
    """Rows ``[*batch, views, 5]`` as in ``rendering_metadata.txt``; the inverse of `from_r2n2`.

    Azimuths are in [0, 360), in-plane angles in (-180, 180], and the field of view is the 25 that all rows have.
    Differentiable.

    Raises:
        CameraError: Cameras that are not those of R2N2 images: orthographic, of another size or focal length, or not
            looking at the origin.
    """
    check_perspective(cameras, system="R2N2 metadata")
    fx, fy, cx, cy = pinhole(cameras)
    centred = nearly_equal(cx, _SIZE / 2) and nearly_equal(cy, _SIZE / 2)
    if cameras.image_size != (_SIZE, _SIZE) or not (nearly_equal(fx, _FOCAL) and nearly_equal(fy, _FOCAL) and centred):
        raise CameraError(
            f"R2N2 images are {_SIZE} x {_SIZE} with a focal length of {_FOCAL:.4f} pixels and a centred principal "
            f"point; got image_size {cameras.image_size} and other intrinsics. Try cameras.resize({_SIZE}, {_SIZE})."
        )
    distance = cameras.translation[..., 2]
    if not nearly_equal(cameras.translation[..., :2] / distance[..., None], 0.0) or not bool((distance > 0).all()):
        raise CameraError("R2N2 cameras look at the origin: cameras.translation must be (0, 0, distance).")
    x, y, z = (-cameras.rotation[..., 2, :]).unbind(-1)
    azimuth, elevation = torch.atan2(z, x), torch.atan2(y, torch.hypot(x, z))
    level_right, level_down, _ = _level_axes(azimuth, elevation)
    right = cameras.rotation[..., 0, :]
    in_plane = torch.atan2((right * level_down).sum(-1), (right * level_right).sum(-1))
    columns = [torch.rad2deg(azimuth) % 360, torch.rad2deg(elevation), torch.rad2deg(in_plane)]
    return torch.stack([*columns, distance / _LARGEST_DISTANCE, torch.full_like(distance, _UNUSED_FOV)], dim=-1)


def from_r2n2(rows: Tensor) -> Cameras:
    """Cameras of R2N2 images from rows of ``rendering_metadata.txt``. Differentiable.

    Args:
        rows: ``[*batch, views, 5]`` float: azimuth, elevation and in-plane angle in degrees, the distance as a share of
            1.75 scene units, and a field of view that is ignored.

    With a and e for azimuth and elevation the camera stands at ``1.75 ratio (cos e cos a, sin e, cos e sin a)`` in the
    frame of the model's file; then it is turned about its line of sight, the image anticlockwise for a positive
    in-plane angle. The focal length is ``35 / 32 * 137`` pixels; near and far are the defaults of `Cameras`.

    Source: Choy et al., "3D-R2N2", ECCV 2016, code; Gkioxari et al., "Mesh R-CNN", ICCV 2019, code; PyTorch3D,
    datasets/r2n2.

    Raises:
        ShapeError: Rows of another length.
        CameraError: A distance ratio that is not positive.
    """
    check_shape(rows, "*views 5", name="rows")
    azimuth, elevation, in_plane = torch.deg2rad(rows[..., :3]).unbind(-1)
    distance = rows[..., 3] * _LARGEST_DISTANCE
    if not bool((distance > 0).all()):
        raise CameraError("The distance ratio, the fourth entry of a row, must be positive.")
    right, down, forward = _level_axes(azimuth, elevation)
    cosine, sine = in_plane.cos()[..., None], in_plane.sin()[..., None]
    rotation = torch.stack([cosine * right + sine * down, cosine * down - sine * right, forward], dim=-2)
    zero, focal = torch.zeros_like(distance), torch.full_like(distance, _FOCAL)
    center = torch.full_like(distance, _SIZE / 2)
    pose = rigid(rotation, torch.stack([zero, zero, distance], dim=-1))
    return Cameras(pose, intrinsics_matrix(focal, focal, center, center), (_SIZE, _SIZE))


def _level_axes(azimuth: Tensor, elevation: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Right, down and forward, ``[..., 3]``, of a camera that looks at the origin, its horizon level."""
    zero = torch.zeros_like(azimuth)
    cos_a, sin_a, cos_e, sin_e = azimuth.cos(), azimuth.sin(), elevation.cos(), elevation.sin()
    right = torch.stack([sin_a, zero, -cos_a], dim=-1)
    down = torch.stack([sin_e * cos_a, -cos_e, sin_e * sin_a], dim=-1)
    forward = torch.stack([-cos_e * cos_a, -sin_e, -cos_e * sin_a], dim=-1)
    return right, down, forward
