"""Cameras: where images are taken from, and how points become pixels.

One convention throughout the package, that of OpenCV with the corner origin:

* camera axes: x right, y down, z forward, in the direction of view;
* ``world_to_camera`` acts on column vectors: ``p_camera = world_to_camera @ p_world``;
* pixels: the image spans ``[0, width] x [0, height]``, row 0 is the top row, pixel centres lie at + 0.5;
* the world is right-handed with +Y up.

`render3d.conventions` converts to and from the conventions of other systems.
"""

import dataclasses
import math
from collections.abc import Sequence
from typing import ClassVar, Literal, NamedTuple, Self, final

import torch
from torch import Tensor

from render3d.batches import Batched, broadcast_shapes, check_same_device, check_shape
from render3d.errors import CameraError, ShapeError
from render3d.precision import exact, without_autocast

Projection = Literal["perspective", "orthographic"]
Vector = Tensor | Sequence[float]

# The six generators of rigid motions: translations along x, y, z, then rotations about x, y, z.
_TWIST_BASIS = torch.zeros(6, 4, 4)
for _axis in range(3):
    _TWIST_BASIS[_axis, _axis, 3] = 1
    _TWIST_BASIS[3 + _axis, (_axis + 2) % 3, (_axis + 1) % 3] = 1
    _TWIST_BASIS[3 + _axis, (_axis + 1) % 3, (_axis + 2) % 3] = -1


class Rays(NamedTuple):
    """Rays in the world: one through each pixel centre, or ``N`` in the place of ``H, W`` through other points."""

    origins: Tensor  # [*batch, views, H, W, 3]
    directions: Tensor  # [*batch, views, H, W, 3], unit length


