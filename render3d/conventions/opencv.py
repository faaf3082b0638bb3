"""OpenCV and its kin: the package's own axes; pixel centres at integers, or at + 0.5."""

from typing import NamedTuple

import torch
from torch import Tensor

from render3d.batches import check_shape
from render3d.cameras import Cameras, check_rigid, rigid
from render3d.conventions.common import check_perspective


class OpenCVCameras(NamedTuple):
    """Cameras as OpenCV has them, without distortion.

    Attributes:
        camera_matrix: ``[*batch, views, 3, 3]`` float, fx, fy, cx, cy in pixels.
        rotation: ``[*batch, views, 3, 3]`` float, world to camera: what ``cv2.Rodrigues`` makes of ``rvec``.
        translation: ``[*batch, views, 3]`` float, scene units: ``tvec``.
        image_size: ``(height, width)`` in pixels; ``cv2`` itself takes (width, height).
        pixel_center: Coordinate of the centre of the first pixel: 0 where integers are centres (cv2, DRTK), 0.5 where
            the origin is the corner of the image (gsplat, COLMAP, this package).
        near: Nearest visible depth, scene units. OpenCV has none; it is carried along.
        far: Farthest visible depth, likewise.
    """

    camera_matrix: Tensor
    rotation: Tensor
    translation: Tensor
    image_size: tuple[int, int]
    pixel_center: float = 0.0
    near: float = 0.01
    far: float = 100.0


def to_opencv(cameras: Cameras, pixel_center: float = 0.0) -> OpenCVCameras:
    """Cameras as OpenCV has them; ``pixel_center`` as in `OpenCVCameras`.

    ``c = c_corner - 0.5 + pixel_center``, all else is unchanged: ``u = fx x / z + cx``. Differentiable.

    Source: OpenCV, "Camera Calibration and 3D Reconstruction"; its image functions (``undistort``, ``remap``) put pixel
    centres at integers.

    Raises:
        CameraError: Orthographic cameras.
    """
    check_perspective(cameras, system="OpenCV")
    matrix = cameras.intrinsics + _shift(pixel_center - 0.5, cameras.intrinsics)
    pose = (cameras.rotation, cameras.translation)
    return OpenCVCameras(matrix, *pose, cameras.image_size, pixel_center, cameras.near, cameras.far)


def from_opencv(opencv: OpenCVCameras) -> Cameras:
    """The inverse of `to_opencv`. Differentiable. Undistort images before: there is no place for distortion.

    Raises:
        ShapeError: Tensors of another shape.
        CameraError: A rotation that is none, or skew.
    """
    check_shape(opencv.camera_matrix, "*views 3 3", name="camera_matrix")
    check_shape(opencv.rotation, "*views 3 3", name="rotation")
    check_shape(opencv.translation, "*views 3", name="translation")
    pose = check_rigid(rigid(opencv.rotation, opencv.translation), name="rotation")
    matrix = opencv.camera_matrix + _shift(0.5 - opencv.pixel_center, opencv.camera_matrix)
    return Cameras(pose, matrix, opencv.image_size, opencv.near, opencv.far)


def _shift(pixels: float, like: Tensor) -> Tensor:
    return torch.tensor([[0, 0, pixels], [0, 0, pixels], [0, 0, 0]]).to(like)
