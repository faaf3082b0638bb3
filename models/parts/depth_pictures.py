"""Pictures of depth that a likelihood can compare: bounded, and zero where nothing is."""

from typing import final

from torch import Tensor, nn

from render3d.cameras import Cameras
from render3d.errors import ModelError
from render3d.images import Rendering
from render3d.renderers.base import Renderer
from render3d.renderers.volumetric.warps import depth_range
from render3d.scenes import Volume

COVERED = 0.375
"""A pixel shows the object where it is brighter: half the brightness of a surface at the centre."""


@final
class DepthPictures(nn.Module):
    """Depth as brightness: 1 for the nearest point of the ball round a volume, 1/2 for the farthest, 0 for nothing.

    The step from 0 to 1/2 keeps even the farthest point apart from the background. Where a pixel is covered in part, it
    has that part of the brightness.

    Args:
        renderer: Of volumes, with ``alpha`` and ``depth``; if it is a module, its parameters are this one's.
        learned: Whether it is a network such as `LearnedProjection`, which reads all channels of a canvas, and whose
            depth is weighted by alpha already; others see the density alone.

    Raises:
        ModelError: It has no ``alpha`` or ``depth``.
    """

    def __init__(self, renderer: Renderer, *, learned: bool = False) -> None:
        super().__init__()
        able = renderer.capabilities
        if not {"alpha", "depth"} <= set(able.outputs):
            raise ModelError(f"Pictures of depth need alpha and depth; {able.name} has {', '.join(able.outputs)}.")
        self.renderer, self.learned = renderer, learned

    def forward(self, volume: Volume, cameras: Cameras) -> Tensor:
        """Volumes ``[N]`` seen by cameras ``[N, views]`` or ``[views]``: ``[N, views, 1, H, W]``, 0-1."""
        rendering = self.renderer(volume, cameras, ("alpha", "depth"))
        depth = rendering.depth if self.learned else rendering.alpha * rendering.depth
        return _brightness(rendering.alpha, depth, volume.extent, cameras)


def solid_picture(rendering: Rendering, extent: float, cameras: Cameras) -> Tensor:
    """The picture of an opaque object, ``[views, 1, H, W]``: a pixel that is covered by half or more is all covered."""
    alpha = (rendering.alpha >= 0.5).to(rendering.alpha)
    return _brightness(alpha, alpha * rendering.depth, extent, cameras)


def depth_of(picture: Tensor, extent: float, cameras: Cameras) -> Tensor:
    """Camera z of covered pixels, scene units, of the shape of ``picture``, ``[*batch, views, 1, H, W]``."""
    near, far = (end[..., None, None, None] for end in depth_range(extent, cameras))
    return near + 2 * (far - near) * (1 - picture)


def _brightness(alpha: Tensor, depth: Tensor, extent: float, cameras: Cameras) -> Tensor:
    """Of depth weighted by alpha."""
    near, far = (end[..., None, None, None] for end in depth_range(extent, cameras))
    return alpha - (depth - alpha * near) / (2 * (far - near))
