"""What a convention cannot express is refused, and the message says what to do."""

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest
import torch

from render3d import conventions
from render3d.cameras import Cameras
from render3d.errors import CameraError, ShapeError


@pytest.fixture
def centred() -> Cameras:
    """Cameras that every system can express."""
    return Cameras.orbit(3, 2.0, image_size=(30, 40))


@pytest.mark.parametrize("name", ["to_opencv", "to_kaolin", "to_colmap", "to_nerf", "to_nerfstudio", "to_r2n2"])
def test_perspective_only(name: str, centred: Cameras) -> None:
    with pytest.raises(CameraError, match=r"Only perspective cameras convert to .*got orthographic ones"):
        getattr(conventions, name)(centred.to_orthographic(2.0))


@pytest.mark.parametrize(
    ("to", "back", "field"),
    [
        (conventions.to_opengl, conventions.from_opengl, "camera_to_world"),
        (conventions.to_kaolin, conventions.from_kaolin, "view_matrix"),
        (conventions.to_mitsuba, conventions.from_mitsuba, "to_world"),
    ],
)
@pytest.mark.parametrize("fault", ["scale", "mirror", "transpose"])
def test_poses_must_be_rigid(
    to: Callable[..., Any], back: Callable[..., Cameras], field: str, fault: str, centred: Cameras
) -> None:
    converted = to(centred)
    pose = getattr(converted, field).clone()
    if fault == "scale":
        pose[..., :3, :3] *= 1.01
    elif fault == "mirror":
        pose[..., 0] *= -1
    else:
        pose = pose.mT
    with pytest.raises(CameraError, match=f"{field} must be a rotation and a translation"):
        back(converted._replace(**{field: pose}))


def test_rotations_must_be_rotations(centred: Cameras) -> None:
    opencv, pytorch3d = conventions.to_opencv(centred), conventions.to_pytorch3d(centred)
    with pytest.raises(CameraError, match="rotation must be a rotation"):
        conventions.from_opencv(opencv._replace(rotation=opencv.rotation * 2))
    with pytest.raises(CameraError, match="R must be a rotation"):
        conventions.from_pytorch3d(pytorch3d._replace(R=-pytorch3d.R))


def test_poses_rounded_to_four_digits_pass(centred: Cameras) -> None:
    opengl = conventions.to_opengl(centred)
    rounded = opengl._replace(camera_to_world=(opengl.camera_to_world * 1e4).round() / 1e4)
    torch.testing.assert_close(
        conventions.from_opengl(rounded).world_to_camera, centred.world_to_camera, rtol=0, atol=1e-3
    )


@pytest.mark.parametrize(
    ("system", "field", "shape"),
    [
        ("opengl", "projection_matrix", "views 4 4"),
        ("opengl", "camera_to_world", "views 4 4"),
        ("opencv", "camera_matrix", "views 3 3"),
        ("opencv", "rotation", "views 3 3"),
        ("opencv", "translation", "views 3"),
        ("pytorch3d", "R", "views 3 3"),
        ("pytorch3d", "T", "views 3"),
        ("pytorch3d", "focal_length", "views 2"),
        ("pytorch3d", "principal_point", "views 2"),
        ("kaolin", "view_matrix", "views 4 4"),
        ("mitsuba", "to_world", "views 4 4"),
        ("nvdiffrast", "world_to_clip", "views 4 4"),
        ("colmap", "qvec", "views 4"),
        ("colmap", "tvec", "views 3"),
        ("colmap", "params", "views 4"),
    ],
)
def test_shapes(system: str, field: str, shape: str, centred: Cameras) -> None:
    converted = getattr(conventions, f"to_{system}")(centred)
    wrong = getattr(converted, field)[..., :-1]
    with pytest.raises(ShapeError, match=f"{field} must have shape"):
        getattr(conventions, f"from_{system}")(converted._replace(**{field: wrong}))


