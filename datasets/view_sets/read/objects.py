"""Views of a collection of objects in a folder, one by one."""

from pathlib import Path
from typing import final

from torch.utils.data import Dataset

from render3d.datasets.base import Epochs, resolve_index
from render3d.datasets.view_sets.read.example import PosedObject, PosedSettings, label_of, select
from render3d.datasets.view_sets.read.finding import Place, find_objects
from render3d.errors import DatasetError, ViewSetError
from render3d.view_sets.files import Files, FolderFiles


@final
class PosedObjects(Epochs, Dataset[PosedObject]):
    """Objects with their views, read from a folder of files, in the order of their ids.

    An example is a function of (settings, epoch, id), whatever the number of workers and the order.

    Args:
        folder: Of a finished run of ``render3d views``, in any format; or like ShapeNetRendering; or of folders with a
            ``transforms.json`` each.
        settings: What is read.
        format: Of a folder that is not of such a run: a name of `render3d.view_sets.formats.FORMATS`, or
            ``module:Class`` of one of your own; None to recognise it.

    Attributes:
        ids: Of the objects.
        classes: The name of each label.

    Raises:
        DatasetError: The folder holds nothing of that, or nothing that the settings ask for. When an example is read:
            a file that is missing or damaged.
    """

    def __init__(self, folder: str | Path, settings: PosedSettings | None = None, *, format: str | None = None) -> None:
        super().__init__()
        self.folder = Path(folder)
        self.settings = settings or PosedSettings()
        self._places, self.classes = select(find_objects(self.folder, format), self.settings)
        self.ids = tuple(place.id for place in self._places)

    def __len__(self) -> int:
        return len(self._places)

    def __getitem__(self, index: int) -> PosedObject:
        """Example ``index``; negative ones count from the end. An IndexError beyond, as of a list."""
        place = self._places[resolve_index(index, len(self))]
        files = FolderFiles(place.folder, self.settings.follow_links)
        return read_object(files, place, label_of(place, self.classes), self.settings, self.epoch)


def read_object(files: Files, place: Place, label: int, settings: PosedSettings, epoch: int) -> PosedObject:
    """Read an example from the files of an object.

    Raises:
        DatasetError: Whatever is wrong with them.
    """
    try:
        found = place.format.open(files.verified(place.sha256) if settings.verify else files)
        numbers = settings.chosen_views(place.id, found.cameras.views, epoch)
        return PosedObject(place.id, label, found.read(numbers, settings.outputs), found.cameras[numbers])
    except ViewSetError as error:
        raise DatasetError(str(error)) from error
