"""Coarse voxels, and images of the true solids that they stand for."""

import dataclasses
from typing import NamedTuple

import numpy as np
from torch import Tensor

import render3d as r3
from render3d.datasets import Primitives, PrimitivesSettings, RandomCameras, WithViews
from render3d.datasets.checks import Split
from render3d.renderers import OpenGL

# Translations that are no whole voxels: so the same solids can be had on a finer grid.
COARSE = PrimitivesSettings(whole_voxels=False)
_FINER = 3  # odd: then the centre of a coarse voxel is the centre of a fine one
FINE = dataclasses.replace(
    COARSE,
    size=_FINER * COARSE.size,
    solid_size=_FINER * COARSE.solid_size,
    translation=_FINER * COARSE.translation,
)


class Zone(NamedTuple):
    """Where cameras may be: at any azimuth, (least, most) elevation in degrees and distance in scene units.

    They look at the origin through 32 x 32 pixels and 50 degrees. That near a cube of side 2, perspective is strong.
    """

    elevation_degrees: tuple[float, float]
    distance: tuple[float, float]

    def draw(self, generator: np.random.Generator, views: int) -> r3.Cameras:
        """Cameras ``[views]``, each at a distance of its own."""
        return r3.Cameras.cat(
            [
                RandomCameras(
                    distance=generator.uniform(*self.distance),
                    elevation_degrees=self.elevation_degrees,
                    vertical_fov_degrees=50.0,
                    image_size=(32, 32),
                )(generator)
                for _ in range(views)
            ]
        )


ZONES = {
    "as in training": Zone((-30.0, 30.0), (2.6, 3.6)),
    "from above": Zone((45.0, 80.0), (2.6, 3.6)),
    "nearer": Zone((-30.0, 30.0), (1.9, 2.4)),
    "farther": Zone((-30.0, 30.0), (4.5, 6.0)),
}
"""Cameras of training, first, and where no camera was in training."""


@dataclasses.dataclass(frozen=True)
class Posed:
    """N solids and images of them."""

    volumes: r3.Volume  # [N], 30^3 voxels
    cameras: r3.Cameras  # [N, views]
    alpha: Tensor  # [N, views, 1, H, W], 0 or 1
    depth: Tensor  # the same, camera z; 0 where nothing is

    def __len__(self) -> int:
        return len(self.alpha)

    def first(self, count: int) -> "Posed":
        """The first solids."""
        return Posed(self.volumes[:count], self.cameras[:count], self.alpha[:count], self.depth[:count])

    def pick(self, solids: Tensor, views: Tensor) -> "Posed":
        """One view each, ``[len(solids), 1]``, of some solids."""
        seen = solids[:, None], views[:, None]
        return Posed(self.volumes[solids], self.cameras[seen], self.alpha[seen], self.depth[seen])


def make_views(split: Split, zone: str, solids: int, views: int) -> Posed:
    """The first solids of a split, with OpenGL images of their fine meshes from cameras drawn in a zone."""
    fine = WithViews(
        Primitives(split, FINE),
        lambda generator: ZONES[zone].draw(generator, views),
        OpenGL(),
        ("alpha", "depth"),
        seed=list(ZONES).index(zone),
    )
    coarse = Primitives(split, COARSE)
    found = []
    for index in range(solids):
        example = fine[index]  # whose volume is large, and not kept
        found.append((coarse[index].volume[0], example.cameras, example.images["alpha"], example.images["depth"]))
    occupancy, cameras, alpha, depth = r3.collate(found)
    return Posed(r3.Volume.from_occupancy(occupancy), cameras, alpha, depth)
