"""OpenGL, glTF, pyrender and trimesh: x right, y up, z backward; poses are camera to world."""

from typing import NamedTuple

import torch
from torch import Tensor

from render3d.batches import check_shape
from render3d.cameras import Cameras, Projection
from render3d.conventions.common import OPENGL_AXES, intrinsics_matrix, invert_rigid, matrix_of_rows, pinhole
from render3d.errors import CameraError
from render3d.precision import without_autocast


class OpenGLCameras(NamedTuple):
    """Cameras as OpenGL, glTF, pyrender and trimesh have them.

    Attributes:
        camera_to_world: ``[*batch, views, 4, 4]`` float: the matrix of the node in glTF, the pose in pyrender,
            ``camera_transform`` in trimesh. Its columns are right, up, backward and the position.
        projection_matrix: ``[*batch, views, 4, 4]`` float, as `opengl_projection` gives it.
        image_size: ``(height, width)`` in pixels.
        near: The distance in scene units that ``projection_matrix`` takes to -1.
        far: The distance that it takes to 1.
    """

    camera_to_world: Tensor
    projection_matrix: Tensor
    image_size: tuple[int, int]
    near: float
    far: float


@without_autocast
def to_opengl(cameras: Cameras) -> OpenGLCameras:
    """Cameras as OpenGL, glTF, pyrender and trimesh have them.

    ``camera_to_world = inverse(world_to_camera) @ diag(1, -1, -1, 1)``. Differentiable in pose and intrinsics.

    pyrender takes ``camera_to_world`` as the pose, and fx, fy, cx, cy of ``cameras.intrinsics`` in its
    ``IntrinsicsCamera`` as they are: it, too, has the origin at the corner of the image. glTF has
    ``yfov = 2 atan(1 / P11)`` or, for orthographic cameras, ``xmag = 1 / P00`` and ``ymag = 1 / P11``, half the extent
    each; it knows centred principal points only.

    Source: glTF 2.0 specification, section "Cameras"; pyrender, camera.py.
    """
    axes = OPENGL_AXES.to(cameras.world_to_camera)
    matrix = opengl_projection(cameras)
    return OpenGLCameras(cameras.camera_to_world @ axes, matrix, cameras.image_size, cameras.near, cameras.far)


@without_autocast
def from_opengl(opengl: OpenGLCameras) -> Cameras:
    """The inverse of `to_opengl`. Differentiable in both matrices.

    Raises:
        ShapeError: Matrices of another shape.
        CameraError: A pose that is not rigid, or a projection matrix that `opengl_projection` never gives: with skew,
            transposed, of another near or far, of infinite or reversed depth, or perspective in some views only.
    """
    matrix = check_shape(opengl.projection_matrix, "*views 4 4", name="projection_matrix")
    orthographic = bool((matrix[..., 3, 3] != 0).all())
    offset_x, offset_y = (matrix[..., :2, 3] if orthographic else -matrix[..., :2, 2]).unbind(-1)
    intrinsics = intrinsics_of_ndc(matrix[..., 0, 0], matrix[..., 1, 1], offset_x, offset_y, opengl.image_size)
    pose = OPENGL_AXES.to(matrix) @ invert_rigid(opengl.camera_to_world, name="camera_to_world")
    projection: Projection = "orthographic" if orthographic else "perspective"
    cameras = Cameras(pose, intrinsics, opengl.image_size, opengl.near, opengl.far, projection)
    check_same_clip_space(matrix, opengl_projection(cameras), name="projection_matrix")
    return cameras


def intrinsics_of_ndc(
    scale_x: Tensor, scale_y: Tensor, offset_x: Tensor, offset_y: Tensor, image_size: tuple[int, int]
) -> Tensor:
    """``[..., 3, 3]`` in pixels, of focal lengths and principal point ``[...]`` with x right and y up, -1 to 1."""
    height, width = image_size
    return intrinsics_matrix(
        scale_x * (width / 2), scale_y * (height / 2), (1 + offset_x) * (width / 2), (1 - offset_y) * (height / 2)
    )


def opengl_projection(cameras: Cameras) -> Tensor:
    """The matrices ``[*batch, views, 4, 4]`` from camera space in OpenGL axes to clip space, for column vectors.

    With n and f for near and far, W and H for the width and height of the image, they have the rows

    * perspective: ``[2 fx / W, 0, 1 - 2 cx / W, 0]``, ``[0, 2 fy / H, 2 cy / H - 1, 0]``,
      ``[0, 0, -(f + n) / (f - n), -2 f n / (f - n)]``, ``[0, 0, -1, 0]``;
    * orthographic: ``[2 fx / W, 0, 0, 2 cx / W - 1]``, ``[0, 2 fy / H, 0, 1 - 2 cy / H]``,
      ``[0, 0, -2 / (f - n), -(f + n) / (f - n)]``, ``[0, 0, 0, 1]``.

    In the normalised coordinates that result x is right, y is up, depth runs from -1 at near to 1 at far, and the top
    edge of the image is at y = 1. Differentiable in the intrinsics.
    """
    fx, fy, cx, cy = pinhole(cameras)
    (height, width), near, far = cameras.image_size, cameras.near, cameras.far
    zero, one = torch.zeros_like(fx), torch.ones_like(fx)
    scale_x, scale_y = 2 * fx / width, 2 * fy / height
    offset_x, offset_y = 2 * cx / width - 1, 1 - 2 * cy / height
    middle, extent = (far + near) / (far - near), 2 / (far - near)
    if cameras.projection == "orthographic":
        right, up = [scale_x, zero, zero, offset_x], [zero, scale_y, zero, offset_y]
        return matrix_of_rows([right, up, [zero, zero, -extent * one, -middle * one], [zero, zero, zero, one]])
    right, up = [scale_x, zero, -offset_x, zero], [zero, scale_y, -offset_y, zero]
    depth = [zero, zero, -middle * one, -extent * far * near * one]
    return matrix_of_rows([right, up, depth, [zero, zero, -one, zero]])


def opengl_depth(ndc_depth: Tensor, cameras: Cameras) -> Tensor:
    """Depth along the camera's z axis, in scene units, of normalised depths of any shape, -1 (near) to 1 (far).

    Perspective: ``2 n f / (f + n - d (f - n))``; orthographic: ``(d (f - n) + f + n) / 2``, both the inverse of the
    third row of `opengl_projection`. A depth buffer holds ``(d + 1) / 2``. Differentiable.
    """
    near, far = cameras.near, cameras.far
    if cameras.projection == "orthographic":
        return (ndc_depth * (far - near) + (far + near)) / 2
    return 2 * near * far / (far + near - ndc_depth * (far - near))


def check_same_clip_space(given: Tensor, expected: Tensor, *, name: str) -> None:
    """Raise `CameraError` unless a matrix from outside is the one that its own cameras give."""
    if not bool(((given - expected).detach().abs() <= 1e-5 * given.detach().abs().max()).all()):
        raise CameraError(
            f"{name} must act on column vectors, without skew, and take the given near and far to -1 and 1, in all "
            f"views alike; got\n{given.detach().flatten(0, -3)[0]}\nwhere\n{expected.detach().flatten(0, -3)[0]}\nwas "
            "expected in the first view. Transpose it if it acts on rows, and give the near and far it was made with."
        )
