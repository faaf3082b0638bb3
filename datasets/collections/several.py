"""From several paths to objects: `open_collections`."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from render3d.datasets.collections.collection import CollectionObject, MeshCollection, Skipped
from render3d.datasets.collections.finding import open_collection
from render3d.datasets.collections.foreign import unreadable
from render3d.datasets.collections.ids import endings, unique_ids
from render3d.datasets.collections.layouts import LAYOUTS, CollectionLayout
from render3d.datasets.collections.layouts.listed import SUFFIXES
from render3d.datasets.collections.tree import Tree
from render3d.errors import DatasetError


def open_collections(paths: Sequence[str | Path], layout: str | CollectionLayout | None = None) -> MeshCollection:
    """The meshes of several files, folders and lists as one collection, without reading them.

    The id of a file is its name without suffix; those of a folder or a list begin with its name. Where two files, or
    two folders, have one name, so much of the path goes before it as tells them apart. What a mesh refers to is read
    from its own folder, or from the one that was given, and below. Files that are no meshes are listed in ``skipped``.
    One path alone is opened as by `open_collection`.

    Args:
        paths: At least one.
        layout: How the folders among them are laid out; as in `open_collection`. Files and lists have none.

    Raises:
        DatasetError: As `open_collection` of a folder or a list; no such path; or no object that can be used.
    """
    if len(paths) == 1:
        return open_collection(paths[0], layout)
    if isinstance(layout, str):
        LAYOUTS.load(layout)  # raises, if there is none of that name, though none of the paths may need it
    given = list(dict.fromkeys(Path(path).absolute() for path in paths))
    if missing := [str(path) for path in given if not path.exists()]:
        raise DatasetError(f"{', '.join(missing)}: no such folder or file (from {Path.cwd()}).")
    skipped: list[Skipped] = []
    named: dict[Path, tuple[str, CollectionObject]] = {}
    for path, name in zip(given, endings([_bare(path) for path in given]), strict=True):
        for id_, item in _objects(path, name, layout, skipped):
            named.setdefault(item.path, (id_, item))
    if not named:
        reasons = "; ".join(f"{skip.path} {skip.reason}" for skip in skipped)
        raise DatasetError(f"No object of {len(given)} paths can be used: {reasons or 'none was given'}.")
    ids = unique_ids([id_ for id_, _ in named.values()], list(map(str, named)))
    return MeshCollection.of(
        [replace(item, id=id_) for id_, (_, item) in zip(ids, named.values(), strict=True)], skipped
    )


def _bare(path: Path) -> Path:
    return path.with_suffix("") if path.is_file() else path


def _objects(
    path: Path, name: str, layout: str | CollectionLayout | None, skipped: list[Skipped]
) -> Iterator[tuple[str, CollectionObject]]:
    """The objects of a path, each with what its id is made from."""
    if path.is_dir() or path.suffix.lower() in SUFFIXES:
        collection = open_collection(path, layout if path.is_dir() else None)
        skipped += collection.skipped
        yield from ((f"{name}/{item.id}", item) for item in collection)
    elif problem := unreadable(path) or Tree(path).problem_of(path):
        skipped.append(Skipped(path, problem))
    else:
        yield name, CollectionObject(name, path, path.parent)
