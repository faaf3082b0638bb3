"""Where the cameras of an object stand: each protocol draws them from the random numbers of that object."""

import abc
import dataclasses
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Self, final

import numpy as np
import torch

from render3d.cameras import Cameras
from render3d.conventions import from_r2n2
from render3d.datasets.checks import check_at_least, check_range
from render3d.datasets.pictures.with_views import RandomCameras
from render3d.view_sets import read_cameras
from render3d.view_sets.transforms import camera_transforms, cameras_of


class CameraProtocol(abc.ABC):
    """Draws the cameras of an object from its random numbers: a frozen dataclass of settings.

    Attributes:
        name: What the command line calls it.
    """

    name: ClassVar[str]

    @abc.abstractmethod
    def __call__(self, generator: np.random.Generator) -> Cameras:
        """Cameras ``[views]``."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class _RoundTheOrigin(CameraProtocol):
    """What cameras that look at the origin from one distance share.

    Attributes:
        views: How many.
        distance: From the origin, scene units. By default the unit sphere fits the image.
        vertical_fov_degrees: As in `Cameras.look_at`.
        image_size: (height, width) in pixels.
        near: As in `Cameras`, scene units.
        far: Likewise; the precision of stored depths is chosen from it.

    Raises:
        CameraError: As `Cameras.look_at`.
        DatasetError: No views, or a distance that is not positive.
    """

    views: int = 24
    distance: float = 3.0
    vertical_fov_degrees: float = 45.0
    image_size: tuple[int, int] = (128, 128)
    near: float = 0.1
    far: float = 10.0

    def __post_init__(self) -> None:
        check_at_least(1, views=self.views)
        check_range(0, math.inf, distance=(self.distance, self.distance))
        _ = self(np.random.default_rng(0))  # whatever no camera can be is refused here

    def _lens(self) -> dict[str, Any]:
        names = ("vertical_fov_degrees", "image_size", "near", "far")
        return {name: getattr(self, name) for name in names}


@final
@dataclasses.dataclass(frozen=True, kw_only=True)
class Orbit(_RoundTheOrigin):
    """Evenly spaced azimuths at one elevation, as `Cameras.orbit`; nothing is random.

    Attributes:
        elevation_degrees: Above the horizon.
    """

    name: ClassVar[str] = "orbit"
    elevation_degrees: float = 20.0

    def __call__(self, generator: np.random.Generator) -> Cameras:
        """Cameras ``[views]``; ``generator`` is not drawn from."""
        return Cameras.orbit(self.views, self.distance, elevation_degrees=self.elevation_degrees, **self._lens())


@final
@dataclasses.dataclass(frozen=True, kw_only=True)
class Sphere(_RoundTheOrigin):
    """Spread evenly over the sphere, as `Cameras.sphere`; nothing is random."""

    name: ClassVar[str] = "sphere"

    def __call__(self, generator: np.random.Generator) -> Cameras:
        """Cameras ``[views]``; ``generator`` is not drawn from."""
        return Cameras.sphere(self.views, self.distance, **self._lens())


@final
@dataclasses.dataclass(frozen=True, kw_only=True)
class Random(_RoundTheOrigin):
    """At random places, other ones for each object, as `RandomCameras`.

    Attributes:
        elevation_degrees: (least, most) above the horizon.
    """

    name: ClassVar[str] = "random"
    elevation_degrees: tuple[float, float] = (-90.0, 90.0)

    def __call__(self, generator: np.random.Generator) -> Cameras:
        """Cameras ``[views]``."""
        names = ("views", "distance", "elevation_degrees", "vertical_fov_degrees", "image_size")
        drawn = RandomCameras(**{name: getattr(self, name) for name in names})(generator)
        return dataclasses.replace(drawn, near=self.near, far=self.far)


@final
@dataclasses.dataclass(frozen=True, kw_only=True)
class R2N2Cameras(CameraProtocol):
    """As the images of Choy et al., "3D-R2N2", ECCV 2016, were made: 137 x 137 pixels, random places.

    Azimuths are uniform in 0-360 degrees, elevations in 25-30, and distances in 0.65-1 of 1.75 scene units. The lens is
    that of `render3d.conventions.from_r2n2`. Objects are those of ShapeNet, about half a unit round the origin: larger
    ones leave the image.

    Attributes:
        views: How many; theirs are 24.
        near: As in `Cameras`, scene units.
        far: Likewise.

    Raises:
        CameraError: Near and far that no camera can have.
        DatasetError: No views.
    """

    name: ClassVar[str] = "r2n2"
    views: int = 24
    near: float = 0.1
    far: float = 10.0

    def __post_init__(self) -> None:
        check_at_least(1, views=self.views)
        _ = self(np.random.default_rng(0))

    def __call__(self, generator: np.random.Generator) -> Cameras:
        """Cameras ``[views]``."""
        azimuth, elevation = generator.uniform(0, 360, self.views), generator.uniform(25, 30, self.views)
        ratio = generator.uniform(0.65, 1, self.views)
        rows = np.stack([azimuth, elevation, np.zeros(self.views), ratio, np.full(self.views, 25.0)], axis=-1)
        return dataclasses.replace(from_r2n2(torch.from_numpy(rows).float()), near=self.near, far=self.far)


@final
@dataclasses.dataclass(frozen=True, kw_only=True)
class Given(CameraProtocol):
    """The same cameras for every object.

    Attributes:
        transforms: The content of a ``transforms.json``, see `render3d.view_sets.transforms.camera_transforms`.

    Raises:
        ViewSetError: They are no cameras.
    """

    name: ClassVar[str] = "given"
    transforms: Mapping[str, Any]

    def __post_init__(self) -> None:
        cameras_of(Path("transforms"), self.transforms)

    @classmethod
    def read(cls, path: str | Path) -> Self:
        """Those of a ``transforms.json``.

        Raises:
            ViewSetError: As `render3d.view_sets.read_cameras`.
        """
        return cls.of(read_cameras(path))

    @classmethod
    def of(cls, cameras: Cameras) -> Self:
        """These, ``[views]``."""
        return cls(transforms=camera_transforms(cameras))

    def __call__(self, generator: np.random.Generator) -> Cameras:
        """Cameras ``[views]``; ``generator`` is not drawn from."""
        return cameras_of(Path("transforms"), self.transforms)


PROTOCOLS: dict[str, type[Any]] = {kind.name: kind for kind in (Orbit, Sphere, Random, R2N2Cameras, Given)}
"""Each by its name."""
