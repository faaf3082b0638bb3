"""Images of solids, each side in a colour of its own: what meshes are inferred from."""

import dataclasses
import math
from pathlib import Path
from typing import Annotated, Any, ClassVar, NamedTuple, final

import numpy as np
import torch
import tyro
from torch import Tensor

from render3d.datasets.base import OF_SOLIDS, ImageSettings, SeededDataset, example_generator, resolve_index
from render3d.datasets.checks import Split, check_at_least, check_range
from render3d.datasets.pictures.colored_meshes import colored, solid_mesh
from render3d.datasets.volumes.drawn import SolidSettings
from render3d.datasets.volumes.poses import random_rotation
from render3d.datasets.volumes.primitives import Primitives
from render3d.renderers import DirectionalLight, OpenGL, Renderer, Shading
from render3d.scenes import Mesh

_AT_ONCE = 250  # meshes a call

SHADING = Shading(
    ambient=(0.25, 0.25, 0.25),
    lights=(
        DirectionalLight(towards=(0.4, 0.8, 0.6), color=(0.4, 0.4, 0.4)),
        DirectionalLight(towards=(-0.7, 0.2, 0.3), color=(0.15, 0.15, 0.15)),
        DirectionalLight(towards=(0.2, -0.4, -0.8), color=(0.1, 0.1, 0.1)),
    ),
)
"""That of all images: three lights, as in the paper, so dim that no surface is as bright as the background.

Where one could be, a model that is not sure of an outline would paint it white, and tilt it towards the light for that.
"""


class ColoredExample(NamedTuple):
    """One image, and what it is an image of."""

    image: Tensor  # [3, H, W] float32, linear light: all that a model sees
    alpha: Tensor  # [1, H, W] float32, coverage
    rotation: Tensor  # [3, 3] float32, from object to world axes
    label: int


@final
@dataclasses.dataclass(frozen=True, kw_only=True)
class ColoredSolidsSettings(SolidSettings, ImageSettings):
    """What the paper says of its images of primitives, and what it leaves open with the reason for each choice.

    It says that each side has its own solid colour, and that there are three lights: `SHADING`. Round sides are parted
    into octants, quadrants and caps, so that an orientation can be seen. Orientations and proportions, in shares of
    ``side``, are those of `SolidSettings`.

    Attributes:
        image_size: Pixels along each side; the paper's other images have about 30.
        side: Of the cube that a solid fits in before it is turned, scene units; it is at the origin.
        distance: Of the camera from the origin, scene units; it looks along the negative z axis.
        vertical_fov_degrees: Of the camera. With these, the image's sides are twice as long as the cube's, and no
            orientation touches its border.
        train: Examples an epoch; each draws new ones.
        validation: Examples, fixed.
        test: Examples, fixed.
    """

    image_size: Annotated[int, tyro.conf.arg(name="size")] = 32
    side: float = 1.0
    distance: float = 3.2
    vertical_fov_degrees: Annotated[float, tyro.conf.arg(name="fov")] = 35.0
    train: int = 6_000
    validation: int = 600
    test: int = 600

    def __post_init__(self) -> None:
        super().__post_init__()
        check_at_least(1, image_size=self.image_size)
        check_range(0, self.distance / math.sqrt(3), side=(self.side, self.side))

    def dataset(self, split: Split, path: Path | None = None, *, seed: int = 0) -> "ColoredSolids":
        """As `DatasetSettings.dataset`; there are no files."""
        return ColoredSolids(split, self, seed=seed)


@final
class ColoredSolids(SeededDataset[ColoredExample, ColoredSolidsSettings]):
    """Images of cubes, spheres, pyramids, cylinders, capsules and ellipsoids (Rezende et al., 2016).

    The label of example ``index`` is ``index % 6``. All images of an epoch are drawn when the first is asked for, and
    kept: 20 kB each. OpenGL does not survive a fork: ``DataLoader(..., multiprocessing_context="spawn")``.

    Args:
        split: ``"train"``, ``"validation"`` or ``"test"``.
        settings: See `ColoredSolidsSettings`.
        seed: As in `SeededDataset`.
        renderer: Of meshes with colours of faces; by default `OpenGL`, with `SHADING`.

    Raises:
        DatasetError: As in `SeededDataset`.
    """

    classes: tuple[str, ...] = Primitives.classes
    defaults: ClassVar[type[Any]] = ColoredSolidsSettings

    def __init__(
        self,
        split: Split,
        settings: ColoredSolidsSettings | None = None,
        *,
        seed: int = 0,
        renderer: Renderer | None = None,
    ) -> None:
        super().__init__(split, settings, seed=seed)
        self.renderer = OpenGL(SHADING) if renderer is None else renderer
        self._drawn: tuple[int, list[ColoredExample]] | None = None  # the epoch, and its examples

    def __getitem__(self, index: int) -> ColoredExample:
        """Example ``index``; negative ones count from the end. An IndexError beyond, as of a list."""
        number = resolve_index(index, len(self))
        if self._drawn is None or self._drawn[0] != self.epoch:
            self._drawn = (self.epoch, self._draw())
        return self._drawn[1][number]

    def solid(self, index: int) -> Mesh:
        """What example ``index`` is an image of, turned as it is there."""
        number = resolve_index(index, len(self))
        return self._solids([number])[0][0]

    def _draw(self) -> list[ColoredExample]:
        found: dict[int, ColoredExample] = {}
        for label in range(len(self.classes)):
            numbers = range(label, len(self), len(self.classes))
            for first in range(0, len(numbers), _AT_ONCE):
                some = numbers[first : first + _AT_ONCE]
                meshes, rotations = self._solids(some)
                with torch.no_grad():
                    seen = self.renderer(meshes, self.settings.camera, ("rgb", "alpha"))
                pictures = zip(seen.rgb[:, 0], seen.alpha[:, 0], rotations, strict=True)
                found.update(zip(some, (ColoredExample(*each, label) for each in pictures), strict=True))
        return [found[number] for number in range(len(self))]

    def _solids(self, numbers: range | list[int]) -> tuple[Mesh, Tensor]:
        """Solids ``[N]`` of one kind, and their rotations ``[N, 3, 3]``."""
        stream = self.stream(self.seed, OF_SOLIDS)
        generators = [example_generator(stream, number) for number in numbers]
        label = numbers[0] % len(self.classes)
        kind = self.classes[label]
        rotations = np.stack([random_rotation(each, self.settings.rotations) for each in generators])
        diameters = self.settings.side * np.stack([self.settings.diameters(kind, each) for each in generators])
        vertices = solid_mesh(kind).sized(diameters) @ rotations.swapaxes(-1, -2)
        mesh = colored(kind, label, len(self.classes), torch.from_numpy(vertices).float())
        return mesh, torch.from_numpy(rotations).float()
