"""How well pictures of depth agree, and what a model's are compared with."""

import dataclasses
import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from render3d.cameras import Cameras, rigid
from render3d.metrics import silhouette_iou
from render3d.models.parts.depth_pictures import COVERED, DepthPictures, depth_of
from render3d.models.parts.posed_views import density_of
from render3d.renderers import EmissionAbsorption

_FACTORS = tuple(10 ** (step / 4) for step in range(-8, 5))  # of density


class DepthScores(NamedTuple):
    """Of each object, over its views: ``[N]``.

    Attributes:
        rmse: Root of the mean squared difference of all pixels, in brightness.
        depth_rmse: The same of camera z where both cover a pixel and those round it, scene units; NaN if that is
            nowhere.
        iou: Of silhouettes.
    """

    rmse: Tensor
    depth_rmse: Tensor
    iou: Tensor


def score(found: Tensor, truth: Tensor, cameras: Cameras) -> DepthScores:
    """Compare pictures ``[N, views, 1, H, W]`` of `DepthPictures` from the same cameras ``[N, views]``."""
    either_not = ((found <= COVERED) | (truth <= COVERED)).to(found)
    # Pixels at rims are covered in part, and do not tell a depth.
    both = torch.nn.functional.max_pool2d(either_not.flatten(0, 1), 3, 1, 1).reshape(found.shape) == 0
    depth_error = (depth_of(found, 1.0, cameras) - depth_of(truth, 1.0, cameras)).square()
    depth = (depth_error * both).flatten(1).sum(1) / both.flatten(1).sum(1)
    return DepthScores(
        (found - truth).square().flatten(1).mean(1).sqrt(),
        depth.sqrt(),
        silhouette_iou(found, truth, threshold=COVERED).mean(1),
    )


def nearest_given(given: Tensor, rig: Cameras, cameras: Cameras) -> Tensor:
    """The given view ``[N, given, 1, H, W]`` whose camera, of a rig, has the smallest angle to each of ``[N, views]``.

    Returns:
        ``[N, views, 1, H, W]``.
    """
    angles = degrees_between(cameras.position[..., :, None, :], rig.position)
    chosen = angles.argmin(-1)[..., None, None, None].expand(-1, -1, *given.shape[2:])
    return given.gather(1, chosen)


def degrees_between(first: Tensor, second: Tensor) -> Tensor:
    """The angle between directions ``[..., 3]``."""
    first, second = (torch.nn.functional.normalize(each.double(), dim=-1) for each in (first, second))
    # Of the chord: exact for small angles too.
    chord = (first - second).norm(dim=-1)
    return torch.rad2deg(2 * torch.asin((chord / 2).clamp(max=1)))


def turned(cameras: Cameras, degrees: float) -> Cameras:
    """The cameras carried round the vertical axis, by an angle that takes +Z towards +X."""
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    back = torch.tensor([[cos, 0.0, -sin], [0.0, 1.0, 0.0], [sin, 0.0, cos]])
    pose = rigid(back, torch.zeros(3)).to(cameras.world_to_camera)
    return dataclasses.replace(cameras, world_to_camera=cameras.world_to_camera @ pose)


def best_turn(draw: Callable[[Cameras], Tensor], rig: Cameras, given: Tensor) -> float:
    """By how many degrees about the vertical axis a model's frame is turned from that of a rig, -180 to 180.

    Cameras look upright, so no other turn leaves all pictures as they are. It is the one angle for all objects at which
    the given views are drawn best; tried every 10 degrees, and then every degree near the best. It is 0 unless that
    draws them better than no turn by more than two standard errors over the objects: solids look much the same turned.

    Args:
        draw: Pictures of N objects from the cameras ``[given]``.
        rig: Cameras of the given views.
        given: ``[N, given, 1, H, W]``.
    """

    def errors(degrees: float) -> Tensor:
        return (draw(turned(rig, degrees)) - given).square().flatten(1).mean(1).double()

    def error(degrees: float) -> float:
        return float(errors(degrees).mean())

    rough = min(range(-180, 180, 10), key=error)
    fine = min(range(rough - 9, rough + 10), key=error)
    gain = errors(0) - errors(fine)
    if len(gain) > 1 and float(gain.mean()) <= 2 * float(gain.std()) / math.sqrt(len(gain)):
        return 0.0
    return float((fine + 180) % 360 - 180)


def best_density(canvas: Tensor, rig: Cameras, given: Tensor) -> float:
    """The factor of the density with which `analytic` draws the given views ``[N, given, 1, H, W]`` best."""
    return min(_FACTORS, key=lambda factor: float((analytic(canvas, factor, rig) - given).square().mean()))


def analytic(canvas: Tensor, factor: float, cameras: Cameras) -> Tensor:
    """The density of canvases ``[N, C, D, H, W]``, times a factor, by `EmissionAbsorption`: ``[N, views, 1, H, W]``."""
    density = density_of(canvas)
    pictures: Tensor = DepthPictures(EmissionAbsorption())(
        dataclasses.replace(density, values=density.values * factor), cameras
    )
    return pictures
