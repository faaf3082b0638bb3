"""How far inferred orientations are from true ones, where the frame of what is inferred is free."""

import math

import torch
from torch import Tensor

ANGLE_BY_CHANCE = 90 + 360 / math.pi**2
"""Degrees: the mean angle of a uniformly random rotation, 126.5."""


def angles(rotations: Tensor) -> Tensor:
    """``[...]``, degrees from 0 to 180: by how much rotations ``[..., 3, 3]`` turn."""
    trace = torch.diagonal(rotations, dim1=-2, dim2=-1).sum(-1)
    return torch.rad2deg(torch.arccos(((trace - 1) / 2).clamp(-1, 1)))


def free_frames(inferred: Tensor, true: Tensor, labels: Tensor, classes: int) -> Tensor:
    """``[classes, 3, 3]``: for each class the one rotation G of its frame for which ``inferred`` is nearest ``true G``.

    A model that is told nothing of a frame may choose any for each kind of object. Of the frames ``true_i^-1
    inferred_i`` that the examples themselves tell, the one of the least mean angle is taken: a mean over rotations
    would be pulled by those that are wrong altogether.

    Args:
        inferred: ``[N, 3, 3]``, from the inferred object's axes to the world's.
        true: ``[N, 3, 3]``, from the true object's axes.
        labels: ``[N]``, the class of each.
        classes: How many there are; those without an example keep their frame.
    """
    frames = torch.eye(3).to(true).repeat(classes, 1, 1)
    for label in sorted(set(labels.tolist())):
        told = true[labels == label].mT @ inferred[labels == label]
        frames[label] = told[angles(told.mT[:, None] @ told).mean(0).argmin()]
    return frames


def orientation_errors(inferred: Tensor, true: Tensor, labels: Tensor, frames: Tensor) -> Tensor:
    """``[N]``, degrees: the angles between ``inferred`` and ``true``, in frames that were fitted to other examples."""
    return angles(inferred.mT @ true @ frames[labels])
