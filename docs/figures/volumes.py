"""Draws docs/images/volumes.png: the bunny as a mesh, as volumes, and back. Run it from anywhere."""

from pathlib import Path

import torch
from PIL.Image import Image
from torch import Tensor

import render3d as r3
from render3d.data import bunny
from render3d.renderers import EmissionAbsorption, MaxProjection, OpenGL
from render3d.report import slices
from render3d.report.pictures import image_of

TARGET = Path(__file__).resolve().parent.parent / "images" / "volumes.png"
SIDE = 150


def positions(volume: r3.Volume) -> Tensor:
    """``[3, D, H, W]``: where the voxels are, as colours (x, y, z) in 0-1."""
    axes = [(torch.arange(cells) + 0.5) / cells for cells in volume.resolution]
    z, y, x = torch.meshgrid(*axes, indexing="ij")
    return torch.stack([x, y, z])


def panels() -> list[Tensor]:
    """Mesh, coloured volume, fog by emission and absorption, fog by maximum, a slice, and the mesh of 50^3 voxels."""
    mesh = bunny().normalized()
    camera = r3.Cameras.look_at((0.6, 0.6, 2.2), vertical_fov_degrees=44.0, image_size=(SIDE, SIDE))
    volume = r3.Volume.from_mesh(mesh, 96)
    solid, shell = (r3.Volume.from_mesh(mesh, 96, kind=kind).occupancy[0] for kind in ("solid", "surface"))
    colored = r3.Volume.from_occupancy(solid, positions(volume), extent=volume.extent)
    fog = r3.Volume.from_occupancy(0.03 * solid, extent=volume.extent)
    # Denser towards the tips of the ears, so that the maximum is not the same everywhere.
    rising = r3.Volume.from_occupancy(shell * positions(volume)[1], extent=volume.extent)
    opengl = OpenGL(r3.Shading(samples_per_pixel=9))
    drawn = [
        opengl(mesh, camera).rgb,
        EmissionAbsorption(samples_per_pixel=4)(colored, camera).rgb,
        1 - EmissionAbsorption()(fog, camera, ("alpha",)).alpha,
        1 - MaxProjection()(rising, camera).alpha,
        torch.nn.functional.interpolate(slices(r3.Volume.from_mesh(mesh, 50), 1), size=(SIDE, SIDE)),
        opengl(r3.Volume.from_mesh(mesh, 50).to_mesh(), camera).rgb,
    ]
    return [image[0].expand(3, -1, -1) for image in drawn]


def figure() -> Image:
    """All in a row."""
    return image_of(torch.cat(panels(), dim=-1))


if __name__ == "__main__":
    figure().save(TARGET, optimize=True)
