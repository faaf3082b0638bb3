"""Noise: what is perturbed, by which law, and how much."""

import dataclasses
import math
from typing import final

from torch import Tensor

from render3d.randomness import Key, standard_normal
from render3d.scenes import Mesh


@final
@dataclasses.dataclass(frozen=True, kw_only=True)
class Gaussian:
    """Independent normal noise on the coordinates of the vertices, shared by all views of an object.

    Attributes:
        scale: Standard deviation in scene units. It is a setting, not a parameter: no gradient reaches it.
    """

    scale: float = 0.02

    def __post_init__(self) -> None:
        if not (self.scale > 0 and math.isfinite(self.scale)):
            raise ValueError(f"scale must be a positive number of scene units; got {self.scale}.")

    def draw(self, key: Key, samples: int, mesh: Mesh) -> Tensor:
        """Displacements ``[samples, *batch, V, 3]`` of the vertices of ``mesh``, in world axes, on its device."""
        batch, event = mesh.batch_shape, mesh.vertices.shape[-2:]
        normal = standard_normal(key, samples, batch.numel(), tuple(event))
        return (normal * self.scale).reshape(samples, *batch, *event).to(mesh.vertices)

    def score(self, displacements: Tensor) -> Tensor:
        """The gradient, in the mean, of the log-density of each displacement: ``displacement / scale**2``."""
        return displacements / self.scale**2
