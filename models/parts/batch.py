"""What a model learns from: observations, what they are conditioned on, and where they were seen from."""

from typing import NamedTuple

import torch
from torch import Tensor

from render3d.cameras import Cameras
from render3d.scenes import Mesh

Inferred = Tensor | Mesh
"""h, the inferred scene of N examples: a canvas of logits ``[N, C, D, H, W]``, or meshes of batch ``[N]``."""


class Batch(NamedTuple):
    """N examples.

    Attributes:
        x: What is modelled: volumes ``[N, 1, D, H, W]``, or views ``[N, views, C, H, W]``.
        context: The c of the paper: None, labels ``[N]`` of integers, or views ``[N, views, C, H, W]``.
        cameras: ``[N, views]`` or ``[views]``: where the views ``x`` were taken from; None where they are inferred, or
            where ``x`` is a volume.
    """

    x: Tensor
    context: Tensor | None = None
    cameras: Cameras | None = None

    def to(self, device: torch.device | str) -> "Batch":
        """The same on another device."""
        context = None if self.context is None else self.context.to(device)
        return Batch(self.x.to(device), context, None if self.cameras is None else self.cameras.to(device))
