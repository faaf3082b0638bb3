"""Renderers of volumes keep the seam as those of meshes do."""

import dataclasses
from collections.abc import Sequence

import torch

from render3d import Shading, Volume
from render3d.errors import Render3DError, VolumeError
from render3d.renderers import EmissionAbsorption, MaxProjection, Renderer
from render3d.scenes import SceneKind
from render3d.testing.contracts import SeamContract


def block(seed: int) -> Volume:
    """Coloured voxels in one half of a small cube."""
    random = torch.Generator().manual_seed(seed)
    occupancy = torch.zeros(6, 6, 6)
    occupancy[:, 2:4, :3] = torch.rand(6, 2, 3, generator=random)
    return Volume.from_occupancy(occupancy, torch.rand(3, 6, 6, 6, generator=random), extent=0.6)


class VolumeContract(SeamContract):
    def scenes(self) -> Sequence[SceneKind]:
        return [block(0), block(1)]

    def batch(self) -> SceneKind:
        return Volume.stack([block(0), block(1)])

    def broken(self) -> Sequence[tuple[SceneKind, type[Render3DError], str]]:
        values = block(0).values
        return [
            (dataclasses.replace(block(0), values=values * torch.nan), VolumeError, "must be finite"),
            (dataclasses.replace(block(0), values=values - 1), VolumeError, "density must not be negative"),
        ]


class TestEmissionAbsorption(VolumeContract):
    def make_renderer(self, shading: Shading) -> Renderer:
        return EmissionAbsorption()


class TestMaxProjection(VolumeContract):
    def make_renderer(self, shading: Shading) -> Renderer:
        return MaxProjection()
