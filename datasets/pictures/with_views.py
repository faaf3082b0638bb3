"""Volumes together with images of them."""

import colorsys
import dataclasses
import hashlib
import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, final

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from render3d.batches import check_shape
from render3d.cameras import Cameras
from render3d.datasets.base import (
    OF_CAMERAS,
    OF_RENDERING,
    VolumeDataset,
    VolumeExample,
    example_generator,
    resolve_index,
)
from render3d.datasets.checks import check_at_least, check_seed
from render3d.errors import CapabilityError, DatasetError, ShapeError
from render3d.randomness import Key
from render3d.renderers import Renderer
from render3d.scenes import Mesh, Volume

DrawCameras = Callable[[np.random.Generator], Cameras]
"""Makes the cameras ``[views]`` of one example from its random numbers."""


class ViewedExample(NamedTuple):
    """One volume, its class, and images of it. `render3d.collate` makes batches of these."""

    volume: Tensor  # [1, D, H, W] float32, 0 or 1, axes (z, y, x)
    label: int
    images: dict[str, Tensor]  # by name of the output, [views, C, H, W]
    cameras: Cameras  # [views]


@final
@dataclasses.dataclass(frozen=True, kw_only=True)
class RandomCameras:
    """Cameras at random places on a sphere round the origin that look at it, upright; uniform over the sphere.

    Attributes:
        views: How many an example has.
        distance: From the origin, scene units. With the default field of view, the sphere round the whole cube
            [-1, 1]^3 fills the image: nothing is ever cut off. Objects look larger, and those in corners leave the
            image, with a narrower one; at 25 degrees a voxel of 30 is about a pixel of 30.
        elevation_degrees: (least, most) angle above the horizon. Within a narrower range, uniform over that zone of the
            sphere.
        vertical_fov_degrees: As in `Cameras.look_at`.
        image_size: (height, width) in pixels: the paper's images are of about 30.

    Raises:
        DatasetError: No views, a distance that is not positive, or angles that are no range within -90 to 90.
        CameraError: When called: as `Cameras.look_at`.
    """

    views: int = 1
    distance: float = 4.55
    elevation_degrees: tuple[float, float] = (-90.0, 90.0)
    vertical_fov_degrees: float = 45.0
    image_size: tuple[int, int] = (30, 30)

    def __post_init__(self) -> None:
        check_at_least(1, views=self.views)
        if not 0 < self.distance < math.inf:
            raise DatasetError(f"distance must be positive and finite; got {self.distance}.")
        low, high = self.elevation_degrees
        if not -90 <= low <= high <= 90:
            raise DatasetError(f"elevation_degrees must be (least, most) within -90 to 90; got {(low, high)}.")

    def __call__(self, generator: np.random.Generator) -> Cameras:
        """Draw cameras ``[views]``."""
        # A zone of a sphere has the area of its height, so heights are uniform.
        height = generator.uniform(*self.heights, self.views)
        azimuth = generator.uniform(0, 2 * math.pi, self.views)
        return self.at(torch.from_numpy(height), torch.from_numpy(azimuth))

    @property
    def heights(self) -> tuple[float, float]:
        """(least, most) sine of the elevation."""
        low, high = np.sin(np.radians(self.elevation_degrees))
        return float(low), float(high)

    def at(self, height: Tensor, azimuth: Tensor) -> Cameras:
        """The cameras at these places.

        Args:
            height: ``[*batch, views]``: the sine of the elevation.
            azimuth: ``[*batch, views]``, radians from +Z, growing towards +X.
        """
        radius = (1 - height**2).sqrt()
        directions = torch.stack([radius * azimuth.sin(), height, radius * azimuth.cos()], dim=-1)
        return Cameras.look_at(
            (directions * self.distance).float(),
            vertical_fov_degrees=self.vertical_fov_degrees,
            image_size=self.image_size,
        )


@final
@dataclasses.dataclass(frozen=True, kw_only=True)
class FixedThenRandom:
    """The same few cameras for every example, and after them random ones.

    Attributes:
        fixed: How many are fixed, evenly spaced in azimuth from 0.
        fixed_elevation_degrees: Of all of them.
        random: The others; distance, field of view and image size are those of all.

    Raises:
        DatasetError: No fixed camera, or one that is not within -90 to 90 degrees.
    """

    fixed: int = 3
    fixed_elevation_degrees: float = 20.0
    random: RandomCameras = RandomCameras(views=10)

    def __post_init__(self) -> None:
        check_at_least(1, fixed=self.fixed)
        if not -90 <= self.fixed_elevation_degrees <= 90:
            raise DatasetError(f"fixed_elevation_degrees must be from -90 to 90; got {self.fixed_elevation_degrees}.")

    def __call__(self, generator: np.random.Generator) -> Cameras:
        """Cameras ``[fixed + random.views]``."""
        return Cameras.cat([self.rig, self.random(generator)])

    @property
    def rig(self) -> Cameras:
        """The fixed cameras, ``[fixed]``."""
        azimuth = torch.arange(self.fixed, dtype=torch.float64) * (2 * math.pi / self.fixed)
        return self.random.at(torch.full_like(azimuth, math.sin(math.radians(self.fixed_elevation_degrees))), azimuth)


def class_colors(count: int) -> Tensor:
    """``[count, 3]`` float32: a hue for each class, evenly spaced, linear light."""
    return torch.tensor([colorsys.hsv_to_rgb(label / count, 0.75, 0.8) for label in range(count)])


