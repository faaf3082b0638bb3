"""COLMAP: the package's own axes and corner origin; rotations are quaternions."""

from typing import NamedTuple

import torch
from torch import Tensor

from render3d.batches import check_shape
from render3d.cameras import Cameras, rigid
from render3d.conventions.common import check_perspective, intrinsics_matrix, matrix_of_rows, pinhole
from render3d.errors import CameraError


class ColmapCameras(NamedTuple):
    """Cameras as COLMAP has them, of the model ``PINHOLE``.

    Attributes:
        qvec: ``[*batch, views, 4]`` float: QW, QX, QY, QZ of ``images.txt``, world to camera, unit length.
        tvec: ``[*batch, views, 3]`` float: TX, TY, TZ of ``images.txt``, scene units.
        params: ``[*batch, views, 4]`` float: fx, fy, cx, cy of ``cameras.txt``, pixels, corner origin.
        image_size: ``(height, width)`` in pixels; ``cameras.txt`` has the width first.
        near: Nearest visible depth, scene units. COLMAP has none; it is carried along.
        far: Farthest visible depth, likewise.
    """

    qvec: Tensor
    tvec: Tensor
    params: Tensor
    image_size: tuple[int, int]
    near: float = 0.01
    far: float = 100.0


def to_colmap(cameras: Cameras) -> ColmapCameras:
    """Cameras as COLMAP has them; of the two quaternions of a rotation that with QW >= 0. Differentiable.

    Source: COLMAP documentation, "Output Format"; its camera models put the centre of the first pixel at (0.5, 0.5).

    Raises:
        CameraError: Orthographic cameras.
    """
    check_perspective(cameras, system="COLMAP")
    params = torch.stack(pinhole(cameras), dim=-1)
    quaternion = _to_quaternion(cameras.rotation)
    return ColmapCameras(quaternion, cameras.translation, params, cameras.image_size, cameras.near, cameras.far)


def from_colmap(colmap: ColmapCameras) -> Cameras:
    """The inverse of `to_colmap`. Differentiable. Quaternions are normalised, as COLMAP does.

    For the model ``SIMPLE_PINHOLE`` (f, cx, cy) give f twice; undistort images of the others first
    (``colmap image_undistorter``).

    Raises:
        ShapeError: Tensors of another shape.
        CameraError: A quaternion of zeros.
    """
    quaternion = check_shape(colmap.qvec, "*views 4", name="qvec")
    check_shape(colmap.tvec, "*views 3", name="tvec")
    length = quaternion.norm(dim=-1, keepdim=True)
    if not bool((length > 0).all()):
        raise CameraError("qvec must be quaternions (w, x, y, z); got one of zeros.")
    fx, fy, cx, cy = check_shape(colmap.params, "*views 4", name="params").unbind(-1)
    pose = rigid(_to_rotation(quaternion / length), colmap.tvec)
    return Cameras(pose, intrinsics_matrix(fx, fy, cx, cy), colmap.image_size, colmap.near, colmap.far)


def _to_rotation(quaternion: Tensor) -> Tensor:
    w, x, y, z = quaternion.unbind(-1)
    return matrix_of_rows(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
        ]
    )


def _to_quaternion(rotation: Tensor) -> Tensor:
    """The unit quaternion q with w >= 0, from the matrix 4 q q^T: its longest row is the safest to normalise."""
    (xx, xy, xz), (yx, yy, yz), (zx, zy, zz) = (row.unbind(-1) for row in rotation.unbind(-2))
    products = matrix_of_rows(
        [
            [1 + xx + yy + zz, zy - yz, xz - zx, yx - xy],
            [zy - yz, 1 + xx - yy - zz, xy + yx, xz + zx],
            [xz - zx, xy + yx, 1 - xx + yy - zz, yz + zy],
            [yx - xy, xz + zx, yz + zy, 1 - xx - yy + zz],
        ]
    )
    longest = products.diagonal(dim1=-2, dim2=-1).argmax(dim=-1)
    row = torch.take_along_dim(products, longest[..., None, None], dim=-2)[..., 0, :]
    row = torch.where(row[..., :1] < 0, -row, row)
    return torch.nn.functional.normalize(row, dim=-1)
