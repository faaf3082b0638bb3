"""Images of one scene with the cameras that took them."""

import dataclasses
import math
from typing import Self, final

import torch
from torch import Tensor

from render3d.cameras import Cameras
from render3d.errors import ShapeError, ViewSetError


@final
@dataclasses.dataclass(frozen=True, eq=False)
class ViewSet:
    """Images of one scene with the cameras that took them.

    Attributes:
        cameras: ``[views]``.
        alpha: ``[views, 1, H, W]`` float32, coverage 0-1: the silhouettes.
        rgb: ``[views, 3, H, W]`` float32, linear light, or None.
        names: One name a view, that of its file.

    Raises:
        ShapeError: Images whose number or size is not that of the cameras.
    """

    cameras: Cameras
    alpha: Tensor
    rgb: Tensor | None
    names: tuple[str, ...]

    def __post_init__(self) -> None:
        size = (self.cameras.views, *self.cameras.image_size)
        for name, image in (("alpha", self.alpha), ("rgb", self.rgb)):
            if image is not None and (image.shape[0], *image.shape[-2:]) != size:
                raise ShapeError(
                    f"{name} must be one image a camera, {size[0]} of {size[1]} x {size[2]} pixels; got shape "
                    f"{list(image.shape)}."
                )
        if len(self.names) != self.cameras.views:
            raise ShapeError(f"names must be one a camera, {self.cameras.views}; got {len(self.names)}.")

    def __len__(self) -> int:
        return len(self.names)

    def to(self, device: torch.device | str) -> Self:
        """The same views on a device."""
        rgb = None if self.rgb is None else self.rgb.to(device)
        return dataclasses.replace(self, cameras=self.cameras.to(device), alpha=self.alpha.to(device), rgb=rgb)

    def select(self, indices: list[int]) -> Self:
        """Some of the views, by number."""
        rgb = None if self.rgb is None else self.rgb[indices]
        names = tuple(self.names[index] for index in indices)
        return dataclasses.replace(self, cameras=self.cameras[indices], alpha=self.alpha[indices], rgb=rgb, names=names)

    def split(self, held_out: int) -> tuple[Self, Self]:
        """Views to learn from and ``held_out`` others, spread evenly over the order they are in.

        Raises:
            ViewSetError: Nothing would be left on one of the sides.
        """
        if not 0 < held_out < len(self):
            raise ViewSetError(
                f"held_out must leave views on both sides; got {held_out} of {len(self)}. Hold out at least one and "
                "keep at least one."
            )
        chosen = {math.floor((number + 0.5) * len(self) / held_out) for number in range(held_out)}
        return self.select([i for i in range(len(self)) if i not in chosen]), self.select(sorted(chosen))
