"""A scene from all round, for `animation`."""

import dataclasses
import math

import torch
from torch import Tensor

from render3d import renderers
from render3d.cameras import Cameras
from render3d.errors import VolumeError
from render3d.renderers.base import Renderer
from render3d.scenes import Mesh, Volume

# As a share of the largest occupancy: what is thinner does not push the rest out of the middle.
_FAINT = 0.05


def turntable(scene: Mesh | Volume, renderer: Renderer | None = None, *, views: int = 48, size: int = 320) -> Tensor:
    """Pictures of a mesh or a volume from cameras on a circle round it, which sees it whole, for `animation`.

    A volume is seen as its renderer sees it: `lit` gives it colours that show its shape.

    Args:
        scene: One scene, no batch. What of a volume is nearly empty need not be in the picture.
        renderer: By default `OpenGL` for meshes and `EmissionAbsorption` for volumes. One that makes no ``rgb`` shows
            ``alpha``.
        views: How many, evenly spaced.
        size: Pixels a side; each is the mean of four.

    Returns:
        ``[views, 3, size, size]``, linear light, without a gradient.

    Raises:
        MeshError: The mesh has no size; see `Mesh.normalized`.
        VolumeError: A batch of volumes.
        CapabilityError: A renderer of other scenes.
    """
    if renderer is None:
        renderer = renderers.OpenGL() if isinstance(scene, Mesh) else renderers.EmissionAbsorption()
    cameras = Cameras.orbit(views, 3.2, elevation_degrees=15, vertical_fov_degrees=38, image_size=(2 * size, 2 * size))
    output = "rgb" if "rgb" in renderer.capabilities.outputs else "alpha"
    placed, cameras = in_unit_sphere(scene.detach(), cameras.to(scene.device))
    with torch.no_grad():  # one by one, for the memory that volumes need
        frames = [renderer(placed, cameras[view : view + 1], (output,)).as_dict()[output] for view in range(views)]
    return torch.nn.functional.avg_pool2d(torch.cat(frames), 2).expand(-1, 3, -1, -1)


def in_unit_sphere(scene: Mesh | Volume, cameras: Cameras) -> tuple[Mesh | Volume, Cameras]:
    """The scene and the cameras, moved and scaled to where the scene is in the unit sphere at the cameras' origin."""
    if isinstance(scene, Mesh):
        return scene.normalized(), cameras
    center, radius = _ball(scene)
    values = torch.cat([scene.density * radius, scene.values[1:]])
    back = torch.eye(4).to(cameras.world_to_camera)
    back[:3, 3] = -center / radius
    moved = dataclasses.replace(cameras, world_to_camera=cameras.world_to_camera @ back)
    return dataclasses.replace(scene, values=values, extent=scene.extent / radius), moved


def _ball(volume: Volume) -> tuple[Tensor, float]:
    """A centre [3] and a radius within which the volume is; those of the cube if it is empty."""
    if volume.batch_shape:
        raise VolumeError(f"A turntable is that of one volume; got a batch of shape {list(volume.batch_shape)}.")
    occupancy = volume.occupancy[0]
    places = (occupancy > _FAINT * occupancy.max()).nonzero()
    if len(places) == 0:
        return torch.zeros(3, device=volume.device), math.sqrt(3) * volume.extent
    sides = 2 * volume.extent / torch.tensor(volume.resolution, device=volume.device)
    centers = (places + 0.5) * sides - volume.extent
    middle = (centers.amin(0) + centers.amax(0)) / 2
    # A voxel reaches as far as the centres of its neighbours: in between, values are interpolated.
    return middle.flip(0), float(((centers - middle).abs() + sides).norm(dim=-1).max())
