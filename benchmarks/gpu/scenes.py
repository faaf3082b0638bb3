"""Make the meshes, cameras and silhouettes that are rendered and fitted."""

import functools

import torch

from render3d import Cameras, Mesh, Shading
from render3d.data import bunny
from render3d.renderers import OpenGL
from render3d.view_sets import ViewSet

VIEWS = 20
"""Silhouettes of a fit."""


def sphere_vertices(subdivisions: int) -> int:
    """Return the number of vertices of ``Mesh.icosphere(subdivisions)``."""
    return int(10 * 4**subdivisions + 2)


@functools.lru_cache(maxsize=4)
def bumpy_spheres(subdivisions: int, batch: int, device: str) -> Mesh:
    """Make ``batch`` different spheres with the same faces."""
    ball = Mesh.icosphere(subdivisions)
    noise = torch.randn(batch, *ball.vertices.shape, generator=torch.Generator().manual_seed(0))
    return ball.with_vertices(ball.vertices + 0.01 * noise).to(device)


def one_camera_each(batch: int, size: int, device: str) -> Cameras:
    """Make cameras ``[batch, 1]``: one for each mesh of a batch."""
    return Cameras.sphere(batch, 3.0, image_size=(size, size))[:, None].to(device)


@functools.lru_cache(maxsize=4)
def bunny_views(size: int, device: str) -> ViewSet:
    """Render silhouettes of the bunny, ``size`` pixels a side, with OpenGL; the images then go to the device."""
    cameras = Cameras.sphere(VIEWS, 3.0, image_size=(size, size))
    alpha = OpenGL(Shading(samples_per_pixel=4))(bunny().normalized(), cameras, ("alpha",)).alpha
    return ViewSet(cameras.to(device), alpha.to(device), None, tuple(str(number) for number in range(VIEWS)))