@pytest.mark.parametrize("fault", ["near", "far", "transpose", "skew", "mixed", "infinite"])
@pytest.mark.parametrize("projection", ["perspective", "orthographic"])
def test_projection_matrices_must_be_ours(fault: str, projection: str, centred: Cameras) -> None:
    cameras = centred if projection == "perspective" else centred.to_orthographic(2.0)
    opengl = conventions.to_opengl(cameras)
    matrix = opengl.projection_matrix.clone()
    if fault == "skew":
        matrix[1, 0, 1] = 0.1
    elif fault == "mixed":
        other = centred if projection == "orthographic" else centred.to_orthographic(2.0)
        matrix[1] = conventions.opengl_projection(other)[1]
    elif fault == "infinite":
        matrix[..., 2, 2], matrix[..., 2, 3] = -1, -2 * cameras.near
    changes: dict[str, Any] = {"near": 0.02} if fault == "near" else {"far": 10.0} if fault == "far" else {}
    changes["projection_matrix"] = matrix.mT if fault == "transpose" else matrix
    with pytest.raises(CameraError):
        conventions.from_opengl(opengl._replace(**changes))


def test_another_near_is_named(centred: Cameras) -> None:
    with pytest.raises(CameraError, match=r"(?s)projection_matrix must act on column vectors.*give the near and far"):
        conventions.from_opengl(conventions.to_opengl(centred)._replace(near=0.1))
    with pytest.raises(CameraError, match=r"(?s)world_to_clip must act on column vectors.*give the near and far"):
        conventions.from_nvdiffrast(conventions.to_nvdiffrast(centred)._replace(near=0.1))


def test_clip_matrices_of_no_rigid_pose(centred: Cameras) -> None:
    nvdiffrast = conventions.to_nvdiffrast(centred)
    with pytest.raises(CameraError, match="world_to_clip, without its projection, must be a rotation"):
        conventions.from_nvdiffrast(nvdiffrast._replace(world_to_clip=nvdiffrast.world_to_clip.mT))


def test_mitsuba_has_square_pixels(centred: Cameras) -> None:
    with pytest.raises(CameraError, match=r"fx and fy must be equal.*cameras\.resize"):
        conventions.to_mitsuba(centred.resize(30, 30))


def test_mitsuba_orthographic_sensors_have_no_offset(centred: Cameras) -> None:
    mitsuba = conventions.to_mitsuba(centred.to_orthographic(2.0))
    assert mitsuba.fov is None
    with pytest.raises(CameraError, match="must be 0 for an orthographic sensor"):
        conventions.from_mitsuba(mitsuba._replace(principal_point_offset_x=torch.full((3,), 0.1)))


def test_mitsuba_orthographic_depth_is_not_scaled(centred: Cameras) -> None:
    mitsuba = conventions.to_mitsuba(centred.to_orthographic(2.0))
    scaled = mitsuba.to_world.clone()
    scaled[..., :3, 2] *= 2
    with pytest.raises(CameraError, match="to_world must be a rotation"):
        conventions.from_mitsuba(mitsuba._replace(to_world=scaled))


def test_colmap_quaternion_of_zeros(centred: Cameras) -> None:
    colmap = conventions.to_colmap(centred)
    with pytest.raises(CameraError, match="qvec must be quaternions"):
        conventions.from_colmap(colmap._replace(qvec=torch.zeros(3, 4)))


@pytest.mark.parametrize("name", ["to_nerf", "to_nerfstudio"])
def test_json_lists_one_scene(name: str, centred: Cameras) -> None:
    with pytest.raises(CameraError, match=r"one leading dimension, the views; got \[1, 3\]. Convert cameras\[0\]"):
        getattr(conventions, name)(centred[None])


