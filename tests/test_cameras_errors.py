"""Every message of a camera that cannot be, or cannot be used so."""

import math
from typing import Any

import pytest
import torch

from render3d.cameras import Cameras
from render3d.errors import CameraError, DeviceError, ShapeError


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"world_to_camera": torch.eye(3)}, ShapeError, r"world_to_camera must have shape \[\*views, 4, 4\]"),
        ({"intrinsics": torch.eye(4)}, ShapeError, r"intrinsics must have shape \[\*views, 3, 3\]"),
        (
            {"intrinsics": torch.eye(3).expand(2, 3, 3)},
            ShapeError,
            "world_to_camera .* and intrinsics .* not broadcast",
        ),
        ({"intrinsics": torch.eye(3, dtype=torch.float64)}, CameraError, "one floating-point dtype; got torch.float32"),
        ({"intrinsics": torch.eye(3, device="meta")}, DeviceError, "world_to_camera on cpu, intrinsics on meta"),
        ({"image_size": (0, 5)}, CameraError, r"image_size must be .* at least one pixel each; got \(0, 5\)"),
        ({"image_size": (2.5, 5)}, CameraError, r"image_size must be .*; got \(2.5, 5\)"),
        ({"near": 3.0, "far": 3.0}, CameraError, "near must be less than far, both finite; got near=3.0, far=3.0"),
        ({"far": math.inf}, CameraError, "near must be less than far, both finite"),
        ({"near": math.nan}, CameraError, "near must be less than far, both finite"),
        ({"near": 0.0}, CameraError, "near must be positive for a perspective camera; got near=0.0"),
        ({"projection": "fisheye"}, CameraError, "'perspective' or 'orthographic'; got 'fisheye'"),
        ({"intrinsics": torch.eye(3) * math.nan}, CameraError, "must be finite; got NaN or infinite values"),
        ({"intrinsics": torch.diag(torch.tensor([1.0, -1, 1]))}, CameraError, "positive focal lengths"),
        ({"intrinsics": torch.eye(3) * 2}, CameraError, "got skew or a scaled last row"),
        ({"intrinsics": torch.tensor([[1.0, 0.1, 0], [0, 1, 0], [0, 0, 1]])}, CameraError, "got skew .* Undistort"),
    ],
)
def test_cameras_that_no_image_could_come_from(changes: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        Cameras(
            **{
                "world_to_camera": torch.eye(4).expand(3, 4, 4),
                "intrinsics": torch.eye(3),
                "image_size": (4, 5),
                **changes,
            }
        )


def test_integers_are_no_poses() -> None:
    with pytest.raises(CameraError, match=r"one floating-point dtype; got torch.int64 and torch.int64"):
        Cameras(torch.eye(4).long(), torch.eye(3).long(), (4, 5))


def test_orthographic_cameras_may_begin_behind_themselves() -> None:
    assert Cameras(torch.eye(4), torch.eye(3), (4, 5), near=-1.0, projection="orthographic").near == -1.0


def test_messages_of_construction() -> None:
    with pytest.raises(CameraError, match="position must differ from target"):
        Cameras.look_at((0.0, 0.0, 0.0))
    for fov in (0.0, 180.0):
        with pytest.raises(CameraError, match=f"vertical_fov_degrees must lie between 0 and 180; got {fov}"):
            Cameras.look_at((0.0, 0.0, 1.0), vertical_fov_degrees=fov)
    for build in (Cameras.orbit, Cameras.sphere):
        with pytest.raises(CameraError, match="views must be at least 1; got 0"):
            build(0, 2.0)
    with pytest.raises(ShapeError, match=r"A position or direction must have shape \[..., 3\]; got \[2\]"):
        Cameras.look_at((0.0, 1.0))
    with pytest.raises(CameraError, match="up must have a length"):
        Cameras.look_at((0.0, 0.0, 1.0), up=(0.0, 0.0, 0.0))
    for height in (0.0, -1.0, math.inf):
        with pytest.raises(CameraError, match=f"visible_height must be positive and finite; got {height}"):
            Cameras.orbit(2, 2.0).to_orthographic(height)


def test_messages_of_points_and_twists() -> None:
    cameras = Cameras.orbit(3, 2.0)
    with pytest.raises(ShapeError, match=r"points must have shape \[\*batch, N, 3\]; got \[4, 2\]"):
        cameras.project(torch.zeros(4, 2))
    with pytest.raises(ShapeError, match=r"points has batch shape \[2\] and cameras has batch shape \[4\]"):
        cameras.retract(torch.zeros(4, 3, 6)).project(torch.zeros(2, 5, 3))
    with pytest.raises(DeviceError, match="points on meta, cameras on cpu"):
        cameras.project(torch.zeros(4, 3, device="meta"))
    with pytest.raises(DeviceError, match="twist on meta, cameras on cpu"):
        cameras.retract(torch.zeros(3, 6, device="meta"))
    with pytest.raises(ShapeError, match=r"twist must have shape \[\*views, 6\]; got \[7\]"):
        cameras.retract(torch.zeros(7))
    with pytest.raises(ShapeError, match=r"twist has batch shape \[2\] and cameras has batch shape \[3\]"):
        cameras.retract(torch.zeros(2, 6))
