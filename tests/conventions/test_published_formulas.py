"""Known points, taken through each system's own published formula in NumPy, land where `Cameras.project` says."""

import dataclasses
import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from render3d import conventions
from render3d.cameras import Cameras

Array = np.ndarray[Any, np.dtype[np.float64]]
HEIGHT, WIDTH = 480, 641


@pytest.fixture
def square(off_centre: Cameras) -> Cameras:
    matrix = off_centre.intrinsics.clone()
    matrix[..., 1, 1] = matrix[..., 0, 0]
    return dataclasses.replace(off_centre, intrinsics=matrix)


@pytest.fixture
def parallel(off_centre: Cameras) -> Cameras:
    """Orthographic, off centre, fx different from fy."""
    scale = torch.tensor([[0.2], [0.2], [1.0]], dtype=torch.float64)
    matrix = off_centre.intrinsics * torch.cat([scale, scale, torch.ones(3, 1, dtype=torch.float64)], dim=1)
    return dataclasses.replace(off_centre, intrinsics=matrix, projection="orthographic")


def assert_projects(pixels: list[Array], cameras: Cameras, points: Tensor) -> None:
    np.testing.assert_allclose(np.stack(pixels), cameras.project(points).numpy(), rtol=0, atol=1e-8)


def homogeneous(points: Tensor) -> Array:
    return np.concatenate([points.numpy(), np.ones((len(points), 1))], axis=1)


def viewport_from_top(ndc: Array) -> Array:
    """The viewport transform of OpenGL, its rows counted from the top."""
    return np.stack([(ndc[:, 0] + 1) * WIDTH / 2, HEIGHT - (ndc[:, 1] + 1) * HEIGHT / 2], axis=1)


@pytest.mark.parametrize("projection", ["perspective", "orthographic"])
def test_opengl(projection: str, off_centre: Cameras, parallel: Cameras, points: Tensor) -> None:
    cameras = off_centre if projection == "perspective" else parallel
    opengl = conventions.to_opengl(cameras)
    pixels, depths = [], []
    for pose, matrix in zip(opengl.camera_to_world.numpy(), opengl.projection_matrix.numpy(), strict=True):
        clip = homogeneous(points) @ np.linalg.inv(pose).T @ matrix.T
        ndc = clip[:, :3] / clip[:, 3:]
        pixels.append(viewport_from_top(ndc))
        depths.append(ndc[:, 2])
    assert_projects(pixels, cameras, points)
    metric = conventions.opengl_depth(torch.from_numpy(np.stack(depths)), cameras)
    torch.testing.assert_close(metric, cameras.to_camera_space(points)[..., 2])


@pytest.mark.parametrize("projection", ["perspective", "orthographic"])
def test_opengl_depth_at_the_planes(projection: str, off_centre: Cameras, parallel: Cameras) -> None:
    cameras = off_centre if projection == "perspective" else parallel
    ends = conventions.opengl_depth(torch.tensor([-1.0, 1.0], dtype=torch.float64), cameras)
    torch.testing.assert_close(ends, torch.tensor([cameras.near, cameras.far], dtype=torch.float64))


def test_gltf_perspective() -> None:
    """Section "Finite perspective projection" of glTF 2.0, from yfov and the aspect ratio."""
    cameras = Cameras.look_at((0.0, 0.0, 3.0), vertical_fov_degrees=50.0, image_size=(48, 80), near=0.5, far=9.0)
    yfov, aspect, near, far = math.radians(50), 80 / 48, 0.5, 9.0
    expected = [
        [1 / (aspect * math.tan(yfov / 2)), 0, 0, 0],
        [0, 1 / math.tan(yfov / 2), 0, 0],
        [0, 0, (far + near) / (near - far), 2 * far * near / (near - far)],
        [0, 0, -1, 0],
    ]
    np.testing.assert_allclose(conventions.opengl_projection(cameras)[0].numpy(), expected, rtol=1e-6, atol=1e-6)


def test_gltf_orthographic() -> None:
    """Section "Orthographic projection" of glTF 2.0, from the half extents xmag and ymag."""
    cameras = Cameras.look_at((0.0, 0.0, 3.0), image_size=(48, 80), near=0.5, far=9.0).to_orthographic(2.4)
    ymag, xmag, near, far = 1.2, 2.0, 0.5, 9.0
    expected = [
        [1 / xmag, 0, 0, 0],
        [0, 1 / ymag, 0, 0],
        [0, 0, 2 / (near - far), (far + near) / (near - far)],
        [0, 0, 0, 1],
    ]
    np.testing.assert_allclose(conventions.opengl_projection(cameras)[0].numpy(), expected, rtol=1e-6, atol=1e-6)


def test_opengl_looks_down_minus_z_with_y_up() -> None:
    pose = conventions.to_opengl(Cameras.look_at((0.0, 0.0, 3.0))).camera_to_world[0]
    expected = torch.eye(4)
    expected[2, 3] = 3
    torch.testing.assert_close(pose, expected)


