"""What is checked before a run begins: `check_run`."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from render3d.datasets.collections import CollectionObject, MeshCollection
from render3d.datasets.view_sets.write.settings import ViewsSettings
from render3d.errors import DatasetError
from render3d.renderers import Renderer
from render3d.view_sets.formats import Format, format_by_name


class Checked(NamedTuple):
    """What a run is begun with."""

    objects: MeshCollection
    format: Format
    renderer: Renderer


def check_run(objects: Sequence[CollectionObject], settings: ViewsSettings) -> Checked:
    """Return what a run needs, or raise what would end it, without a look at the folder for results.

    Raises:
        CapabilityError: As `ViewsSettings.make_renderer`.
        DatasetError: No objects, or two that would lie in one place.
        ViewSetError: No such format, or one that lacks room for such views.
    """
    renderer = settings.make_renderer()
    format = format_by_name(settings.format)
    format.check(settings.protocol(np.random.default_rng(0)), settings.outputs)
    collection = objects if isinstance(objects, MeshCollection) else MeshCollection.of(objects)
    _check_places(collection, format)
    return Checked(collection, format, renderer)


def _check_places(objects: MeshCollection, format: Format) -> None:
    """Raise unless each object has a folder of its own, in none of another object."""
    if not objects:
        raise DatasetError("There are no objects to make images of.")
    places: dict[Any, CollectionObject] = {}
    for item in objects:
        other = places.setdefault(format.place(item), item)
        if other is not item:
            raise DatasetError(
                f"{other.path} and {item.path} would both be stored as {format.place(item)}; rename one."
            )
    for place, item in places.items():
        outer = next((places[parent] for parent in place.parents if parent in places), None)
        if outer is not None:
            raise DatasetError(f"{item.path} would be stored inside the object of {outer.path}; rename one.")