@final
@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Cameras(Batched):
    """A batch of calibrated cameras of one image size, of leading shape ``[*batch, views]``.

    Attributes:
        world_to_camera: ``[*batch, views, 4, 4]`` float, rigid: a rotation, a translation in scene units, and a last
            row of 0, 0, 0, 1. Differentiable.
        intrinsics: ``[*batch, views, 3, 3]`` float, ``[[fx, 0, cx], [0, fy, cy], [0, 0, 1]]`` in pixels with the corner
            origin. For orthographic cameras fx and fy are pixels per scene unit. Differentiable.
        image_size: ``(height, width)`` in pixels.
        near: Distance in front of the camera, along z in scene units, where the visible depths begin.
        far: Distance where they end.
        projection: ``"perspective"`` or ``"orthographic"``.

    Half precision becomes float32, and inside ``torch.autocast`` everything here is computed as it is outside.

    Raises:
        ShapeError: A tensor of another shape, or batch shapes that do not broadcast.
        DeviceError: The two tensors live on different devices.
        CameraError: An image without pixels, ``near >= far``, a focal length that is not positive, skew, a pose that is
            not rigid, or values that are not finite.

    One camera alone is a view count of one. The number of views comes last, so B objects seen by V cameras each are
    cameras of leading shape ``[B, V]``, and B objects seen by one camera each are ``[B, 1]``.
    """

    event_dims: ClassVar[dict[str, int]] = {"world_to_camera": 2, "intrinsics": 2}

    world_to_camera: Tensor
    intrinsics: Tensor
    image_size: tuple[int, int]
    near: float = 0.01
    far: float = 100.0
    projection: Projection = "perspective"

    def __post_init__(self) -> None:
        pose = check_shape(self.world_to_camera, "*views 4 4", name="world_to_camera")
        matrix = check_shape(self.intrinsics, "*views 3 3", name="intrinsics")
        check_same_device(world_to_camera=pose, intrinsics=matrix)
        if pose.is_floating_point() and matrix.is_floating_point():
            pose, matrix = exact(pose), exact(matrix)
        if not pose.is_floating_point() or pose.dtype != matrix.dtype:
            raise CameraError(
                "world_to_camera and intrinsics must be of one floating-point dtype; got "
                f"{pose.dtype} and {matrix.dtype}."
            )
        leading = broadcast_shapes(pose.shape[:-2], matrix.shape[:-2], names=("world_to_camera", "intrinsics"))
        leading = leading or torch.Size([1])
        object.__setattr__(self, "world_to_camera", pose.expand(*leading, 4, 4))
        object.__setattr__(self, "intrinsics", matrix.expand(*leading, 3, 3))
        self._check_values()

    def _check_values(self) -> None:
        height, width = self.image_size
        if int(height) != height or int(width) != width or height < 1 or width < 1:
            raise CameraError(f"image_size must be (height, width) of at least one pixel each; got {self.image_size}.")
        object.__setattr__(self, "image_size", (int(height), int(width)))
        if not (math.isfinite(self.near) and math.isfinite(self.far) and self.near < self.far):
            raise CameraError(f"near must be less than far, both finite; got near={self.near}, far={self.far}.")
        if self.projection not in ("perspective", "orthographic"):
            raise CameraError(f"projection must be 'perspective' or 'orthographic'; got {self.projection!r}.")
        if self.projection == "perspective" and self.near <= 0:
            raise CameraError(f"near must be positive for a perspective camera; got near={self.near}.")
        matrix = self.intrinsics.detach()
        if not bool(torch.isfinite(matrix).all() and torch.isfinite(self.world_to_camera.detach()).all()):
            raise CameraError("world_to_camera and intrinsics must be finite; got NaN or infinite values.")
        if not bool((matrix[..., 0, 0] > 0).all() and (matrix[..., 1, 1] > 0).all()):
            raise CameraError("intrinsics must have positive focal lengths [0, 0] and [1, 1], in pixels.")
        check_rigid(self.world_to_camera, name="world_to_camera")
        rest = matrix - matrix * torch.tensor([[1.0, 0, 1], [0, 1, 1], [0, 0, 1]]).to(matrix)
        if bool((rest != 0).any() or (matrix[..., 2, 2] != 1).any()):
            raise CameraError(
                "intrinsics must be [[fx, 0, cx], [0, fy, cy], [0, 0, 1]]; got skew or a scaled last row. Undistort "
                "or rectify the images first."
            )

    # Construction

    @classmethod
    @without_autocast
    def look_at(
        cls,
        position: Vector,
        target: Vector = (0.0, 0.0, 0.0),
        up: Vector = (0.0, 1.0, 0.0),
        *,
        vertical_fov_degrees: float = 45.0,
        image_size: tuple[int, int] = (128, 128),
        near: float = 0.01,
        far: float = 100.0,
    ) -> Self:
        """Perspective cameras at ``position`` that look at ``target``, with ``up`` towards the top of the image.

        Args:
            position: ``[*batch, views, 3]`` or ``[3]``, world, scene units. Differentiable.
            target: Broadcasts with ``position``.
            up: Broadcasts with ``position``. Where it is parallel to the line of sight, another axis takes its place.
            vertical_fov_degrees: Angle between the top and the bottom edge of the image, in degrees.
            image_size: ``(height, width)`` in pixels; the principal point is the centre and pixels are square.
            near: As in `Cameras`.
            far: As in `Cameras`.

        Raises:
            CameraError: A position that equals its target, an ``up`` of zeros, or a field of view outside (0, 180)
                degrees.
        """
        eye = _as_float(position)
        eye = eye if eye.dim() > 1 else eye[None]
        forward = _as_float(target, like=eye) - eye
        distance = forward.norm(dim=-1, keepdim=True)
        if not bool((distance > 0).all()):
            raise CameraError("position must differ from target: there is no direction of view otherwise.")
        forward = forward / distance
        right = torch.linalg.cross(forward, _upwards(forward, _as_float(up, like=eye)))
        right = right / right.norm(dim=-1, keepdim=True)
        rotation = torch.stack([right, torch.linalg.cross(forward, right), forward], dim=-2)
        pose = rigid(rotation, -(rotation @ eye[..., None])[..., 0])
        matrix = _intrinsics(vertical_fov_degrees, image_size).to(pose)
        return cls(pose, matrix, image_size, near, far)

    @classmethod
    def orbit(
        cls,
        views: int,
        distance: float,
        *,
        elevation_degrees: float = 20.0,
        start_degrees: float = 0.0,
        vertical_fov_degrees: float = 45.0,
        image_size: tuple[int, int] = (128, 128),
        near: float = 0.01,
        far: float = 100.0,
    ) -> Self:
        """``views`` cameras on a circle round the +Y axis, evenly spaced, that look at the origin.

        Azimuth 0 is on the +Z side and grows towards +X. Other arguments as in `look_at`.
        """
        _check_count(views)
        azimuth = torch.arange(views) * (2 * math.pi / views) + math.radians(start_degrees)
        height = torch.full((views,), math.sin(math.radians(elevation_degrees)))
        radius = math.cos(math.radians(elevation_degrees))
        directions = torch.stack([radius * azimuth.sin(), height, radius * azimuth.cos()], dim=-1)
        return cls.look_at(
            directions * distance,
            vertical_fov_degrees=vertical_fov_degrees,
            image_size=image_size,
            near=near,
            far=far,
        )

    @classmethod
    def sphere(
        cls,
        views: int,
        distance: float,
        *,
        vertical_fov_degrees: float = 45.0,
        image_size: tuple[int, int] = (128, 128),
        near: float = 0.01,
        far: float = 100.0,
    ) -> Self:
        """``views`` cameras spread evenly over a sphere (a Fibonacci lattice) that look at the origin.

        The lattice is that of Gonzalez, "Measurement of areas on a sphere using Fibonacci and latitude-longitude
        lattices", 2010, with the poles on the Y axis. Other arguments as in `look_at`.
        """
        _check_count(views)
        index = torch.arange(views, dtype=torch.float64) + 0.5
        height = 1 - 2 * index / views
        azimuth = index * math.pi * (1 + math.sqrt(5))
        radius = (1 - height**2).sqrt()
        directions = torch.stack([radius * azimuth.sin(), height, radius * azimuth.cos()], dim=-1).float()
        return cls.look_at(
            directions * distance,
            vertical_fov_degrees=vertical_fov_degrees,
            image_size=image_size,
            near=near,
            far=far,
        )

    def to_orthographic(self, visible_height: float) -> Self:
        """The same poses with parallel rays; the image is ``visible_height`` scene units high, centred."""
        if not (math.isfinite(visible_height) and visible_height > 0):
            raise CameraError(f"visible_height must be positive and finite; got {visible_height}.")
        height, width = self.image_size
        scale = height / visible_height
        matrix = torch.tensor([[scale, 0, width / 2], [0, scale, height / 2], [0, 0, 1]]).to(self.intrinsics)
        return dataclasses.replace(self, intrinsics=matrix, projection="orthographic")

    # Facts

    @property
    def views(self) -> int:
        """The number of views: the last leading dimension."""
        return self.leading_shape[-1]

    @property
    def batch_shape(self) -> torch.Size:
        """The leading dimensions before the views."""
        return self.leading_shape[:-1]

    @property
    def dtype(self) -> torch.dtype:
        """The floating-point type of both tensors."""
        return self.world_to_camera.dtype

    @property
    def rotation(self) -> Tensor:
        """``[*batch, views, 3, 3]``, world to camera."""
        return self.world_to_camera[..., :3, :3]

    @property
    def translation(self) -> Tensor:
        """``[*batch, views, 3]``: where the world's origin is, in camera space, scene units."""
        return self.world_to_camera[..., :3, 3]

    @property
    def focal(self) -> Tensor:
        """``[*batch, views, 2]``: fx and fy, in pixels; of orthographic cameras pixels per scene unit."""
        return torch.stack([self.intrinsics[..., 0, 0], self.intrinsics[..., 1, 1]], dim=-1)

    @property
    @without_autocast
    def position(self) -> Tensor:
        """``[*batch, views, 3]``: where the cameras are, in the world."""
        return -(self.rotation.mT @ self.translation[..., None])[..., 0]

    @property
    def camera_to_world(self) -> Tensor:
        """``[*batch, views, 4, 4]``: the inverse of ``world_to_camera``, with the same axes."""
        return rigid(self.rotation.mT, self.position)

    # Points, pixels and rays

    @without_autocast
    def to_camera_space(self, points: Tensor) -> Tensor:
        """Points ``[*batch, N, 3]`` of the world in the space of each camera, ``[*batch, views, N, 3]``.

        Their batch broadcasts against that of the cameras. Depth is the last component. Differentiable in both.
        """
        check_shape(points, "*batch N 3", name="points")
        check_same_device(points=points, cameras=self.world_to_camera)
        broadcast_shapes(points.shape[:-2], self.batch_shape, names=("points", "cameras"))
        dtype = torch.promote_types(points.dtype, self.dtype)  # vertices at coordinates of maps are float64
        seen = points[..., None, :, :].to(dtype) @ self.rotation.mT.to(dtype)
        return seen + self.translation[..., None, :].to(dtype)

    def project(self, points: Tensor) -> Tensor:
        """Pixels ``[*batch, views, N, 2]`` (x to the right, y down) of points ``[*batch, N, 3]`` of the world.

        Points at or behind a perspective camera have no image: their pixels are mirrored or infinite; look at the depth
        that `to_camera_space` gives. Differentiable in both.
        """
        return self.to_pixels(self.to_camera_space(points))

    def to_pixels(self, camera_points: Tensor) -> Tensor:
        """Pixels ``[*batch, views, N, 2]`` of points ``[*batch, views, N, 3]`` that are in camera space already."""
        plane = camera_points[..., :2]
        if self.projection == "perspective":
            plane = plane / camera_points[..., 2:]
        return plane * self.focal[..., None, :] + self.intrinsics[..., None, :2, 2]

    def rays(self) -> Rays:
        """The ray through each pixel centre, in the world. Differentiable in pose and intrinsics.

        Rays of perspective cameras start at the camera, those of orthographic ones on its plane z = 0.
        """
        height, width = self.image_size
        rows = torch.arange(height, dtype=self.dtype, device=self.device) + 0.5
        columns = torch.arange(width, dtype=self.dtype, device=self.device) + 0.5
        y, x = torch.meshgrid(rows, columns, indexing="ij")
        found = self.rays_through(torch.stack([x, y], dim=-1).reshape(-1, 2).expand(*self.leading_shape, -1, 2))
        return Rays(*(part.reshape(*self.leading_shape, height, width, 3) for part in found))

    @without_autocast
    def rays_through(self, pixels: Tensor) -> Rays:
        """The rays ``[*batch, views, N, 3]`` through points ``[*batch, views, N, 2]`` of the images, in pixels.

        As `rays`, and differentiable in the points as well; the inverse of `to_pixels`.
        """
        check_shape(pixels, "*views N 2", name="pixels")
        plane = (pixels - self.intrinsics[..., None, :2, 2]) / self.focal[..., None, :]
        position = self.position[..., None, :].expand(*plane.shape[:-1], 3)
        if self.projection == "orthographic":
            directions = self.rotation[..., 2, None, :].expand_as(position)
            return Rays(position + plane @ self.rotation[..., :2, :], directions)
        directions = plane @ self.rotation[..., :2, :] + self.rotation[..., 2, None, :]
        return Rays(position, directions / directions.norm(dim=-1, keepdim=True))

    # Changes

    def crop(self, top: int, left: int, height: int, width: int) -> Self:
        """The cameras of the part of the image that begins at row ``top``, column ``left``. It may reach outside."""
        shift = torch.tensor([[0, 0, left], [0, 0, top], [0, 0, 0]]).to(self.intrinsics)
        return dataclasses.replace(self, intrinsics=self.intrinsics - shift, image_size=(height, width))

    def resize(self, height: int, width: int) -> Self:
        """The cameras of the same images at another resolution."""
        scale = [[height / self.image_size[0]], [width / self.image_size[1]]]
        factors = torch.tensor([scale[1], scale[0], [1.0]]).to(self.intrinsics)
        return dataclasses.replace(self, intrinsics=self.intrinsics * factors, image_size=(height, width))

    @without_autocast
    def retract(self, twist: Tensor) -> Self:
        """The cameras moved by ``twist`` on the group of rigid motions: ``exp(twist) @ world_to_camera``.

        Args:
            twist: ``[*batch, views, 6]``: three of translation (scene units), three of rotation (radians), both in
                camera axes. Differentiable, at zero too; optimise this and never a free 4 x 4 matrix.
        """
        check_shape(twist, "*views 6", name="twist")
        check_same_device(twist=twist, cameras=self.world_to_camera)
        broadcast_shapes(twist.shape[:-1], self.leading_shape, names=("twist", "cameras"))
        generator = torch.einsum("...k,kij->...ij", exact(twist), _TWIST_BASIS.to(exact(twist)))
        moved = torch.linalg.matrix_exp(generator) @ self.world_to_camera
        return dataclasses.replace(self, world_to_camera=moved)


