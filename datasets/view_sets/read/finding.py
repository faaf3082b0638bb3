"""Which objects a folder holds, and where."""

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any, Literal, final

from render3d.datasets.view_sets.formats.r2n2 import RENDERING
from render3d.datasets.view_sets.write.run import MANIFEST
from render3d.errors import DatasetError
from render3d.runs.folder import CONFIG
from render3d.view_sets.view_files import TRANSFORMS


@final
@dataclasses.dataclass(frozen=True)
class Place:
    """An object of a collection.

    Attributes:
        id: Unique in it.
        label: The name of its class, or empty.
        split: Or empty.
        folder: Of its files.
        kind: What describes its views: a ``transforms.json``, or the text files of ShapeNetRendering.
        sha256: Of its ``object.json``, where the collection has a list of them.
    """

    id: str
    label: str
    split: str
    folder: Path
    kind: Literal["transforms", "r2n2"]
    sha256: str | None = None


def find_objects(folder: Path) -> list[Place]:
    """All objects of a collection.

    Args:
        folder: That of a finished run of ``render3d views``; or one like ShapeNetRendering, with
            ``<class>/<model>/rendering``; or any with scenes of a ``transforms.json`` each, whose ids are their folders
            and whose classes are the outermost of these, where there are several.

    Raises:
        DatasetError: No such folder, a run that is not finished, a damaged list, or nothing of all that.
    """
    if (folder / MANIFEST).is_file():
        return _listed(folder)
    if _is_unfinished(folder):
        raise DatasetError(f"{folder}: the run has no {MANIFEST} yet: it is not finished. Go on with it by --resume.")
    found = _of_r2n2(folder) or _of_scenes(folder)
    if not found:
        raise DatasetError(
            f"{folder}: holds no views. Give the folder of a run of 'render3d views', one of "
            f"<class>/<model>/{RENDERING}/00.png as ShapeNetRendering, or one of folders with {TRANSFORMS}."
        )
    return sorted(found, key=lambda place: place.id)


def _listed(folder: Path) -> list[Place]:
    path = folder / MANIFEST
    try:
        manifest = json.loads(path.read_bytes())
        kind: Literal["r2n2", "transforms"] = "r2n2" if manifest["layout"] == "r2n2" else "transforms"
        return [_place(folder, item, kind) for item in manifest["objects"]]
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise DatasetError(f"{path}: no list of views, or damaged ({error!r}). Put it back, or run again.") from error


def _place(folder: Path, item: Mapping[str, Any], kind: Literal["r2n2", "transforms"]) -> Place:
    words = [item[name] for name in ("id", "label", "split", "place", "sha256")]
    if not all(isinstance(word, str) for word in words):
        raise TypeError(f"{item} has something else than text")
    id_, label, split, place, sha256 = words
    if PurePosixPath(place).is_absolute() or ".." in PurePosixPath(place).parts:
        raise ValueError(f"{place!r} leads out of the folder")
    return Place(id_, label, split, folder / place, kind, sha256)


def _is_unfinished(folder: Path) -> bool:
    try:
        config = json.loads((folder / CONFIG).read_bytes())
        return isinstance(config, dict) and config.get("command") == "views"
    except (OSError, ValueError, RecursionError):
        return False


def _of_r2n2(folder: Path) -> list[Place]:
    models = [path.parent for path in folder.glob(f"*/*/{RENDERING}") if path.is_dir()]
    return [Place(f"{path.parent.name}/{path.name}", path.parent.name, "", path, "r2n2") for path in models]


def _of_scenes(folder: Path) -> list[Place]:
    places = []
    for path in folder.rglob(TRANSFORMS):
        id_ = path.parent.relative_to(folder)
        name = id_.as_posix() if id_.parts else folder.resolve().name
        places.append(Place(name, id_.parts[0] if len(id_.parts) > 1 else "", "", path.parent, "transforms"))
    return places
