"""Pictures of volumes."""

import dataclasses
import functools

import torch
from torch import Tensor
from torch.nn.functional import avg_pool3d, normalize

from render3d.color import NEUTRAL_GREY
from render3d.errors import VolumeError
from render3d.renderers.deferred import light
from render3d.renderers.shading import Shading
from render3d.scenes import SceneKind, Volume


def slices(volume: Volume, count: int = 9) -> Tensor:
    """Slices through a volume across z, dark or coloured on white, for `gallery`.

    Args:
        volume: One volume, no batch.
        count: How many slices. They stand in the middle of as many equal parts of the cube, from the lowest z on.

    Returns:
        ``[count, 3, H, W]``, or ``[count, 1, H, W]`` if the volume has no colours: linear light. White where nothing is
        occupied, black or of the colour of the volume where all is; row 0 is the highest y, column 0 the lowest x.

    Raises:
        VolumeError: A batch, or a count below 1.
    """
    if volume.batch_shape:
        raise VolumeError(f"slices are those of one volume; got a batch of shape {list(volume.batch_shape)}.")
    if count < 1:
        raise VolumeError(f"count must be at least 1; got {count}.")
    depth = volume.resolution[0]
    chosen = ((torch.arange(count, device=volume.device) + 0.5) * depth / count).long()
    ink = volume.occupancy[:, chosen]
    colors = volume.colors[:, chosen] if volume.colors is not None else torch.zeros_like(ink)
    return (ink * colors + (1 - ink)).transpose(0, 1).flip(-2)


def lit(volume: Volume, shading: Shading | None = None) -> Volume:
    """The volume in colours that show its shape: those it has, or a neutral grey, times the light that falls on it.

    Volumes shine as they are; without this, one of density alone is seen as a grey silhouette. Normals point to where
    occupancy falls, averaged over 3 x 3 x 3 voxels (Levoy, "Display of surfaces from volume data", 1988). Nothing is
    clamped, no voxel shadows another, and what has no slope gets the ambient light.

    Args:
        volume: One volume, no batch; all that it renders is its density and its colours.
        shading: Its lights; by default those of `Shading`.

    Returns:
        The same density, with colours.

    Raises:
        VolumeError: A batch.
    """
    if volume.batch_shape:
        raise VolumeError(f"lit takes one volume; got a batch of shape {list(volume.batch_shape)}.")
    smooth = avg_pool3d(volume.occupancy, 3, stride=1, padding=1)[0]
    size = volume.resolution
    # What ends at the border of the cube falls there.
    padded = torch.nn.functional.pad(smooth, (1,) * 6)
    slopes = [
        (padded.narrow(axis, 2, size[axis]) - padded.narrow(axis, 0, size[axis]))[_inner(axis)] * (size[axis] / 2)
        for axis in (2, 1, 0)
    ]
    normals = normalize(-torch.stack(slopes), dim=0)
    colors = torch.tensor(NEUTRAL_GREY).to(normals)[:, None, None, None] if volume.colors is None else volume.colors
    shone = colors * light(normals[None].flatten(-2), shading or Shading()).reshape(normals.shape)
    return dataclasses.replace(volume, values=torch.cat([volume.density, shone]))


@functools.singledispatch
def shown(scene: SceneKind) -> SceneKind:
    """Return a scene in colours that show its shape: a volume without colours `lit`, and all others as they are."""
    return scene


@shown.register
def _(scene: Volume) -> Volume:
    return lit(scene) if scene.channels == 1 else scene


def _inner(axis: int) -> tuple[slice, ...]:
    return tuple(slice(None) if other == axis else slice(1, -1) for other in range(3))
