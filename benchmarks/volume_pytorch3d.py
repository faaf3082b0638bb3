"""PyTorch3D's ``VolumeRenderer``, as a peer of `benchmarks.volume` where that library is installed."""

import importlib.util
import math
from typing import Any

import torch
from torch import Tensor

from render3d.cameras import Cameras
from render3d.conventions import to_pytorch3d


def is_installed() -> bool:
    """Whether there is a PyTorch3D with a renderer; that is not imported."""
    try:
        return importlib.util.find_spec("pytorch3d.renderer") is not None
    except (ModuleNotFoundError, ValueError):
        return False


def pytorch3d_rays(values: Tensor, cameras: Cameras, points: int) -> Tensor:
    """``[N, 1 or 4, H, W]`` of values ``[N, 1 or 4, D, H, W]`` in [-1, 1]^3 and cameras ``[N, 1]``: alpha, then rgb.

    Its points are opacities: those of the step between them, which is the same on all rays. They span the sphere round
    the cube, since it does not clip rays.
    """
    from pytorch3d.renderer import (
        AbsorptionOnlyRaymarcher,
        EmissionAbsorptionRaymarcher,
        NDCMultinomialRaysampler,
        PerspectiveCameras,
        VolumeRenderer,
    )
    from pytorch3d.structures import Volumes

    colored = values.shape[1] == 4
    distance = float(cameras.position.norm(dim=-1).mean())
    height, width = cameras.image_size
    sampler = NDCMultinomialRaysampler(
        image_width=width,
        image_height=height,
        n_pts_per_ray=points,
        min_depth=distance - math.sqrt(3),
        max_depth=distance + math.sqrt(3),
        unit_directions=True,
    )
    march: Any = EmissionAbsorptionRaymarcher() if colored else AbsorptionOnlyRaymarcher()
    opacity = -torch.expm1(-values[:, :1] * (2 * math.sqrt(3) / (points - 1)))
    volumes = Volumes(densities=opacity, features=values[:, 1:] if colored else None, voxel_size=2 / values.shape[-1])
    theirs = to_pytorch3d(cameras)
    seen_by = PerspectiveCameras(
        R=theirs.R.flatten(0, -3),
        T=theirs.T.flatten(0, -2),
        focal_length=theirs.focal_length.flatten(0, -2),
        principal_point=theirs.principal_point.flatten(0, -2),
    )
    images: Tensor = VolumeRenderer(sampler, march)(cameras=seen_by, volumes=volumes)[0].movedim(-1, 1)
    alpha = images[:, -1:]
    return torch.cat([alpha, images[:, :3] + (1 - alpha)], dim=1) if colored else alpha
