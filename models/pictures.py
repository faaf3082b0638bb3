"""Pictures of volumes for reports: lit, and made by the volume renderer, so that they need no OpenGL."""

import torch
from torch import Tensor

from render3d.cameras import Cameras
from render3d.renderers import EmissionAbsorption
from render3d.scenes import Volume

_LIGHT = (0.4, 0.8, 0.6)
_TINT = (0.35, 0.55, 0.85)


@torch.no_grad()
def portraits(occupancy: Tensor, cameras: Cameras | None = None, size: int = 72) -> Tensor:
    """Volumes ``[N, 1, D, H, W]`` of occupancy 0-1, each from one camera: ``[N, 3, size, size]``, linear light.

    Surfaces are lit by the slope of the occupancy: a fixed light and a tint, for the eye only.

    Args:
        occupancy: What is shown; probabilities look like mist.
        cameras: ``[1]``; by default from the front, a little from the right and above.
        size: Pixels along each side.
    """
    cameras = cameras or Cameras.look_at((1.7, 1.3, 3.0), vertical_fov_degrees=38, image_size=(size, size))
    smooth = torch.nn.functional.avg_pool3d(occupancy.cpu().float(), 3, stride=1, padding=1)
    slope = torch.stack(torch.gradient(smooth[:, 0], dim=(3, 2, 1)), dim=1)  # (x, y, z)
    normals = -torch.nn.functional.normalize(slope, dim=1)
    light = torch.nn.functional.normalize(torch.tensor(_LIGHT), dim=0)
    lit = 0.25 + 0.75 * torch.einsum("nczyx,c->nzyx", normals, light).clamp(min=0)
    colors = lit[:, None] * torch.tensor(_TINT)[:, None, None, None]
    volumes = Volume.from_occupancy(occupancy.cpu().float()[:, 0].clamp(0, 1), colors)
    rgb: Tensor = EmissionAbsorption(samples_per_voxel=2, samples_per_pixel=4)(volumes, cameras, ("rgb",)).rgb[:, 0]
    return rgb


def turntable(occupancy: Tensor, frames: int = 24, size: int = 160) -> Tensor:
    """One volume ``[1, D, H, W]`` from all round, ``[frames, 3, size, size]``, linear light."""
    orbit = Cameras.orbit(frames, 3.7, elevation_degrees=20, vertical_fov_degrees=38, image_size=(size, size))
    return torch.cat([portraits(occupancy[None], orbit[number : number + 1]) for number in range(frames)])
