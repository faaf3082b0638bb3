"""Views that are rendered when they are needed."""

from collections.abc import Sequence
from pathlib import Path
from typing import final

from torch.utils.data import Dataset

from render3d.datasets.base import Epochs, resolve_index
from render3d.datasets.collections import CollectionObject
from render3d.datasets.view_sets.read.example import PosedObject, PosedSettings, label_of, select
from render3d.datasets.view_sets.write.job import RenderObject
from render3d.datasets.view_sets.write.settings import ViewsSettings
from render3d.errors import DatasetError


@final
class RenderedObjects(Epochs, Dataset[PosedObject]):
    """The examples that `PosedObjects` would read from the files of a run, made without files.

    Up to the rounding of files, 8 bits for colours, coverage and normals and 16 for depth, they are the same.

    OpenGL does not survive a fork: ``DataLoader(..., multiprocessing_context="spawn")``.

    Args:
        objects: Of a collection, such as `render3d.datasets.collections.open_collection` gives.
        views: How they are rendered: all that a run would store is rendered for each example.
        settings: What is given of it; there is nothing to verify.

    Attributes:
        ids: Of the objects, in order.
        classes: The name of each label.

    Raises:
        DatasetError: Outputs that are not rendered, or no object that the settings ask for.
        MeshError: When an example is made: a mesh that cannot be used, or that no view shows.
    """

    def __init__(
        self, objects: Sequence[CollectionObject], views: ViewsSettings, settings: PosedSettings | None = None
    ) -> None:
        super().__init__()
        self.settings = settings or PosedSettings()
        lacking = [name for name in self.settings.outputs if name not in views.outputs]
        if lacking:
            raise DatasetError(
                f"outputs must be of those rendered, {', '.join(views.outputs)}; got {', '.join(lacking)} too."
            )
        self._job = RenderObject(views, Path())  # nothing is stored
        chosen, self.classes = select(objects, self.settings)
        self._objects = sorted(chosen, key=lambda item: item.id)
        self.ids = tuple(item.id for item in self._objects)

    def __len__(self) -> int:
        return len(self._objects)

    def __getitem__(self, index: int) -> PosedObject:
        """Example ``index``; negative ones count from the end. An IndexError beyond, as of a list."""
        item = self._objects[resolve_index(index, len(self))]
        rendered = self._job.render(item)
        numbers = self.settings.chosen_views(item.id, rendered.cameras.views, self.epoch)
        images = {name: getattr(rendered.rendering, name)[numbers] for name in self.settings.outputs}
        return PosedObject(item.id, label_of(item, self.classes), images, rendered.cameras[numbers])
