"""Base classes of renderers that only draw: all else that the seam asks for is done here."""

import abc
import dataclasses
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Generator, Tensor

from render3d.cameras import Cameras
from render3d.images import Rendering
from render3d.precision import exact, without_autocast
from render3d.randomness import Key
from render3d.renderers.base import (
    Capabilities,
    average_samples,
    check_call,
    scene_list,
    shape_of_batch,
    warn_of_empty_views,
)
from render3d.renderers.shading import Shading
from render3d.scenes import Mesh, Scene, SceneKind, Volume

Images = Mapping[str, Tensor]


class TakesShading:
    """Mixin of renderers whose surfaces are coloured by a `Shading`.

    Args:
        shading: Lights, background, culling, normals and supersampling.
    """

    def __init__(self, shading: Shading | None = None) -> None:
        self.shading = shading or Shading()

    @property
    def samples_per_pixel(self) -> int:
        """That of the shading."""
        return self.shading.samples_per_pixel

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.shading})"


class RendersOneByOne(abc.ABC):
    """A renderer that draws one scene at a time: its subclass says what it can do, and draws.

    A call is checked as `render3d.renderers.base.check_call` does, autocast is turned off, the scenes of the batch are
    drawn one after the other, ``rgb`` and ``alpha`` are averaged over samples, images go to the device of the scene,
    and empty views are warned of.
    """

    @property
    @abc.abstractmethod
    def capabilities(self) -> Capabilities:
        """What this renderer can do."""

    @property
    def samples_per_pixel(self) -> int:
        """A square number: ``rgb`` and ``alpha`` are averaged over a grid of as many samples."""
        return 1

    @abc.abstractmethod
    def draw(self, scene: Any, cameras: Cameras, outputs: Sequence[str]) -> Images:
        """Draw with one sample a pixel.

        Args:
            scene: One scene without a batch.
            cameras: ``[views]``.
            outputs: Some of the images that are asked for.

        Returns:
            At least these, ``[views, C, H, W]``, by name.
        """

    @without_autocast
    def __call__(
        self,
        scene: Scene,
        cameras: Cameras,
        outputs: Sequence[str] | None = None,
        *,
        generator: Generator | Key | None = None,
    ) -> Rendering:
        """Render; see `render3d.renderers.Renderer`. ``generator`` is not used: nothing here is random.

        By default, ``outputs`` are ``rgb`` and ``alpha``, or what this renderer makes of them.
        """
        able = self.capabilities
        if outputs is None:
            outputs = tuple(name for name in ("rgb", "alpha") if name in able.outputs)
        batch = check_call(able, scene, cameras, outputs)
        images = self._images(scene, cameras, outputs, batch)
        shape = *batch, cameras.views
        found = {name: images[name].reshape(*shape, *images[name].shape[-3:]).to(cameras.device) for name in outputs}
        warn_of_empty_views(rendering := Rendering(found))
        return rendering

    def _images(self, scene: Scene, cameras: Cameras, outputs: Sequence[str], batch: torch.Size) -> Images:
        """Images whose leading dimensions can be reshaped to ``[*batch, views]``."""
        drawn = [self._averaged(item, views, outputs) for item, views in each_scene(scene, cameras, batch)]
        return {name: torch.stack([images[name] for images in drawn]) for name in outputs}

    def _averaged(self, scene: Scene, cameras: Cameras, outputs: Sequence[str]) -> Images:
        """Images of the scene, where ``rgb`` and ``alpha`` are means of samples."""
        oversampling = math.isqrt(self.samples_per_pixel)
        averaged = [name for name in outputs if name in ("rgb", "alpha")] if oversampling > 1 else []
        rest = [name for name in outputs if name not in averaged]
        images = dict(self.draw(scene, cameras, rest)) if rest else {}
        if averaged:
            height, width = cameras.image_size
            fine = self.draw(scene, cameras.resize(height * oversampling, width * oversampling), averaged)
            images |= {name: average_samples(fine[name], oversampling) for name in averaged}
        return images


class RendersBatches(RendersOneByOne):
    """A renderer that draws a batch at once.

    As `RendersOneByOne`, but `draw` is given a scene and cameras whose batches broadcast to ``[*batch]``, and returns
    images ``[*batch, views, C, H, W]``. The scenes of a list are drawn one after the other.
    """

    def _images(self, scene: Scene, cameras: Cameras, outputs: Sequence[str], batch: torch.Size) -> Images:
        if isinstance(scene, SceneKind):
            return self._averaged(scene, cameras, outputs)
        return super()._images(scene, cameras, outputs, batch)


class RendersVolumes(RendersOneByOne):
    """A renderer that draws several volumes at once.

    As `RendersOneByOne`, but `draw` is given ``[M]`` volumes and their ``[M, views]`` cameras, and returns images
    ``[M, views, C, H, W]``.
    """

    def _images(self, scene: Scene, cameras: Cameras, outputs: Sequence[str], batch: torch.Size) -> Images:
        volume = one_volume(scene)
        own = batch if volume.batch_shape.numel() > 1 else volume.batch_shape  # a volume that all see stays one
        values = exact(volume.values)
        values = values.expand(*own, *values.shape[-4:]).flatten(0, -5) if own else values[None]
        views = dataclasses.replace(
            cameras,
            world_to_camera=cameras.world_to_camera.expand(*batch, -1, -1, -1).reshape(len(values), -1, 4, 4),
            intrinsics=cameras.intrinsics.expand(*batch, -1, -1, -1).reshape(len(values), -1, 3, 3),
        )
        return self._averaged(Volume(values, volume.extent), views, outputs)


def one_volume(scene: Scene) -> Volume:
    """Return a volume as it is, and a list of volumes as one batch.

    Raises:
        ShapeError: Volumes of a list that differ in their size.
    """
    volumes = [item for item in scene_list(scene) if isinstance(item, Volume)]
    return volumes[0] if isinstance(scene, Volume) else Volume.stack(volumes)


def each_scene(scene: Scene, cameras: Cameras, batch: torch.Size) -> Iterator[tuple[SceneKind, Cameras]]:
    """One scene without a batch and its ``[views]`` cameras for every element of ``batch``, in order."""
    alone: Sequence[SceneKind] = scene.elements() if isinstance(scene, SceneKind) else scene_list(scene)
    shapes = (shape_of_batch(scene), cameras.batch_shape)
    numbers = [torch.arange(shape.numel()).reshape(shape).expand(batch).flatten().tolist() for shape in shapes]
    for of_scene, of_cameras in zip(*numbers, strict=True):
        yield alone[of_scene], cameras[np.unravel_index(of_cameras, cameras.batch_shape)]


def of_one_type(mesh: Mesh, cameras: Cameras) -> tuple[Mesh, Cameras]:
    """Return the same with vertices and cameras of one floating-point type, the wider of the two."""
    kind = torch.promote_types(mesh.vertices.dtype, cameras.dtype)
    matrices = {name: getattr(cameras, name).to(kind) for name in ("world_to_camera", "intrinsics")}
    return mesh.with_vertices(mesh.vertices.to(kind)), dataclasses.replace(cameras, **matrices)
