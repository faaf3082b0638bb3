"""Pictures of depth of the volumes of a dataset."""

from typing import Any, NamedTuple, final

from torch import Tensor

from render3d.cameras import Cameras
from render3d.datasets import VolumeDataset, WithViews
from render3d.datasets.pictures.with_views import DrawCameras
from render3d.errors import DatasetError
from render3d.images import Rendering
from render3d.models.parts.depth_pictures import solid_picture
from render3d.renderers import EmissionAbsorption


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
