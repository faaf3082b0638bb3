"""Images of one scene with the cameras that took them."""

import dataclasses
import math
from collections.abc import Mapping
from typing import Self, final

import torch
from torch import Tensor

from render3d.cameras import Cameras
from render3d.errors import ShapeError, ViewSetError

SPLITS = ("train", "val", "test")
"""What views are for: the first is learned from, the others are held out."""


@final
@dataclasses.dataclass(frozen=True, eq=False)
class ViewSet:
    """Images of one scene with the cameras that took them.

    Attributes:
        cameras: ``[views]``.
        alpha: ``[views, 1, H, W]`` float32, coverage 0-1: the silhouettes.
        rgb: ``[views, 3, H, W]`` float32, linear light, or None.
        names: One name a view, that of its file.
        splits: One of `SPLITS` a view; empty where its files do not tell.
        depth: ``[views, 1, H, W]`` float32, camera z in scene units, 0 where nothing is; or None.
        normal: ``[views, 3, H, W]`` float32, unit length, in the world; or None.

    Raises:
        ShapeError: Images whose number or size is not that of the cameras.
    """

    cameras: Cameras
    alpha: Tensor
    rgb: Tensor | None
    names: tuple[str, ...]
    splits: tuple[str, ...] = ()
    depth: Tensor | None = None
    normal: Tensor | None = None

    def __post_init__(self) -> None:
        size = (self.cameras.views, *self.cameras.image_size)
        for name, image in self.images.items():
            if (image.shape[0], *image.shape[-2:]) != size:
                raise ShapeError(
                    f"{name} must be one image a camera, {size[0]} of {size[1]} x {size[2]} pixels; got shape "
                    f"{list(image.shape)}."
                )
        for name, words in (("names", self.names), ("splits", self.splits)):
            if len(words) != self.cameras.views and (words or name == "names"):
                raise ShapeError(f"{name} must be one a camera, {self.cameras.views}; got {len(words)}.")

    def __len__(self) -> int:
        return len(self.names)

    @property
    def images(self) -> dict[str, Tensor]:
        """The images that there are, by name: ``"alpha"``, ``"rgb"``, ``"depth"`` and ``"normal"``."""
        found = {"alpha": self.alpha, "rgb": self.rgb, "depth": self.depth, "normal": self.normal}
        return {name: image for name, image in found.items() if image is not None}

    def to(self, device: torch.device | str) -> Self:
        """The same views on a device."""
        return self.with_images(
            {name: image.to(device) for name, image in self.images.items()}, self.cameras.to(device)
        )

    def with_images(self, images: Mapping[str, Tensor], cameras: Cameras | None = None) -> Self:
        """The same views with these images and no others, by name, ``"alpha"`` among them; and with other cameras."""
        optional = {name: images.get(name) for name in ("rgb", "depth", "normal")}
        return type(self)(cameras or self.cameras, images["alpha"], names=self.names, splits=self.splits, **optional)

    def select(self, indices: list[int]) -> Self:
        """Some of the views, by number."""
        images = {name: image[indices] for name, image in self.images.items()}
        words = (tuple(each[index] for index in indices) if each else () for each in (self.names, self.splits))
        names, splits = words
        optional = {name: images.get(name) for name in ("rgb", "depth", "normal")}
        return type(self)(self.cameras[indices], images["alpha"], names=names, splits=splits, **optional)

    @property
    def knows_split(self) -> bool:
        """Whether its files say which views are held out, and which not."""
        return len({split == SPLITS[0] for split in self.splits}) == 2

    def split(self, held_out: int | None = None) -> tuple[Self, Self]:
        """Views to learn from, and those that are held out.

        Args:
            held_out: How many are held out, spread evenly over the order they are in, whatever their files say. None:
                those that their files do not count to ``"train"``.

        Raises:
            ViewSetError: Nothing would be left on one of the sides.
        """
        if held_out is None:
            if not self.knows_split:
                raise ViewSetError("held_out must be a number: the files of these views do not say which are held out.")
            chosen = {number for number, split in enumerate(self.splits) if split != SPLITS[0]}
        else:
            chosen = self._spread(held_out)
        return self.select([i for i in range(len(self)) if i not in chosen]), self.select(sorted(chosen))

    def _spread(self, held_out: int) -> set[int]:
        if not 0 < held_out < len(self):
            raise ViewSetError(
                f"held_out must leave views on both sides; got {held_out} of {len(self)}. Hold out at least one and "
                "keep at least one."
            )
        return {math.floor((number + 0.5) * len(self) / held_out) for number in range(held_out)}
