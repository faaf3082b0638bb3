"""Renderings: what comes back from a renderer."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self, final

import torch
from torch import Tensor

from render3d.batches import cat_leading, check_shape, index_leading
from render3d.errors import CapabilityError

CHANNELS = {"rgb": 3, "alpha": 1, "depth": 1, "normal": 3, "face_index": 1, "barycentric": 3}


def to_float(stored: Tensor) -> Tensor:
    """An image as float32, from the type it is kept in: ``uint8`` means fractions of 255."""
    return stored.float() / 255 if stored.dtype == torch.uint8 else stored.float()


@final
class Rendering:
    """Named images of leading shape ``[*batch, views]``, channel first, row 0 at the top.

    ======================= ====================================================================================
    ``rgb``                 ``[..., 3, H, W]`` float32, linear light, composited over the renderer's background
    ``alpha``               ``[..., 1, H, W]`` float32, the share of the pixel that is covered, 0-1
    ``depth``               ``[..., 1, H, W]`` float32, camera z in scene units, 0 where nothing is
    ``normal``              ``[..., 3, H, W]`` float32, unit, in world axes, turned to the camera, 0 where nothing is
    ``face_index``          ``[..., 1, H, W]`` int64, -1 where nothing is
    ``barycentric``         ``[..., 3, H, W]`` float32, perspective-correct weights of the face's vertices, or 0
    ======================= ====================================================================================

    Only the images that were asked for are there; another raises a `CapabilityError` that names ``outputs=``.

    Images are kept in the type they were made in and become the types above when first read: ``uint8`` means fractions
    of 255. A framebuffer of many noisy samples stays small that way; `stored` gives it as it is.
    """

    def __init__(self, images: Mapping[str, Tensor]) -> None:
        for name, image in images.items():
            check_shape(image, f"*views {CHANNELS[name]} H W", name=name)
        self._images = dict(images)

    def _read(self, name: str) -> Tensor:
        image = self.stored(name)
        return image.long() if name == "face_index" else to_float(image)

    def stored(self, name: str) -> Tensor:
        """The image in the type it is kept in."""
        if name not in self._images:
            had = ", ".join(self._images)
            raise CapabilityError(
                f"This rendering has {had} and no {name!r}. Ask for it: renderer(scene, cameras, outputs=({name!r},))."
            )
        return self._images[name]

    @property
    def rgb(self) -> Tensor:
        """``[..., 3, H, W]`` float32, linear light."""
        return self._read("rgb")

    @property
    def alpha(self) -> Tensor:
        """``[..., 1, H, W]`` float32, coverage 0-1."""
        return self._read("alpha")

    @property
    def depth(self) -> Tensor:
        """``[..., 1, H, W]`` float32, camera z in scene units, 0 where nothing is."""
        return self._read("depth")

    @property
    def normal(self) -> Tensor:
        """``[..., 3, H, W]`` float32, unit, world axes."""
        return self._read("normal")

    @property
    def face_index(self) -> Tensor:
        """``[..., 1, H, W]`` int64, -1 where nothing is."""
        return self._read("face_index")

    @property
    def barycentric(self) -> Tensor:
        """``[..., 3, H, W]`` float32."""
        return self._read("barycentric")

    @property
    def outputs(self) -> tuple[str, ...]:
        """The names of the images that are there."""
        return tuple(self._images)

    @property
    def leading_shape(self) -> torch.Size:
        """``[*batch, views]``."""
        return next(iter(self._images.values())).shape[:-3]

    @property
    def image_size(self) -> tuple[int, int]:
        """``(height, width)`` in pixels."""
        height, width = next(iter(self._images.values())).shape[-2:]
        return height, width

    @property
    def device(self) -> torch.device:
        """The device of the images: that of the scene."""
        return next(iter(self._images.values())).device

    def to(self, device: torch.device | str) -> Self:
        """The same on another device."""
        return type(self)({name: image.to(device) for name, image in self._images.items()})

    def detach(self) -> Self:
        """The same values, cut from the autograd graph."""
        return type(self)({name: image.detach() for name, image in self._images.items()})

    def __getitem__(self, index: Any) -> Self:
        """Index the leading dimensions, as in torch."""
        return type(self)({name: index_leading(image, 3, index) for name, image in self._images.items()})

    @classmethod
    def cat(cls, items: Sequence[Self], dim: int = -1) -> Self:
        """Join along leading dimension ``dim``; the default is the last, the views."""
        names = items[0].outputs
        return cls({name: cat_leading([item.stored(name) for item in items], 3, dim) for name in names})

    @classmethod
    def stack(cls, items: Sequence[Self]) -> Self:
        """Join along a new first dimension."""
        return cls({name: torch.stack([item.stored(name) for item in items]) for name in items[0].outputs})

    def as_dict(self) -> dict[str, Tensor]:
        """The images by name."""
        return {name: self._read(name) for name in self._images}

    def channels_last(self) -> dict[str, Tensor]:
        """The images as ``[..., H, W, C]``, by name."""
        return {name: image.movedim(-3, -1) for name, image in self.as_dict().items()}

    def save(self, folder: str | Path) -> list[Path]:
        """Write every image to ``folder`` and return the paths; see `render3d.images.files.save_rendering`."""
        from render3d.images.files import save_rendering

        return save_rendering(self, Path(folder))

    def __repr__(self) -> str:
        images = ", ".join(f"{name}={list(image.shape)} {image.dtype}" for name, image in self._images.items())
        return f"Rendering({images}, device={str(self.device)!r})"
