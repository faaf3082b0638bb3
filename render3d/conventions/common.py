"""What the converters share: axes, intrinsics, and the checks of what comes from outside."""

import torch
from torch import Tensor

from render3d.cameras import Cameras, check_rigid, rigid
from render3d.errors import CameraError
from render3d.precision import without_autocast

OPENGL_AXES = torch.diag(torch.tensor([1.0, -1.0, -1.0, 1.0]))
"""From x right, y down, z forward to x right, y up, z backward; it is its own inverse."""

LEFT_UP_AXES = torch.diag(torch.tensor([-1.0, -1.0, 1.0, 1.0]))
"""From x right, y down, z forward to x left, y up, z forward (PyTorch3D, Mitsuba); it is its own inverse."""


def pinhole(cameras: Cameras) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Focal lengths fx and fy and principal point cx and cy, ``[*batch, views]`` each: pixels, corner origin.

    Focal lengths of orthographic cameras are pixels per scene unit.
    """
    matrix = cameras.intrinsics
    return matrix[..., 0, 0], matrix[..., 1, 1], matrix[..., 0, 2], matrix[..., 1, 2]


def intrinsics_matrix(focal_x: Tensor, focal_y: Tensor, center_x: Tensor, center_y: Tensor) -> Tensor:
    """``[..., 3, 3]`` of four tensors ``[...]``: pixels, corner origin."""
    zero, one = torch.zeros_like(focal_x), torch.ones_like(focal_x)
    return matrix_of_rows([[focal_x, zero, center_x], [zero, focal_y, center_y], [zero, zero, one]])


def matrix_of_rows(rows: list[list[Tensor]]) -> Tensor:
    """The matrices ``[..., R, C]`` of R rows of C entries, each ``[...]``."""
    return torch.stack([torch.stack(row, dim=-1) for row in rows], dim=-2)


@without_autocast
def invert_rigid(matrix: Tensor, *, name: str) -> Tensor:
    """The inverse of matrices ``[..., 4, 4]`` that came from outside: a `CameraError` unless they are rigid."""
    check_rigid(matrix, name=name)
    rotation = matrix[..., :3, :3].mT
    return rigid(rotation, -(rotation @ matrix[..., :3, 3:])[..., 0])


def check_perspective(cameras: Cameras, *, system: str) -> None:
    """Raise `CameraError` for orthographic cameras."""
    if cameras.projection != "perspective":
        raise CameraError(
            f"Only perspective cameras convert to {system}; got orthographic ones. to_opengl, to_pytorch3d, "
            "to_mitsuba and to_nvdiffrast take both."
        )


def nearly_equal(first: Tensor, second: Tensor | float) -> bool:
    """Whether all values agree to a hundred roundings."""
    second = torch.as_tensor(second).to(first)
    rounding = 100 * torch.finfo(first.dtype).eps
    return bool(torch.isclose(first.detach(), second.detach(), rtol=rounding, atol=rounding).all())