class Landing(NamedTuple):
    """Where points fall in an image."""

    of: Tensor  # [M] int64: which of the points fall in it
    pixel: Tensor  # [M] int64: the pixel of each, in rows from the top left
    depth: Tensor  # [M]: how far along z it lies


def landing(camera: Cameras, points: Tensor) -> Landing:
    """Return which points ``[N, 3]`` of the world fall in the image of one camera ``[1]``, and where.

    Only those between near and far do, hidden ones too. The depth alone is differentiable.
    """
    height, width = camera.image_size
    there = camera.to_camera_space(points)
    column, row = camera.to_pixels(there)[0].floor().unbind(-1)
    depth = there[0, :, 2]
    inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
    of = (inside & (depth > camera.near) & (depth < camera.far)).nonzero()[:, 0]
    return Landing(of, (row[of] * width + column[of]).long(), depth[of])


def rigid(rotation: Tensor, translation: Tensor) -> Tensor:
    """The 4 x 4 matrices ``[..., 4, 4]`` of rotations ``[..., 3, 3]`` and translations ``[..., 3]``."""
    top = torch.cat([rotation, translation[..., None]], dim=-1)
    bottom = torch.tensor([0.0, 0.0, 0.0, 1.0]).to(top).expand(*top.shape[:-2], 1, 4)
    return torch.cat([top, bottom], dim=-2)


