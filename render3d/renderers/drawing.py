"""For back ends without batches: they draw one mesh or volume; all else that the seam asks for is done here."""

import dataclasses
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from render3d.cameras import Cameras
from render3d.images import Rendering
from render3d.precision import exact, without_autocast
from render3d.renderers.base import Capabilities, average_samples, check_call, warn_of_empty_views
from render3d.scenes import Mesh, Scene, Volume

Draw = Callable[[Any, Cameras, Sequence[str]], Mapping[str, Tensor]]


@without_autocast
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
    return _rendering({name: torch.stack([images[name] for images in drawn]) for name in outputs}, batch, cameras)


@without_autocast
def render_batch(
    draw: Draw,
    capabilities: Capabilities,
    samples_per_pixel: int,
    scene: Scene,
    cameras: Cameras,
    outputs: Sequence[str],
) -> Rendering:
    """As `render_one_by_one`, for back ends that draw a batch of meshes of one topology at once.

    Args:
        draw: Given a mesh and cameras whose batches broadcast to ``[*batch]``, it returns images
            ``[*batch, views, C, H, W]``.
        capabilities: As there, and so are all others.
        samples_per_pixel: As there.
        scene: As there. The meshes of a list are drawn one after the other.
        cameras: As there.
        outputs: As there.

    Raises:
        Render3DError: As there.
    """
    batch = check_call(capabilities, scene, cameras, outputs)
    if isinstance(scene, Mesh):
        images = _draw(draw, scene, cameras, outputs, samples_per_pixel)
        return _rendering({name: images[name] for name in outputs}, batch, cameras)
    drawn = [_draw(draw, item, views, outputs, samples_per_pixel) for item, views in objects(scene, cameras, batch)]
    return _rendering({name: torch.stack([images[name] for images in drawn]) for name in outputs}, batch, cameras)


@without_autocast
def render_volumes(
    draw: Draw,
    capabilities: Capabilities,
    samples_per_pixel: int,
    scene: Scene,
    cameras: Cameras,
    outputs: Sequence[str],
) -> Rendering:
    """As `render_one_by_one`, for back ends that draw several volumes at once.

    Args:
        draw: Given ``[M]`` volumes and their ``[M, views]`` cameras, it returns images ``[M, views, C, H, W]``.
        capabilities: As there, and so are all others.
        samples_per_pixel: As there.
        scene: As there.
        cameras: As there.
        outputs: As there.

    Raises:
        Render3DError: As there.
    """
    batch = check_call(capabilities, scene, cameras, outputs)
    assert isinstance(scene, Volume)  # checked
    own = batch if scene.batch_shape.numel() > 1 else scene.batch_shape  # a volume that all see stays one
    values = exact(scene.values)
    values = values.expand(*own, *values.shape[-4:]).flatten(0, -5) if own else values[None]
    views = dataclasses.replace(
        cameras,
        world_to_camera=cameras.world_to_camera.expand(*batch, -1, -1, -1).reshape(len(values), -1, 4, 4),
        intrinsics=cameras.intrinsics.expand(*batch, -1, -1, -1).reshape(len(values), -1, 3, 3),
    )
    images = _draw(draw, Volume(values, scene.extent), views, outputs, samples_per_pixel)
    return _rendering({name: images[name] for name in outputs}, batch, cameras)


def _rendering(images: Mapping[str, Tensor], batch: torch.Size, cameras: Cameras) -> Rendering:
    shape = *batch, cameras.views
    found = {name: image.reshape(*shape, *image.shape[-3:]).to(cameras.device) for name, image in images.items()}
    warn_of_empty_views(rendering := Rendering(found))
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
