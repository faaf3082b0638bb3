"""Kaolin: OpenGL axes, world to camera; focal lengths in pixels, principal point from the image's centre, y up."""

from typing import NamedTuple

from torch import Tensor

from render3d.batches import check_shape
from render3d.cameras import Cameras, check_rigid
from render3d.conventions.common import OPENGL_AXES, check_perspective, intrinsics_matrix, pinhole
from render3d.precision import without_autocast


class KaolinCameras(NamedTuple):
    """Cameras as Kaolin has them, with pinhole intrinsics.

    Attributes:
        view_matrix: ``[*batch, views, 4, 4]`` float, world to camera in OpenGL axes, for column vectors.
        focal_x: ``[*batch, views]`` float, pixels.
        focal_y: ``[*batch, views]`` float, pixels.
        x0: ``[*batch, views]`` float, pixels to the right from the centre of the image.
        y0: ``[*batch, views]`` float, pixels up from the centre of the image.
        image_size: ``(height, width)`` in pixels.
        near: Nearest visible depth, scene units.
        far: Farthest visible depth, scene units.
    """

    view_matrix: Tensor
    focal_x: Tensor
    focal_y: Tensor
    x0: Tensor
    y0: Tensor
    image_size: tuple[int, int]
    near: float = 0.01
    far: float = 100.0


@without_autocast
def to_kaolin(cameras: Cameras) -> KaolinCameras:
    """Cameras as Kaolin has them. Differentiable.

    ``view_matrix = diag(1, -1, -1, 1) @ world_to_camera``, ``x0 = cx - W / 2``, ``y0 = H / 2 - cy``. Then
    ``x_ndc = (2 / W) (focal_x x / -z + x0)`` and ``y_ndc = (2 / H) (focal_y y / -z + y0)``.

    Kaolin has one batch dimension; flatten the others::

        c = to_kaolin(cameras)
        Camera(
            CameraExtrinsics.from_view_matrix(c.view_matrix.flatten(0, -3)),
            PinholeIntrinsics(
                width, height, torch.stack([c.x0, c.y0, c.focal_x, c.focal_y], -1).flatten(0, -2), c.near, c.far
            ),
        )

    Source: Kaolin, render/camera/intrinsics_pinhole.py and extrinsics.py.

    Raises:
        CameraError: Orthographic cameras. Kaolin's have square pixels, no principal point and a ``fov_distance`` of
            ``H / (2 fy)``.
    """
    check_perspective(cameras, system="Kaolin's pinhole intrinsics")
    fx, fy, cx, cy = pinhole(cameras)
    height, width = cameras.image_size
    view = OPENGL_AXES.to(cameras.world_to_camera) @ cameras.world_to_camera
    x0, y0 = cx - width / 2, height / 2 - cy
    return KaolinCameras(view, fx, fy, x0, y0, cameras.image_size, cameras.near, cameras.far)


@without_autocast
def from_kaolin(kaolin: KaolinCameras) -> Cameras:
    """The inverse of `to_kaolin`. Differentiable.

    Raises:
        ShapeError: A view matrix of another shape.
        CameraError: A view matrix that is not rigid.
    """
    view = check_rigid(check_shape(kaolin.view_matrix, "*views 4 4", name="view_matrix"), name="view_matrix")
    height, width = kaolin.image_size
    matrix = intrinsics_matrix(kaolin.focal_x, kaolin.focal_y, width / 2 + kaolin.x0, height / 2 - kaolin.y0)
    return Cameras(OPENGL_AXES.to(view) @ view, matrix, kaolin.image_size, kaolin.near, kaolin.far)
