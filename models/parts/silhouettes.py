"""Silhouettes of volumes: what a model is conditioned on, and what its samples are judged by."""

import math
import warnings
from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

from render3d.cameras import Cameras
from render3d.datasets import RandomCameras
from render3d.renderers import MaxProjection
from render3d.renderers.base import EmptyViewWarning
from render3d.scenes import Volume

CameraKind = Literal["fixed", "random"]

_ELEVATION_DEGREES = 20.0
_OTHERS_DEGREES = (75.0, 150.0)


def context_cameras(views: int, image_size: tuple[int, int]) -> Cameras:
    """Cameras ``[views]`` that are the same for all examples, a little above the horizon.

    They are spread over half a turn: silhouettes from opposite sides tell nearly the same.
    """
    return _at([180 * number / views for number in range(views)], image_size)


def other_cameras(image_size: tuple[int, int]) -> Cameras:
    """Cameras ``[2]``, r1 and r2 of the paper: away from those of up to three views of the context."""
    return _at(_OTHERS_DEGREES, image_size)


@torch.no_grad()
def silhouettes(occupancy: Tensor, cameras: Cameras) -> Tensor:
    """Volumes ``[N, 1, D, H, W]`` of occupancy 0-1, as seen by ``[views]``: ``[N, views, 1, h, w]``, 0-1.

    That of an empty volume is empty.
    """
    volumes = Volume.from_occupancy(occupancy[:, 0])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", EmptyViewWarning)
        alpha: Tensor = MaxProjection()(volumes, cameras, ("alpha",)).alpha
    return alpha


def _at(azimuth_degrees: Sequence[float], image_size: tuple[int, int]) -> Cameras:
    azimuth = torch.tensor(azimuth_degrees).deg2rad()
    height = torch.full_like(azimuth, math.sin(math.radians(_ELEVATION_DEGREES)))
    return RandomCameras(image_size=image_size).at(height, azimuth)
