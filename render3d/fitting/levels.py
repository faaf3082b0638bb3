"""The schedule of a fit to photographs: from small images and large triangles to large images and small ones."""

import dataclasses
from collections.abc import Sequence
from typing import Literal, Self, final

Quality = Literal["draft", "normal", "high"]

EDGE = 4.5
"""How long the sides of triangles are, in pixels of the images that the mesh is fitted to."""

LONGEST_EDGE = 0.07
"""How long they are at most, as a share of the object's radius: where it is small in the images, they show it whole."""

_RATES = (1.0, 0.2)  # largest move in the first and in the last update of a level, pixels


@final
@dataclasses.dataclass(frozen=True, kw_only=True)
class Level:
    """A number of updates at one size of images, for which the mesh is made anew of triangles of one size.

    Attributes:
        stage: Of the fit: ``"shape"``, by silhouettes, or ``"colour"``, by silhouettes and colours.
        pixels: Along the longer side of the images.
        updates: Of the optimiser, over all rounds.
        rounds: How often the optimiser is started anew; colours are found before each round.
        smoothness: As in `TemplateFitSettings`.
        edge: Sides of triangles, pixels.
        rates: Largest move of a coordinate in the first and in the last update, pixels.
        rgb: Weight of colours beside silhouettes.
    """

    stage: Literal["shape", "colour"]
    pixels: int
    updates: int
    rounds: int = 1
    smoothness: float = 1.0
    edge: float = EDGE
    rates: tuple[float, float] = _RATES
    rgb: float = 0.0

    def within(self, longest: int) -> Self:
        """The level for images whose longer side has so many pixels."""
        return dataclasses.replace(self, pixels=min(self.pixels, longest))


def _shape(pixels: int, updates: int, smoothness: float) -> Level:
    return Level(stage="shape", pixels=pixels, updates=updates, smoothness=smoothness)


def _colour(pixels: int, updates: int) -> Level:
    return Level(
        stage="colour",
        pixels=pixels,
        updates=updates,
        rounds=updates // 10,
        smoothness=4.0,
        edge=2.5,  # colours tell more of where the surface is than silhouettes do
        rates=(0.5, 0.1),
        rgb=2.0,
    )


_LEVELS: dict[Quality, tuple[Level, ...]] = {
    "draft": (_shape(256, 40, 1.0), _colour(256, 10)),
    "normal": (_shape(256, 60, 1.0), _shape(512, 40, 4.0), _colour(256, 60)),
    "high": (_shape(256, 60, 1.0), _shape(512, 60, 4.0), _shape(1024, 40, 4.0), _colour(512, 60)),
}


def levels_of(quality: Quality, *, colors: bool) -> Sequence[Level]:
    """The levels of a quality, with or without those of colours, for images as large as the largest of them."""
    return [level for level in _LEVELS[quality] if colors or level.stage == "shape"]


def within(levels: Sequence[Level], image_size: tuple[int, int]) -> Sequence[Level]:
    """The levels for images of this height and width: none of larger images."""
    return [level.within(max(image_size)) for level in levels]
