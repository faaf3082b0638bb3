"""Views of a collection of objects in a folder, one by one."""

from pathlib import Path
from typing import final

from torch.utils.data import Dataset

from render3d.datasets.base import resolve_index
from render3d.datasets.view_sets.read.example import PosedObject, PosedSettings, label_of, select
from render3d.datasets.view_sets.read.files import Files, FolderFiles, verified
from render3d.datasets.view_sets.read.finding import Place, find_objects
from render3d.datasets.view_sets.read.images import read_images
from render3d.datasets.view_sets.read.resuming import Epochs
from render3d.datasets.view_sets.read.scenes import read_r2n2, read_transforms
from render3d.errors import DatasetError


@final
class PosedObjects(Epochs, Dataset[PosedObject]):
    """Objects with their views, read from a folder of files, in the order of their ids.

    An example is a function of (settings, epoch, id), whatever the number of workers and the order.

    Args:
        folder: Of a finished run of ``render3d views``, in any layout; or like ShapeNetRendering; or of folders with a
            ``transforms.json`` each.
        settings: What is read.

    Attributes:
        ids: Of the objects.
        classes: The name of each label.

    Raises:
        DatasetError: The folder holds nothing of that, or nothing that the settings ask for. When an example is read:
            a file that is missing or damaged.
    """

    def __init__(self, folder: str | Path, settings: PosedSettings | None = None) -> None:
        super().__init__()
        self.folder = Path(folder)
        self.settings = settings or PosedSettings()
        self._places, self.classes = select(find_objects(self.folder), self.settings)
        self.ids = tuple(place.id for place in self._places)

    def __len__(self) -> int:
        return len(self._places)

    def __getitem__(self, index: int) -> PosedObject:
        """Example ``index``; negative ones count from the end. An IndexError beyond, as of a list."""
        place = self._places[resolve_index(index, len(self))]
        files = FolderFiles(place.folder)
        label = label_of(place, self.classes)
        return read_object(files, place, label, self.settings, self.epoch)


def read_object(files: Files, place: Place, label: int, settings: PosedSettings, epoch: int) -> PosedObject:
    """An example from the files of an object.

    Raises:
        DatasetError: Whatever is wrong with them.
    """
    files = verified(files, place.sha256) if settings.verify else files
    found = read_r2n2(files) if place.kind == "r2n2" else read_transforms(files)
    if "normal" in settings.outputs and not found.normals_in_world:
        raise DatasetError(f"{place.folder}: normals are not said to be in world axes; leave them out of outputs.")
    numbers = settings.chosen_views(place.id, len(found.frames), epoch)
    cameras = found.cameras[numbers]
    frames = [found.frames[number] for number in numbers]
    images = read_images(files, frames, settings.outputs, cameras.image_size, found.depth_unit)
    return PosedObject(place.id, label, images, cameras)
