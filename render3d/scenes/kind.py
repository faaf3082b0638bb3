"""What every kind of scene has in common: the seam between scenes and all that renders, fits and compares them."""

import abc
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, Literal, Self

import torch
from torch import Tensor

from render3d.batches import Batched
from render3d.cameras import Cameras
from render3d.errors import CapabilityError
from render3d.registry import Registry

Role = Literal["shape", "colors"]
"""What an input of a scene decides: where something is seen, or in which colour."""


class SceneKind(Batched, abc.ABC):
    """A kind of scene: what a renderer takes. `Mesh` and `Volume` are two; a subclass from elsewhere is another.

    A subclass is a frozen dataclass whose ``event_dims`` name its tensors; see `render3d.batches`. Indexing, ``.to``,
    ``cat`` and ``stack`` come with that.

    Attributes:
        conversion: How to turn it into a scene of another kind, for messages, such as ``"volume.to_mesh()"``.
    """

    conversion: ClassVar[str] = ""

    @classmethod
    @abc.abstractmethod
    def load(cls, path: str | Path) -> "SceneKind":
        """Read one from a file.

        Raises:
            Render3DError: The file cannot be read.
        """

    @abc.abstractmethod
    def check_values(self) -> None:
        """Raise a `Render3DError` if no image could be made of this, because a value is not finite, for example."""

    @abc.abstractmethod
    def inputs(self) -> Mapping[str, tuple[Tensor, Role]]:
        """Return the tensors that may require a gradient, by name, each with what it decides."""

    @abc.abstractmethod
    def in_unit_sphere(self, cameras: Cameras) -> tuple[Self, Cameras]:
        """Move and scale the scene, or the cameras with it, so that the scene lies in the unit sphere at the origin.

        Args:
            cameras: ``[views]``, round the unit sphere.
        """

    @property
    def batch_shape(self) -> torch.Size:
        """The leading dimensions."""
        return self.leading_shape

    @property
    def size(self) -> str:
        """How large it is, for reports, such as ``"1,280 faces"``."""
        return f"a {type(self).__name__}"


SCENES: Registry[type[SceneKind]] = Registry(
    "kind of scene",
    {"mesh": "render3d.scenes.mesh:Mesh", "volume": "render3d.scenes.volume:Volume"},
    base=SceneKind,
    error=CapabilityError,
)
"""All kinds of scenes, by name."""
