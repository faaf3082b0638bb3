"""Published estimators, rebuilt from their papers and not from their code: what is said here of them is ours."""

import math
from collections.abc import Callable

import torch
from torch import Generator, Tensor

from render3d.cameras import Cameras
from render3d.images import Rendering
from render3d.randomness import Key, standard_normal
from render3d.renderers import OpenGL
from render3d.scenes import Mesh

PixelLoss = Callable[[Rendering], Tensor]


@torch.no_grad()
def per_pixel_credit(
    renderer: OpenGL, mesh: Mesh, cameras: Cameras, pixel_loss: PixelLoss, step: float, key: Key
) -> Tensor:
    """``[V, 3]``: the gradient of a loss, credited pixel by pixel to the vertices that a pixel lists.

    Source: Deliot, Heitz and Belcour, "Transforming a non-differentiable rasterizer into a differentiable one with
    stochastic gradient estimation", 2024: all parameters are moved at once by plus and minus one step; two images; the
    difference of each pixel's loss goes to the parameters that it lists in either. Here these are the vertices of the
    faces that it shows, and each view has signs of its own.

    Args:
        renderer: What renders.
        mesh: One mesh.
        cameras: ``[views]``.
        pixel_loss: Of images ``[2, views, C, H, W]``, ``[2, views, H, W]``.
        step: By which each coordinate is moved, scene units.
        key: Of the signs.
    """
    count = mesh.vertices.shape[0]
    signs = standard_normal(key, 1, 1, (cameras.views, count, 3))[0, 0].sign().to(mesh.vertices)
    moved = mesh.with_vertices(mesh.vertices + step * torch.stack([signs, -signs]))
    seen = renderer(moved, cameras[:, None], ("alpha", "face_index"))
    images = Rendering({name: image.squeeze(2) for name, image in seen.as_dict().items()})
    ahead, behind = pixel_loss(images)
    listed = torch.cat([mesh.faces, torch.full_like(mesh.faces[:1], count)])[images.face_index.squeeze(2).long()]
    first, second = listed  # each [views, H, W, 3]; a pixel of nothing lists what is no vertex
    again = (second[..., :, None] == first[..., None, :]).any(-1)
    vertices = torch.cat([first, torch.where(again, count, second)], -1).flatten(1)
    difference = ((ahead - behind) / (2 * step)).flatten(1).repeat_interleave(6, 1)
    credit = mesh.vertices.new_zeros(cameras.views, count + 1).scatter_add(1, vertices, difference)
    return (credit[:, :count, None] * signs).sum(0)


def rayleigh_pairs(function: Callable[[Tensor], Tensor], at: Tensor, sigma: float, random: Generator) -> Tensor:
    """``[D]``: the gradient of a function of few parameters, smoothed by a normal law, from one pair of values.

    Source: Fischer and Ritschel, "Plateau-reduced differentiable path tracing", 2023: steps are drawn as the slope of a
    normal density is distributed, of random sign and Rayleigh length, in each parameter.

    Args:
        function: Of points ``[2, D]``, values ``[2]``.
        at: ``[D]``.
        sigma: Of the normal law.
        random: What steps are drawn from.
    """
    length = sigma * (-2 * torch.log1p(-torch.rand(at.shape, generator=random))).sqrt()
    step = length * torch.where(torch.rand(at.shape, generator=random) < 0.5, -1.0, 1.0)
    ahead, behind = function(torch.stack([at + step, at - step]))
    slope: Tensor = (ahead - behind) / 2 * step.sign() * math.sqrt(2 / math.pi) / sigma
    return slope
