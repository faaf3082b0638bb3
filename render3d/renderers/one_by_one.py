"""For back ends without batches: they draw one mesh or volume; all else that the seam asks for is done here."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from render3d.cameras import Cameras
from render3d.images import Rendering
from render3d.renderers.base import Capabilities, average_samples, check_call, warn_of_empty_views
from render3d.scenes import Mesh, Scene, Volume

Draw = Callable[[Any, Cameras, Sequence[str]], Mapping[str, Tensor]]


def render_one_by_one(
    draw: Draw,
    capabilities: Capabilities,
    samples_per_pixel: int,
    scene: Scene,
    cameras: Cameras,
    outputs: Sequence[str],
) -> Rendering:
    """Check a call, then render its meshes or volumes one after the other; see `render3d.renderers.Renderer`.

    Args:
        draw: Given one mesh or volume without a batch, its ``[views]`` cameras and some of ``outputs``, it returns
            those images ``[views, C, H, W]`` by name, with one sample a pixel.
        capabilities: Those of the renderer.
        samples_per_pixel: A square number: ``rgb`` and ``alpha`` are averaged over a grid of samples.
        scene: As in the seam, like the next two.
        cameras: The cameras.
        outputs: The images that are asked for.

    Raises:
        Render3DError: As `render3d.renderers.base.check_call`.
    """
    batch = check_call(capabilities, scene, cameras, outputs)
    drawn = [_draw(draw, item, views, outputs, samples_per_pixel) for item, views in objects(scene, cameras, batch)]
    images = {name: torch.stack([images[name] for images in drawn]) for name in outputs}
    rendering = Rendering(
        {name: image.reshape(*batch, *image.shape[1:]).to(cameras.device) for name, image in images.items()}
    )
    warn_of_empty_views(rendering)
    return rendering


def _draw(
    draw: Draw, item: Mesh | Volume, views: Cameras, outputs: Sequence[str], samples_per_pixel: int
) -> Mapping[str, Tensor]:
    oversampling = math.isqrt(samples_per_pixel)
    averaged = [name for name in outputs if name in ("rgb", "alpha")] if oversampling > 1 else []
    rest = [name for name in outputs if name not in averaged]
    images = dict(draw(item, views, rest)) if rest else {}
    if averaged:
        height, width = views.image_size
        fine = draw(item, views.resize(height * oversampling, width * oversampling), averaged)
        images |= {name: average_samples(fine[name], oversampling) for name in averaged}
    return images


def objects(scene: Scene, cameras: Cameras, batch: torch.Size) -> Iterator[tuple[Mesh | Volume, Cameras]]:
    """One mesh or volume and its ``[views]`` cameras for every element of ``batch``, in order."""
    alone = scene.elements() if isinstance(scene, Mesh | Volume) else list(scene)
    shape = scene.batch_shape if isinstance(scene, Mesh | Volume) else torch.Size([len(alone)])
    for index in np.ndindex(*batch):
        number = int(np.ravel_multi_index(_own_index(index, shape), shape)) if shape else 0
        yield alone[number], cameras[_own_index(index, cameras.batch_shape)]


def _own_index(index: tuple[int, ...], shape: torch.Size) -> tuple[int, ...]:
    """The index into ``shape`` of an index into a shape that it broadcasts to."""
    own = index[len(index) - len(shape) :]
    return tuple(0 if size == 1 else number for number, size in zip(own, shape, strict=True))
