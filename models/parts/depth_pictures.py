"""Pictures of depth that a likelihood can compare: bounded, and zero where nothing is; of canvases and of datasets."""

from typing import Any, NamedTuple, final

from torch import Tensor, nn

from render3d.cameras import Cameras
from render3d.datasets import VolumeDataset, WithViews
from render3d.datasets.pictures.with_views import DrawCameras
from render3d.errors import DatasetError, ModelError
from render3d.images import Rendering
from render3d.renderers import EmissionAbsorption, Renderer
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


class DepthExample(NamedTuple):
    """Pictures of one object: the given views, and then the random ones."""

    views: Tensor  # [given + views, 1, H, W], 0-1, as `DepthPictures`
    cameras: Cameras  # [given + views]
    label: int


@final
class DepthPicturesOf:
    """Pictures of each volume of a dataset, drawn when they are first asked for and kept in memory.

    They are the same in every epoch: a picture takes as long to make as to learn from.

    Args:
        dataset: The volumes.
        cameras: Theirs.
        given: How many of the first views a model will be given: they must show something.
        seed: Of the cameras.

    Raises:
        DatasetError: When an example is read that a given view shows nothing of.
    """

    def __init__(self, dataset: VolumeDataset[Any], cameras: DrawCameras, given: int = 0, *, seed: int = 0) -> None:
        self._views = WithViews(dataset, cameras, EmissionAbsorption(), ("alpha", "depth"), seed=seed)
        self._given = given
        self._kept: dict[int, DepthExample] = {}

    @property
    def classes(self) -> tuple[str, ...]:
        """The name of each label."""
        return self._views.classes

    def __len__(self) -> int:
        return len(self._views)

    def __getitem__(self, index: int) -> DepthExample:
        """Example ``index``."""
        if index not in self._kept:
            self._kept[index] = self._draw(index)
        return self._kept[index]

    def set_epoch(self, epoch: int) -> None:
        """Nothing changes."""

    def fingerprint(self) -> dict[str, str]:
        """As `WithViews.fingerprint`."""
        return self._views.fingerprint()

    def _draw(self, index: int) -> DepthExample:
        example = self._views[index]
        pictures = solid_picture(Rendering(example.images), 1.0, example.cameras)
        empty = [number for number in range(self._given) if not pictures[number].any()]
        if empty:
            raise DatasetError(
                f"Given view {empty[0] + 1} of example {index} shows nothing: the volume is empty, or outside the "
                "image. Leave the example out, or use a wider field of view."
            )
        return DepthExample(pictures, example.cameras, example.label)
