"""PyTorch3D: x left, y up, z forward; poses act on row vectors; the shorter side of the image spans -1 to 1."""

from typing import NamedTuple

import torch
from torch import Tensor

from render3d.batches import check_shape
from render3d.cameras import Cameras, Projection, check_rigid, rigid
from render3d.conventions.common import LEFT_UP_AXES, intrinsics_matrix, pinhole
from render3d.precision import without_autocast


class PyTorch3DCameras(NamedTuple):
    """Cameras as PyTorch3D has them, in NDC.

    Attributes:
        R: ``[*batch, views, 3, 3]`` float, for row vectors: ``p_camera = p_world @ R + T``.
        T: ``[*batch, views, 3]`` float, scene units.
        focal_length: ``[*batch, views, 2]`` float, x and y: in units of half the shorter side, and for orthographic
            cameras those per scene unit.
        principal_point: ``[*batch, views, 2]`` float: x to the left and y up from the centre, in the same unit.
        image_size: ``(height, width)`` in pixels.
        projection: ``"perspective"`` for ``PerspectiveCameras``, ``"orthographic"`` for ``OrthographicCameras``.
        near: Nearest visible depth, scene units. These classes have none; it is carried along.
        far: Farthest visible depth, likewise.
    """

    R: Tensor
    T: Tensor
    focal_length: Tensor
    principal_point: Tensor
    image_size: tuple[int, int]
    projection: Projection = "perspective"
    near: float = 0.01
    far: float = 100.0


@without_autocast
def to_pytorch3d(cameras: Cameras) -> PyTorch3DCameras:
    """Cameras as PyTorch3D has them. Differentiable.

    With E the rows of ``world_to_camera`` and M = diag(-1, -1, 1): ``R = (M E_rotation)^T``, ``T = M E_translation``.
    With ``s = min(W, H) / 2``: ``focal_length = (fx, fy) / s`` and ``principal_point = -((cx, cy) - (W, H) / 2) / s``.

    PyTorch3D has one batch dimension; flatten the others::

        c = to_pytorch3d(cameras)
        PerspectiveCameras(                    # or OrthographicCameras
            R=c.R.flatten(0, -3), T=c.T.flatten(0, -2),
            focal_length=c.focal_length.flatten(0, -2), principal_point=c.principal_point.flatten(0, -2),
            in_ndc=True,
        )

    and rasterise with ``image_size=(height, width)``. Its own ``cameras_from_opencv_projection`` does the same with an
    intrinsic matrix of corner origin, such as ``cameras.intrinsics``; it adds no half pixel to one of integer centres.

    Source: PyTorch3D, docs/notes/cameras.md and renderer/camera_conversions.py.
    """
    axes = LEFT_UP_AXES.to(cameras.world_to_camera)
    pose = axes @ cameras.world_to_camera
    center, unit = _screen(cameras.image_size, pose)
    fx, fy, cx, cy = pinhole(cameras)
    focal, point = torch.stack([fx, fy], dim=-1) / unit, (center - torch.stack([cx, cy], dim=-1)) / unit
    kind = (cameras.image_size, cameras.projection, cameras.near, cameras.far)
    return PyTorch3DCameras(pose[..., :3, :3].mT, pose[..., :3, 3], focal, point, *kind)


@without_autocast
def from_pytorch3d(pytorch3d: PyTorch3DCameras) -> Cameras:
    """The inverse of `to_pytorch3d`. Differentiable.

    ``FoVPerspectiveCameras`` have ``focal_length = 1 / tan(fov / 2)`` in both components: their field of view spans the
    shorter side.

    Raises:
        ShapeError: Tensors of another shape.
        CameraError: An R that is no rotation.
    """
    check_shape(pytorch3d.R, "*views 3 3", name="R")
    check_shape(pytorch3d.T, "*views 3", name="T")
    focal = check_shape(pytorch3d.focal_length, "*views 2", name="focal_length")
    point = check_shape(pytorch3d.principal_point, "*views 2", name="principal_point")
    pose = check_rigid(rigid(pytorch3d.R.mT, pytorch3d.T), name="R")
    center, unit = _screen(pytorch3d.image_size, pose)
    focal, point = focal * unit, center - point * unit
    matrix = intrinsics_matrix(*focal.unbind(-1), *point.unbind(-1))
    rest = (pytorch3d.image_size, pytorch3d.near, pytorch3d.far, pytorch3d.projection)
    return Cameras(LEFT_UP_AXES.to(pose) @ pose, matrix, *rest)


def _screen(image_size: tuple[int, int], like: Tensor) -> tuple[Tensor, float]:
    """The centre of the image and half its shorter side, in pixels."""
    height, width = image_size
    return torch.tensor([width / 2, height / 2]).to(like), min(height, width) / 2