@pytest.mark.parametrize("fault", ["focal", "views", "center"])
def test_nerf_has_one_angle(fault: str, centred: Cameras) -> None:
    matrix = centred.intrinsics.clone()
    if fault == "focal":
        matrix[:, 1, 1] *= 1.1
    elif fault == "views":
        matrix[1, :2, :2] *= 1.1
    else:
        matrix[:, 0, 2] += 0.5
    with pytest.raises(CameraError, match=r"one camera_angle_x for all frames.*Use to_nerfstudio"):
        conventions.to_nerf(dataclasses.replace(centred, intrinsics=matrix))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"camera_angle_x": None}, "transforms must have 'camera_angle_x', a finite number; got None"),
        ({"camera_angle_x": "wide"}, "got 'wide'"),
        ({"camera_angle_x": True}, "got True"),
        ({"camera_angle_x": float("nan")}, "got nan"),
        ({"camera_angle_x": 45.0}, r"between 0 and pi \(radians\); got 45.0"),
        ({"frames": []}, "'frames', a list of at least one dict"),
        ({"frames": [3]}, "'frames', a list of at least one dict"),
        ({"frames": [{}]}, r"frames\[0\] must have a 'transform_matrix' of four rows of four numbers"),
        ({"frames": [{"transform_matrix": "eye"}]}, "four rows of four numbers"),
        ({"frames": [{"transform_matrix": [[1, 2], [3]]}]}, "four rows of four numbers"),
        ({"frames": [{"transform_matrix": [[1.0, 0, 0]] * 3}]}, "four rows of four numbers"),
        ({"frames": [{"transform_matrix": [[2.0, 0, 0, 0]] * 4}]}, r"transform_matrix of frames\[0\] must be a rot"),
    ],
)
def test_broken_nerf(changes: dict[str, Any], message: str, centred: Cameras) -> None:
    with pytest.raises(CameraError, match=message):
        conventions.from_nerf({**conventions.to_nerf(centred), **changes}, centred.image_size)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"fl_x": None}, r"frames\[1\] must have 'fl_x', a finite number; got None"),
        ({"h": "30"}, r"frames\[1\] must have 'h', a finite number; got '30'"),
        ({"w": 41}, r"one image size; got \(height, width\) \[\(30, 40\), \(30, 41\)\]"),
        ({"k1": 0.01, "p2": 0.1}, r"frames\[1\] must be a pinhole .* 'PINHOLE', k1, p2. Undistort the images"),
        ({"camera_model": "OPENCV_FISHEYE"}, "got camera_model 'OPENCV_FISHEYE'. Undistort"),
    ],
)
def test_broken_nerfstudio(changes: dict[str, Any], message: str, centred: Cameras) -> None:
    transforms = conventions.to_nerfstudio(centred)
    transforms["frames"][1].update(changes)
    with pytest.raises(CameraError, match=message):
        conventions.from_nerfstudio(transforms)


def test_r2n2_refuses_other_cameras(centred: Cameras) -> None:
    rows = torch.tensor([[30.0, 25, 0, 0.8, 25]])
    cameras = conventions.from_r2n2(rows)
    with pytest.raises(CameraError, match=r"R2N2 images are 137 x 137 with a focal length of 149.8438 .*\(30, 40\)"):
        conventions.to_r2n2(centred)
    with pytest.raises(CameraError, match="R2N2 images are 137 x 137"):
        conventions.to_r2n2(dataclasses.replace(cameras, intrinsics=cameras.intrinsics * torch.tensor([2.0, 2, 1])))
    with pytest.raises(CameraError, match="look at the origin"):
        conventions.to_r2n2(cameras.retract(torch.tensor([0.1, 0, 0, 0, 0, 0])))
    with pytest.raises(CameraError, match="distance ratio, the fourth entry of a row, must be positive"):
        conventions.from_r2n2(rows * torch.tensor([1.0, 1, 1, 0, 1]))
    with pytest.raises(ShapeError, match="rows must have shape"):
        conventions.from_r2n2(rows[:, :4])
    assert conventions.to_r2n2(cameras.resize(64, 64).resize(137, 137)).shape == (1, 5)
