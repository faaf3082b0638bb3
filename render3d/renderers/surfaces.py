"""Where on a face a ray meets it, differentiably."""

import torch
from torch import Tensor

from render3d.cameras import Rays

_EDGE_ON = 1e-3
"""The cosine between a ray and a normal below which a face is seen from its edge."""


def follow_rays(weights: Tensor, corners: Tensor, rays: Rays) -> Tensor:
    """The same weights, with the gradient that they have because the ray stays and the face moves.

    `render3d.renderers.deferred.deferred` takes weights as constants: then a point of the surface is followed, not what
    a pixel shows. With these it is what the pixel shows.

    Args:
        weights: ``[..., 3]``, barycentric, of the point where each ray meets the plane of its face.
        corners: ``[..., 3, 3]``, the vertices of that face, world.
        rays: Origins and directions ``[..., 3]``.

    Differentiable in the corners and the rays; zero where a face is seen from its edge: there all is rounding. Source:
    Moeller and Trumbore, "Fast, minimum storage ray-triangle intersection", 1997.
    """
    first, second, third = corners.unbind(-2)
    along, across = second - first, third - first
    normal_to_ray = torch.linalg.cross(rays.directions, across)
    volume = (along * normal_to_ray).sum(-1, keepdim=True)
    area = torch.linalg.cross(along, across).norm(dim=-1, keepdim=True)
    edge_on = volume.detach().abs() <= _EDGE_ON * area.detach()
    volume = torch.where(edge_on, 1, volume)
    start = rays.origins - first
    u = (start * normal_to_ray).sum(-1, keepdim=True) / volume
    v = (rays.directions * torch.linalg.cross(start, along)).sum(-1, keepdim=True) / volume
    moved = torch.cat([1 - u - v, u, v], dim=-1)
    return weights + torch.where(edge_on, 0, moved - moved.detach()).to(weights)
