"""Mitsuba 3: x left, y up, z forward; poses are camera to world; field of view in degrees."""

from typing import NamedTuple

import torch
from torch import Tensor

from render3d.batches import check_shape
from render3d.cameras import Cameras, Projection, rigid
from render3d.conventions.common import LEFT_UP_AXES, intrinsics_matrix, invert_rigid, nearly_equal, pinhole
from render3d.errors import CameraError
from render3d.precision import without_autocast


class MitsubaCameras(NamedTuple):
    """Sensors as Mitsuba has them: ``perspective``, or ``orthographic`` where ``fov`` is None.

    Attributes:
        to_world: ``[*batch, views, 4, 4]`` float. Its columns are left, up, forward and the position; those of
            orthographic sensors are scaled by half the width of the image, in scene units, but for forward.
        fov: ``[*batch, views]`` float, degrees between the left and right edges (``fov_axis="x"``); None for
            orthographic sensors.
        principal_point_offset_x: ``[*batch, views]`` float, in widths of the image; 0 for orthographic sensors.
        principal_point_offset_y: ``[*batch, views]`` float, in heights of the image; 0 for orthographic sensors.
        image_size: ``(height, width)`` in pixels: those of the film.
        near: ``near_clip``, scene units.
        far: ``far_clip``, scene units.
    """

    to_world: Tensor
    fov: Tensor | None
    principal_point_offset_x: Tensor
    principal_point_offset_y: Tensor
    image_size: tuple[int, int]
    near: float = 0.01
    far: float = 100.0


@without_autocast
def to_mitsuba(cameras: Cameras) -> MitsubaCameras:
    """Sensors as Mitsuba has them. Differentiable.

    Perspective: ``to_world = inverse(world_to_camera) @ diag(-1, -1, 1, 1)``, ``fov = 2 atan(W / (2 fx))`` in degrees,
    ``principal_point_offset = (0.5 - cx / W, 0.5 - cy / H)``.

    Orthographic: these sensors see [-1, 1] in x and [-H / W, H / W] in y, so ``to_world`` is multiplied by
    diag(W / (2 fx), W / (2 fy), 1, 1) on the right. They have no principal point; the sensor is moved sideways instead
    to ``((W / 2 - cx) / fx, (H / 2 - cy) / fy, 0)`` in camera space, which gives the same image and the same depth.

    Use the ``box`` reconstruction filter: Mitsuba's default, a Gaussian, blurs across pixels. For one view::

        c = to_mitsuba(cameras)
        mi.load_dict({
            "type": "perspective", "to_world": mi.ScalarTransform4f(c.to_world[0].numpy()),
            "fov": float(c.fov[0]), "fov_axis": "x",
            "principal_point_offset_x": float(c.principal_point_offset_x[0]),
            "principal_point_offset_y": float(c.principal_point_offset_y[0]),
            "near_clip": c.near, "far_clip": c.far,
            "film": {"type": "hdrfilm", "width": width, "height": height, "rfilter": {"type": "box"}},
        })

    Source: Mitsuba 3, src/sensors/perspective.cpp, orthographic.cpp and include/mitsuba/render/sensor.h.

    Raises:
        CameraError: Perspective cameras with fx different from fy: Mitsuba's pixels are square.
    """
    fx, fy, cx, cy = pinhole(cameras)
    height, width = cameras.image_size
    to_world = cameras.camera_to_world @ LEFT_UP_AXES.to(cameras.world_to_camera)
    if cameras.projection == "perspective":
        if not nearly_equal(fx, fy):
            raise CameraError(
                "Mitsuba's perspective sensor has square pixels: fx and fy must be equal. Make them so with "
                "cameras.resize(height, width), which changes the aspect of the pixels, and resize the image back."
            )
        fov = torch.rad2deg(2 * torch.atan(width / (2 * fx)))
        offsets = (0.5 - cx / width, 0.5 - cy / height)
        return MitsubaCameras(to_world, fov, *offsets, cameras.image_size, cameras.near, cameras.far)
    one, zero = torch.ones_like(fx), torch.zeros_like(fx)
    sideways = torch.stack([(cx - width / 2) / fx, (cy - height / 2) / fy, zero, one], dim=-1)
    position = (to_world @ sideways[..., None])[..., :3, 0]
    size = torch.stack([width / (2 * fx), width / (2 * fy), one], dim=-1)
    to_world = rigid(to_world[..., :3, :3] * size[..., None, :], position)
    return MitsubaCameras(to_world, None, zero, zero, cameras.image_size, cameras.near, cameras.far)


@without_autocast
def from_mitsuba(mitsuba: MitsubaCameras) -> Cameras:
    """The inverse of `to_mitsuba`; orthographic cameras come back with a centred principal point. Differentiable.

    Raises:
        ShapeError: A ``to_world`` of another shape.
        CameraError: A ``to_world`` that is not rigid or, for orthographic sensors, not rigid but for its scale in the
            plane of the image; or a principal point offset of an orthographic sensor.
    """
    to_world = check_shape(mitsuba.to_world, "*views 4 4", name="to_world")
    offset_x, offset_y = mitsuba.principal_point_offset_x, mitsuba.principal_point_offset_y
    height, width = mitsuba.image_size
    if mitsuba.fov is not None:
        fx = fy = width / 2 / torch.tan(torch.deg2rad(mitsuba.fov) / 2)
    else:
        size = to_world[..., :3, :2].norm(dim=-2)
        fx, fy = (width / 2 / size).unbind(-1)
        to_world = torch.cat([to_world[..., :2] / size[..., None, :], to_world[..., 2:]], dim=-1)
        if not (nearly_equal(offset_x, 0.0) and nearly_equal(offset_y, 0.0)):
            raise CameraError("principal_point_offset_x and _y must be 0 for an orthographic sensor: it ignores them.")
    world_to_camera = LEFT_UP_AXES.to(to_world) @ invert_rigid(to_world, name="to_world")
    matrix = intrinsics_matrix(fx, fy, (0.5 - offset_x) * width, (0.5 - offset_y) * height)
    projection: Projection = "orthographic" if mitsuba.fov is None else "perspective"
    return Cameras(world_to_camera, matrix, mitsuba.image_size, mitsuba.near, mitsuba.far, projection)