@without_autocast
def check_rigid(matrix: Tensor, *, name: str) -> Tensor:
    """Raise `CameraError` unless ``matrix``, ``[..., 4, 4]``, is a rotation and a translation.

    The tolerance of 1e-3 lets matrices pass that were rounded in a text file.
    """
    check_shape(matrix, "*views 4 4", name=name)
    residual = matrix.detach()[..., :3, :3] @ matrix.detach()[..., :3, :3].mT - torch.eye(3).to(matrix)
    orthonormal = bool((residual.abs() < 1e-3).all() and (torch.linalg.det(matrix.detach()[..., :3, :3]) > 0).all())
    if not orthonormal or bool((matrix[..., 3, :] != torch.tensor([0.0, 0, 0, 1]).to(matrix)).any()):
        raise CameraError(
            f"{name} must be a rotation and a translation that act on column vectors, with a last row of 0, 0, 0, 1; "
            "got a scale, a mirror, a shear or a transpose. A scale belongs to the scene: divide the first three "
            "columns by their length."
        )
    return matrix


def _as_float(value: Vector, like: Tensor | None = None) -> Tensor:
    tensor = value if isinstance(value, Tensor) else torch.tensor(value)
    if tensor.shape[-1:] != (3,):
        raise ShapeError(f"A position or direction must have shape [..., 3]; got {list(tensor.shape)}.")
    if like is not None:
        return tensor.to(like)
    return exact(tensor)


def _upwards(forward: Tensor, up: Tensor) -> Tensor:
    """``up``, or where it is parallel to ``forward`` the axis of the world least aligned with it."""
    length = up.norm(dim=-1, keepdim=True)
    if not bool((length > 0).all()):
        raise CameraError("up must have a length: a direction of zeros points nowhere.")
    up = up.expand_as(forward) / length
    parallel = torch.linalg.cross(forward, up).norm(dim=-1, keepdim=True) < 1e-4
    axis = torch.nn.functional.one_hot(forward.detach().abs().argmin(dim=-1), 3).to(forward)
    return torch.where(parallel, axis, up)


def _intrinsics(vertical_fov_degrees: float, image_size: tuple[int, int]) -> Tensor:
    if not 0 < vertical_fov_degrees < 180:
        raise CameraError(f"vertical_fov_degrees must lie between 0 and 180; got {vertical_fov_degrees}.")
    height, width = image_size
    focal = height / 2 / math.tan(math.radians(vertical_fov_degrees) / 2)
    return torch.tensor([[focal, 0, width / 2], [0, focal, height / 2], [0, 0, 1]], dtype=torch.float64)


def _check_count(views: int) -> None:
    if views < 1:
        raise CameraError(f"views must be at least 1; got {views}.")
