"""How a rendering differs from views, pixel by pixel: what fits of meshes make small."""

import dataclasses
from typing import final

import torch
from torch import Tensor

from render3d.color import linear_to_srgb
from render3d.images import Rendering
from render3d.view_sets import ViewSet

_WHOLE = 0.999  # coverage of a pixel that shows nothing but the object
_MARGIN = 2  # pixels: masks are rarely right to less, and what lies beside the object is not to colour it


@final
@dataclasses.dataclass(frozen=True)
class Weights:
    """What counts beside the squared difference of coverage, and how much.

    Attributes:
        rgb: Of the squared difference of sRGB colours, summed over the channels.
        depth: Of the squared difference of depth, in shares of ``length``.
        normal: Of the squared difference of the normals' vectors.
        length: Scene units that count as one.
    """

    rgb: float = 0.0
    depth: float = 0.0
    normal: float = 0.0
    length: float = 1.0

    @property
    def images(self) -> tuple[str, ...]:
        """What is compared beside coverage, by the names of `Rendering`."""
        return tuple(name for name in ("rgb", "depth", "normal") if getattr(self, name) > 0)


@final
class PixelLoss:
    """The difference of a rendering and ``views``, as ``expected_loss`` takes it: ``[..., views, H, W]``.

    Colours, depth and normals count where the object covers the view's pixel and those round it; depth and normals,
    where the rendering covers it too.
    """

    def __init__(self, views: ViewSet, weights: Weights) -> None:
        self.alpha, self.weights = views.alpha, weights
        self.outputs = ("alpha", *weights.images)
        images = views.images
        self.targets = {name: images[name] for name in weights.images}
        if "rgb" in self.targets:
            self.targets["rgb"] = linear_to_srgb(self.targets["rgb"])
        side = 2 * _MARGIN + 1
        covered = (views.alpha > _WHOLE).float()
        self.inside = -torch.nn.functional.max_pool2d(-covered, side, stride=1, padding=_MARGIN)

    def __call__(self, rendering: Rendering) -> Tensor:
        """The loss of each pixel."""
        loss = (rendering.alpha - self.alpha).square()
        for name in self.weights.images:
            loss = loss + getattr(self.weights, name) * self._difference(name, rendering)
        return loss.squeeze(-3)

    def _difference(self, name: str, rendering: Rendering) -> Tensor:
        if name == "rgb":
            counts, image = self.inside, linear_to_srgb(rendering.rgb)
        else:
            counts, image = self.inside * (rendering.alpha.detach() > _WHOLE), getattr(rendering, name)
        scale = self.weights.length if name == "depth" else 1.0
        squares: Tensor = ((image - self.targets[name]) / scale).square()
        return counts * squares.sum(-3, keepdim=True)