@pytest.mark.parametrize("pixel_center", [0.0, 0.5])
def test_opencv(pixel_center: float, off_centre: Cameras, points: Tensor) -> None:
    """cv2.projectPoints without distortion, whose integers are pixel centres."""
    opencv = conventions.to_opencv(off_centre, pixel_center)
    pixels = []
    for k, r, t in zip(opencv.camera_matrix.numpy(), opencv.rotation.numpy(), opencv.translation.numpy(), strict=True):
        x, y, z = r @ points.numpy().T + t[:, None]
        image = np.stack([k[0, 0] * x / z + k[0, 2], k[1, 1] * y / z + k[1, 2]], axis=1)
        pixels.append(image - pixel_center + 0.5)
    assert_projects(pixels, off_centre, points)


@pytest.mark.parametrize("projection", ["perspective", "orthographic"])
@pytest.mark.parametrize("portrait", [False, True])
def test_pytorch3d(projection: str, portrait: bool, off_centre: Cameras, parallel: Cameras, points: Tensor) -> None:
    """PyTorch3D, docs/notes/cameras.md: NDC has +X left and +Y up, the shorter side spans [-1, 1]."""
    cameras = off_centre if projection == "perspective" else parallel
    cameras = dataclasses.replace(cameras, image_size=(700, WIDTH)) if portrait else cameras
    c = conventions.to_pytorch3d(cameras)
    (height, width), pixels = c.image_size, []
    for r, t, f, p in zip(c.R.numpy(), c.T.numpy(), c.focal_length.numpy(), c.principal_point.numpy(), strict=True):
        view = points.numpy() @ r + t
        plane = view[:, :2] / view[:, 2:] if c.projection == "perspective" else view[:, :2]
        ndc = plane * f + p
        assert bool((view[:, 2] > 0).all())
        pixels.append(np.array([width, height]) / 2 - ndc * min(height, width) / 2)
    assert_projects(pixels, cameras, points)


def test_kaolin(off_centre: Cameras, points: Tensor) -> None:
    """Kaolin, PinholeIntrinsics: perspective_matrix, then ndc_matrix of a frustum as large as the image."""
    c = conventions.to_kaolin(off_centre)
    pixels = []
    for i, view in enumerate(c.view_matrix.numpy()):
        fx, fy, x0, y0 = (float(value[i]) for value in (c.focal_x, c.focal_y, c.x0, c.y0))
        perspective = np.array([[fx, 0, -x0, 0], [0, fy, -y0, 0], [0, 0, 0, 1], [0, 0, 1, 0]])
        x, y, _, z = (homogeneous(points) @ view.T @ perspective.T).T
        pixels.append(viewport_from_top(np.stack([2 / WIDTH * x / -z, 2 / HEIGHT * y / -z], axis=1)))
    assert_projects(pixels, off_centre, points)


@pytest.mark.parametrize("projection", ["perspective", "orthographic"])
def test_mitsuba(projection: str, square: Cameras, parallel: Cameras, points: Tensor) -> None:
    """Mitsuba 3, sensor.h: perspective_projection and orthographic_projection; sampling adds the offset."""
    cameras = square if projection == "perspective" else parallel
    c = conventions.to_mitsuba(cameras)
    aspect, pixels = WIDTH / HEIGHT, []
    for i, to_world in enumerate(c.to_world.numpy()):
        local = homogeneous(points) @ np.linalg.inv(to_world).T
        if c.fov is not None:
            cotangent = 1 / math.tan(math.radians(float(c.fov[i])) / 2)
            x, y = cotangent * local[:, 0] / local[:, 2], cotangent * local[:, 1] / local[:, 2]
        else:
            x, y = local[:, 0], local[:, 1]
        # To [0, 1] on both axes, which point against those of the image.
        sample_x = (x - 1) * -0.5 - float(c.principal_point_offset_x[i])
        sample_y = (y - 1 / aspect) * (-0.5 * aspect) - float(c.principal_point_offset_y[i])
        pixels.append(np.stack([sample_x * WIDTH, sample_y * HEIGHT], axis=1))
        if c.fov is None:
            np.testing.assert_allclose(local[:, 2], cameras.to_camera_space(points)[i, :, 2], atol=1e-12)
    assert_projects(pixels, cameras, points)


@pytest.mark.parametrize("projection", ["perspective", "orthographic"])
def test_nvdiffrast(projection: str, off_centre: Cameras, parallel: Cameras, points: Tensor) -> None:
    """Clip space of OpenGL; the first row of the image is the bottom one until it is flipped."""
    cameras = off_centre if projection == "perspective" else parallel
    pixels = []
    for matrix in conventions.to_nvdiffrast(cameras).world_to_clip.numpy():
        clip = homogeneous(points) @ matrix.T
        x, from_bottom = (clip[:, 0] / clip[:, 3] + 1) / 2 * WIDTH, (clip[:, 1] / clip[:, 3] + 1) / 2 * HEIGHT
        pixels.append(np.stack([x, HEIGHT - from_bottom], axis=1))
    assert_projects(pixels, cameras, points)


