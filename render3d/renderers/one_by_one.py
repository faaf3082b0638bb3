"""For back ends without batches: they draw one mesh, and everything else the seam asks for is done here."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from render3d.cameras import Cameras
from render3d.images import Rendering
from render3d.renderers.base import Capabilities, Shading, average_samples, check_call, mesh_list, warn_of_empty_views
from render3d.scenes import Mesh, Scene

Draw = Callable[[Mesh, Cameras, Sequence[str]], Mapping[str, Tensor]]


def render_one_by_one(
    draw: Draw, capabilities: Capabilities, shading: Shading, scene: Scene, cameras: Cameras, outputs: Sequence[str]
) -> Rendering:
    """Check a call, then render its meshes one after the other; see `render3d.renderers.Renderer`.

    Args:
        draw: Given one mesh without a batch, its ``[views]`` cameras and some of ``outputs``, it returns those images
            ``[views, C, H, W]`` by name, with one sample a pixel.
        capabilities: Those of the renderer.
        shading: Its ``samples_per_pixel`` is dealt with here; the rest is for ``draw`` to follow.
        scene: As in the seam, like the next two.
        cameras: The cameras.
        outputs: The images that are asked for.

    Raises:
        Render3DError: As `render3d.renderers.base.check_call`.
    """
    batch = check_call(capabilities, scene, cameras, outputs)
    drawn = [_draw(draw, mesh, views, outputs, shading) for mesh, views in _objects(scene, cameras, batch)]
    images = {name: torch.stack([images[name] for images in drawn]) for name in outputs}
    rendering = Rendering(
        {name: image.reshape(*batch, *image.shape[1:]).to(cameras.device) for name, image in images.items()}
    )
    warn_of_empty_views(rendering)
    return rendering


def _draw(draw: Draw, mesh: Mesh, views: Cameras, outputs: Sequence[str], shading: Shading) -> Mapping[str, Tensor]:
    oversampling = math.isqrt(shading.samples_per_pixel)
    averaged = [name for name in outputs if name in ("rgb", "alpha")] if oversampling > 1 else []
    rest = [name for name in outputs if name not in averaged]
    images = dict(draw(mesh, views, rest)) if rest else {}
    if averaged:
        height, width = views.image_size
        fine = draw(mesh, views.resize(height * oversampling, width * oversampling), averaged)
        images |= {name: average_samples(fine[name], oversampling) for name in averaged}
    return images


def _objects(scene: Scene, cameras: Cameras, batch: torch.Size) -> Iterator[tuple[Mesh, Cameras]]:
    """One mesh and its ``[views]`` cameras for every element of ``batch``, in order."""
    meshes = mesh_list(scene)
    shape = scene.batch_shape if isinstance(scene, Mesh) else torch.Size([len(meshes)])
    for index in np.ndindex(*batch):
        where = _own_index(index, shape)
        mesh = meshes[0][where] if isinstance(scene, Mesh) else meshes[where[0]]
        yield mesh, cameras[_own_index(index, cameras.batch_shape)]


def _own_index(index: tuple[int, ...], shape: torch.Size) -> tuple[int, ...]:
    """The index into ``shape`` of an index into a shape that it broadcasts to."""
    own = index[len(index) - len(shape) :]
    return tuple(0 if size == 1 else number for number, size in zip(own, shape, strict=True))
