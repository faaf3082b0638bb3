"""Pictures of volumes for reports: lit, and made by the volume renderer, so that they need no OpenGL."""

import torch
from torch import Tensor

from render3d import report
from render3d.cameras import Cameras
from render3d.renderers import EmissionAbsorption
from render3d.scenes import Volume

_TINT = (0.35, 0.55, 0.85)


@torch.no_grad()
def portraits(occupancy: Tensor, size: int = 72) -> Tensor:
    """Volumes ``[N, 1, D, H, W]`` of occupancy 0-1, each from the front: ``[N, 3, size, size]``, linear light.

    From a little to the right and above. Probabilities look like mist.
    """
    cameras = Cameras.look_at((1.7, 1.3, 3.0), vertical_fov_degrees=38, image_size=(size, size))
    return seen_from(occupancy, cameras)[:, 0]


@torch.no_grad()
def seen_from(occupancy: Tensor, cameras: Cameras) -> Tensor:
    """The same from cameras ``[views]``: ``[N, views, 3, h, w]``, linear light."""
    volumes = Volume.stack([report.lit(volume) for volume in _tinted(occupancy).elements()])
    rgb: Tensor = EmissionAbsorption(samples_per_voxel=2, samples_per_pixel=4)(volumes, cameras, ("rgb",)).rgb
    return rgb


def turntable(occupancy: Tensor) -> Tensor:
    """One volume ``[1, D, H, W]`` from all round, ``[views, 3, H, W]``, linear light."""
    return report.turntable(report.lit(_tinted(occupancy)), EmissionAbsorption(samples_per_voxel=2), views=24, size=160)


def _tinted(occupancy: Tensor) -> Volume:
    opaque = occupancy.cpu().float().clamp(0, 1)
    tint = torch.tensor(_TINT)[:, None, None, None].expand(*opaque.shape[:-4], 3, *opaque.shape[-3:])
    return Volume.from_occupancy(opaque.squeeze(-4), tint)