def test_colmap(off_centre: Cameras, points: Tensor) -> None:
    """COLMAP: p + 2 w (v x p) + 2 v x (v x p) for the quaternion (w, v), then t, then the model PINHOLE."""
    c = conventions.to_colmap(off_centre)
    pixels = []
    for q, t, (fx, fy, cx, cy) in zip(c.qvec.numpy(), c.tvec.numpy(), c.params.numpy(), strict=True):
        p, once = points.numpy(), np.cross(q[1:], points.numpy())
        x, y, z = (p + 2 * q[0] * once + 2 * np.cross(q[1:], once) + t).T
        pixels.append(np.stack([fx * x / z + cx, fy * y / z + cy], axis=1))
    assert_projects(pixels, off_centre, points)


def test_nerf(off_centre: Cameras, points: Tensor) -> None:
    """NeRF, run_nerf_helpers.py: d = ((u - W / 2) / f, -(v - H / 2) / f, -1) in the camera, solved for u and v."""
    matrix = torch.tensor([[510.0, 0, WIDTH / 2], [0, 510.0, HEIGHT / 2], [0, 0, 1]], dtype=torch.float64)
    cameras = dataclasses.replace(off_centre, intrinsics=matrix)
    transforms = conventions.to_nerf(cameras)
    focal = 0.5 * WIDTH / np.tan(0.5 * transforms["camera_angle_x"])
    pixels = []
    for frame in transforms["frames"]:
        x, y, z = (homogeneous(points) @ np.linalg.inv(np.array(frame["transform_matrix"])).T)[:, :3].T
        pixels.append(np.stack([WIDTH / 2 + focal * x / -z, HEIGHT / 2 - focal * y / -z], axis=1))
    assert_projects(pixels, cameras, points)


def test_nerfstudio(off_centre: Cameras) -> None:
    """nerfstudio, cameras.py: the ray of column i, row j has ((i + 0.5 - cx) / fl_x, -(j + 0.5 - cy) / fl_y, -1)."""
    rays = off_centre.rays()
    for view, frame in enumerate(conventions.to_nerfstudio(off_centre)["frames"]):
        pose = np.array(frame["transform_matrix"])
        for row, column in [(0, 0), (17, 503), (HEIGHT - 1, WIDTH - 1)]:
            x, y = (column + 0.5 - frame["cx"]) / frame["fl_x"], (row + 0.5 - frame["cy"]) / frame["fl_y"]
            direction = pose[:3, :3] @ np.array([x, -y, -1.0])
            direction /= np.linalg.norm(direction)
            np.testing.assert_allclose(rays.directions[view, row, column].numpy(), direction, atol=1e-12)
            np.testing.assert_allclose(rays.origins[view, row, column].numpy(), pose[:3, 3], atol=1e-12)
        assert (frame["w"], frame["h"]) == (WIDTH, HEIGHT)


def test_r2n2(points: Tensor) -> None:
    """3D-R2N2, lib/blender_renderer.py: a camera on the arm of an empty that is turned by Euler angles in Blender."""
    rows = np.array([[137.2, 28.4, 0, 0.77, 25], [301.0, -12.0, 0, 0.65, 25], [45.0, 10.0, 20.0, 0.9, 25]])
    pixels = []
    for azimuth, altitude, yaw, ratio, _ in rows:
        a, b, c = np.radians([-yaw, -altitude, -azimuth])
        about_x = np.array([[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]])
        about_y = np.array([[np.cos(b), 0, np.sin(b)], [0, 1, 0], [-np.sin(b), 0, np.cos(b)]])
        about_z = np.array([[np.cos(c), -np.sin(c), 0], [np.sin(c), np.cos(c), 0], [0, 0, 1]])
        arm = about_z @ about_y @ about_x
        # On the arm the camera stands on +X, looks along -X, and has +Y to its right and +Z above.
        right, up, backward = arm @ [0, 1, 0], arm @ [0, 0, 1], arm @ [1, 0, 0]
        in_blender = points.numpy() @ np.array([[1, 0, 0], [0, 0, -1], [0, 1, 0]]).T
        view = in_blender - ratio * 1.75 * backward
        # The focal length that PyTorch3D's loader uses, 2.1875 half images, is Blender's 35 mm on 32 mm.
        focal = 2.1875 * 137 / 2
        x, y, depth = view @ right, view @ up, -(view @ backward)
        pixels.append(np.stack([68.5 + focal * x / depth, 68.5 - focal * y / depth], axis=1))
    cameras = conventions.from_r2n2(torch.from_numpy(rows))
    assert cameras.image_size == (137, 137)
    assert_projects(pixels, cameras, points)
