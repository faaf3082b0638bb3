"""Scenes that show what symmetric ones hide."""

import dataclasses
import math
from typing import Literal

import torch

from render3d.cameras import Cameras
from render3d.scenes import Mesh, Texture


def asymmetric_mesh() -> Mesh:
    """Three bars of different length, width and colour along +X, +Y and +Z: no two views of it look alike.

    Closed bars, 36 faces, within the unit sphere; the colours of each bar's vertices run from dark to bright.
    """
    sizes = torch.tensor([[1.1, 0.34, 0.4], [0.31, 0.9, 0.36], [0.45, 0.25, 0.8]])
    corners = torch.cartesian_prod(*[torch.tensor([0.0, 1.0])] * 3)
    quads = torch.tensor([[0, 1, 3, 2], [4, 6, 7, 5], [0, 4, 5, 1], [2, 3, 7, 6], [0, 2, 6, 4], [1, 5, 7, 3]])
    faces = torch.cat([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]])
    origins = torch.tensor([[-0.3, -0.2, -0.25], [-0.23, -0.26, -0.1], [-0.27, -0.14, -0.3]])  # no faces in one plane
    vertices = (origins[:, None] + corners * sizes[:, None]).reshape(-1, 3)
    tints = torch.tensor([[0.9, 0.2, 0.1], [0.1, 0.8, 0.3], [0.2, 0.3, 0.9]])
    colors = tints[:, None] * (0.4 + 0.6 * corners.mean(-1))[:, None]
    return Mesh(vertices, torch.cat([faces + 8 * bar for bar in range(3)]), colors.reshape(-1, 3))


def seamed_mesh() -> Mesh:
    """The same bars with a texture that tears at most edges: vertices are shared, and corners take any coordinate.

    The image has an odd width and is repeated.
    """
    mesh, random = asymmetric_mesh().without_colors(), torch.Generator().manual_seed(4)
    image, uv = torch.rand(5, 7, 3, generator=random), 2 * torch.rand(40, 2, generator=random) - 0.5
    corners = torch.randint(len(uv), mesh.faces.shape, generator=random)
    return dataclasses.replace(mesh, texture=Texture(image, uv, corners))


def blob() -> Mesh:
    """A bent ellipsoid without creases, whose colours change smoothly over it: nothing jumps but its silhouette."""
    ball = Mesh.icosphere(2)
    x, y, z = ball.vertices.unbind(-1)
    vertices = torch.stack([0.9 * x + 0.25 * y * y, 0.6 * y + 0.2 * x * z, 0.75 * z - 0.15 * x * x], dim=-1)
    colors = 0.5 + 0.4 * torch.stack([(2 * x + y).sin(), (2 * y - z).cos(), (x - 2 * z).sin()], dim=-1)
    return Mesh(vertices, ball.faces, colors)


def uneven_cameras(projection: Literal["perspective", "orthographic"]) -> Cameras:
    """Four cameras round the unit sphere: 96 x 160 pixels that are not square, principal points off the centre."""
    cameras = Cameras.sphere(4, 3.0, vertical_fov_degrees=40.0, image_size=(96, 160))
    if projection == "orthographic":
        cameras = cameras.to_orthographic(2.1)
    stretched = torch.diag(torch.tensor([1.13, 0.93, 1.0])) @ cameras.intrinsics
    return dataclasses.replace(cameras, intrinsics=stretched)


def torus(major: int, minor: int) -> Mesh:
    """A ring round the Y axis that hides part of itself when seen from low: ``major * minor`` vertices."""
    around = torch.arange(major).repeat_interleave(minor) * (2 * math.pi / major)
    across = torch.arange(minor).repeat(major) * (2 * math.pi / minor)
    radius = 0.7 + 0.3 * across.cos()
    vertices = torch.stack([radius * around.cos(), 0.3 * across.sin(), radius * around.sin()], dim=-1)
    faces = []
    for i in range(major):
        for j in range(minor):
            a, b = minor * i + j, minor * i + (j + 1) % minor
            c, d = minor * ((i + 1) % major) + j, minor * ((i + 1) % major) + (j + 1) % minor
            faces += [[a, b, d], [a, d, c]]
    return Mesh(vertices, torch.tensor(faces))
