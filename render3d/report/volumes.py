"""Pictures of volumes."""

import torch
from torch import Tensor

from render3d.errors import VolumeError
from render3d.scenes import Volume


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