@final
class WithViews(Dataset[ViewedExample]):
    """The examples of a dataset of volumes, each with images from a few cameras.

    Renderers of volumes render the volume; others its surface, `Volume.to_mesh`. It fills the cube [-1, 1]^3. Images
    are a function of (seed, split, epoch, index), as volumes are, and cameras are drawn anew where those are.

    OpenGL does not survive a fork: ``DataLoader(..., multiprocessing_context="spawn")`` with its renderers.

    Args:
        dataset: The volumes.
        cameras: ``[views]``, the same for all examples; or what draws them for each, such as `RandomCameras`.
        renderer: Any renderer of volumes or meshes.
        outputs: What to keep of each `Rendering`, such as ``("alpha", "depth")``.
        colors: ``[classes, 3]``, linear light, the colour of each class, such as `class_colors`; or None: the
            renderer's neutral grey.
        seed: Of the cameras; independent of the dataset's own, even where they are equal.

    Raises:
        DatasetError: A seed out of range.
        ShapeError: Cameras, given or drawn, that are not ``[views]``, or colours that are not one a class.
        CapabilityError: A renderer of neither volumes nor meshes, or that lacks an output.
        VolumeError: When an example without a voxel in it is to be rendered as a mesh.
    """

    def __init__(
        self,
        dataset: VolumeDataset[Any],
        cameras: Cameras | DrawCameras,
        renderer: Renderer,
        outputs: Sequence[str] = ("alpha",),
        *,
        colors: Tensor | None = None,
        seed: int = 0,
    ) -> None:
        check_seed(seed)
        _check_renderer(renderer, outputs)
        if isinstance(cameras, Cameras):
            _check_views(cameras)
        if colors is not None:
            check_shape(colors, f"{len(dataset.classes)} 3", name="colors")
        self.dataset = dataset
        self.cameras = cameras
        self.renderer = renderer
        self.outputs = tuple(outputs)
        self.colors = colors
        self.seed = seed

    @property
    def classes(self) -> tuple[str, ...]:
        """The name of each label."""
        return self.dataset.classes

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> ViewedExample:
        """Example ``index``; negative ones count from the end. An IndexError beyond, as of a list."""
        number = resolve_index(index, len(self))
        example = self.dataset[number]
        cameras = self._cameras_of(number)
        key = Key(self.dataset.stream(self.seed, OF_RENDERING).seed).fold_in(number)
        with torch.no_grad():
            rendering = self.renderer(self._scene(example), cameras, self.outputs, generator=key)
        images = {name: getattr(rendering, name) for name in self.outputs}
        return ViewedExample(example.volume, example.label, images, cameras)

    def set_epoch(self, epoch: int) -> None:
        """As `VolumeDataset.set_epoch`, for cameras too."""
        self.dataset.set_epoch(epoch)

    def fingerprint(self) -> dict[str, str]:
        """As `VolumeDataset.fingerprint`, with what images are made of.

        Of the renderer it has the name alone: its shading or weights are the caller's to record. Of a function that
        draws cameras it has the ``repr``.
        """
        cameras = _checksum(self.cameras) if isinstance(self.cameras, Cameras) else repr(self.cameras)
        colors = "none" if self.colors is None else str(self.colors.tolist())
        return self.dataset.fingerprint() | {
            "views.cameras": cameras,
            "views.renderer": self.renderer.capabilities.name,
            "views.outputs": ", ".join(self.outputs),
            "views.colors": colors,
            "views.seed": str(self.seed),
        }

    def _cameras_of(self, number: int) -> Cameras:
        if isinstance(self.cameras, Cameras):
            return self.cameras
        return _check_views(self.cameras(example_generator(self.dataset.stream(self.seed, OF_CAMERAS), number)))

    def _scene(self, example: VolumeExample) -> Volume | Mesh:
        occupancy = example.volume[0]
        colors = None
        if self.colors is not None:
            colors = self.colors[example.label].to(occupancy)[:, None, None, None].expand(3, *occupancy.shape)
        volume = Volume.from_occupancy(occupancy, colors)
        return volume if Volume in self.renderer.capabilities.scenes else volume.to_mesh()


def _check_renderer(renderer: Renderer, outputs: Sequence[str]) -> None:
    able = renderer.capabilities
    if Volume not in able.scenes and Mesh not in able.scenes:
        kinds = ", ".join(kind.__name__ for kind in able.scenes)
        raise CapabilityError(f"renderer must render volumes or meshes; {able.name} renders {kinds}.")
    if isinstance(outputs, str) or not outputs:
        raise CapabilityError(f"outputs must be a tuple of names such as ('alpha',); got {outputs!r}.")
    lacking = [name for name in outputs if name not in able.outputs]
    if lacking:
        raise CapabilityError(f"{able.name} has no output {', '.join(lacking)}; it has {', '.join(able.outputs)}.")


def _check_views(cameras: Cameras) -> Cameras:
    if cameras.batch_shape:
        raise ShapeError(f"cameras must be of shape [views]; got {list(cameras.leading_shape)}. Pass cameras[0].")
    return cameras


def _checksum(cameras: Cameras) -> str:
    digest = hashlib.sha256(f"{cameras.image_size} {cameras.near} {cameras.far} {cameras.projection}".encode())
    for tensor in (cameras.world_to_camera, cameras.intrinsics):
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
