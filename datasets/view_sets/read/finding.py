"""Which objects a folder holds, and where."""

import dataclasses
import json
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath
from typing import Any, final

from render3d.datasets.view_sets.write.run import MANIFEST
from render3d.errors import DatasetError, ViewSetError
from render3d.runs.folder import CONFIG
from render3d.view_sets.formats import FORMATS, Format, format_by_name


@final
@dataclasses.dataclass(frozen=True)
class Place:
    """An object of a collection of view sets.

    Attributes:
        id: Unique in it.
        label: The name of its class, or empty.
        split: Or empty.
        folder: Of its files.
        format: That they are in.
        sha256: Of its ``object.json``, where the collection has a list of them.
    """

    id: str
    label: str
    split: str
    folder: Path
    format: Format
    sha256: str | None = None


def find_objects(folder: Path, format: str | None = None) -> list[Place]:
    """Find all objects of a collection of view sets.

    Args:
        folder: That of a finished run of ``render3d views``; or one that a format finds objects in, such as one like
            ShapeNetRendering or one of scenes with a ``transforms.json`` each. Then ids are the folders of the objects,
            and classes the outermost of these, where there are several.
        format: Of a folder of the second kind, by its name; None to recognise it.

    Raises:
        DatasetError: No such folder, a run that is not finished, a damaged list, nothing of all that, or objects of
            more than one format.
    """
    if (folder / MANIFEST).is_file():
        return _listed(folder)
    if _is_unfinished(folder):
        raise DatasetError(f"{folder}: the run has no {MANIFEST} yet: it is not finished. Go on with it by --resume.")
    formats = {name: format_by_name(name) for name in (FORMATS if format is None else [format])}
    found = {name: places for name, one in formats.items() if (places := _found(folder, one, one.find(folder)))}
    if not found:
        raise DatasetError(
            f"{folder}: holds no views, read as {' or as '.join(formats)}. Give the folder of a 'render3d views' run, "
            "or one that holds a folder an object, and name a format of your own."
        )
    if len(found) > 1:
        raise DatasetError(f"{folder}: holds view sets of {' and of '.join(found)}. Say which: format.")
    (places,) = found.values()
    return sorted(places, key=lambda place: place.id)


def _listed(folder: Path) -> list[Place]:
    path = folder / MANIFEST
    try:
        manifest = json.loads(path.read_bytes())
        format_ = format_by_name(manifest["format"])
        return [_place(folder, item, format_) for item in manifest["objects"]]
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        reason = error if isinstance(error, ViewSetError) else repr(error)
        raise DatasetError(f"{path}: no list of views, or damaged ({reason}). Put it back, or run again.") from error


def _place(folder: Path, item: Mapping[str, Any], format_: Format) -> Place:
    words = [item[name] for name in ("id", "label", "split", "place", "sha256")]
    if not all(isinstance(word, str) for word in words):
        raise TypeError(f"{item} has something else than text")
    id_, label, split, place, sha256 = words
    if PurePosixPath(place).is_absolute() or ".." in PurePosixPath(place).parts:
        raise ValueError(f"{place!r} leads out of the folder")
    return Place(id_, label, split, folder / place, format_, sha256)


def _is_unfinished(folder: Path) -> bool:
    try:
        config = json.loads((folder / CONFIG).read_bytes())
        return isinstance(config, dict) and config.get("command") == "views"
    except (OSError, ValueError, RecursionError):
        return False


def _found(folder: Path, format_: Format, paths: Iterable[Path]) -> list[Place]:
    places = []
    for path in paths:
        id_ = path.relative_to(folder)
        name = id_.as_posix() if id_.parts else folder.resolve().name
        places.append(Place(name, id_.parts[0] if len(id_.parts) > 1 else "", "", path, format_))
    return places
