"""From a path to objects: `open_collection`."""

import os
from collections import Counter
from pathlib import Path

from render3d.datasets.collections.collection import CollectionObject, MeshCollection, Skipped
from render3d.datasets.collections.foreign import looks_like_mesh, unreadable
from render3d.datasets.collections.ids import unique_ids
from render3d.datasets.collections.layouts import LAYOUTS, CollectionLayout, FoundObject
from render3d.datasets.collections.tree import Tree
from render3d.errors import DatasetError

_REASONS_SHOWN = 3
_ANY_DEPTH = "recursive"


def open_collection(path: str | Path, layout: str | CollectionLayout | None = None) -> MeshCollection:
    """The meshes of a folder, or of a list, without reading them.

    Ids are the paths of the models in the folder, without suffix, with unsafe characters as ``_``. Where two would be
    the same, or differ in the case of letters only, both get a hash of their paths at the end; so does one that would
    be a folder on the way to another. Links that lead outside, empty files and folders, and what cannot be read are
    left out and listed in ``skipped``; so is every file of a folder that has a suffix of meshes and is of a format that
    is not read, or lies where the layout does not look. Whether a file is a sound mesh shows when it is loaded.

    Args:
        path: A folder, a file that lists paths, or one mesh. Nothing outside the folder, or that of the file, is used.
        layout: How it is laid out: a name of `LAYOUTS`, or ``module:Class`` of a `CollectionLayout` of your own, or one
            that is made; None to recognise it.

            - ``shapenet-v1``: ``<synset>/<model>/model.obj``;
            - ``shapenet-v2``: ``<synset>/<model>/models/model_normalized.obj``; both with ``taxonomy.json`` for the
              names of classes and ``all.csv`` for the splits, where these are;
            - ``modelnet``: ``<class>/{train,test}/<model>.off``;
            - ``sweethome3d``: the models that ``<library>/PluginFurnitureCatalog.properties`` names; see `furniture`;
            - ``classes``: ``<class>/<model>.obj``, or any other format that `Mesh.load` reads;
            - ``flat``: ``<model>.obj`` and so on, without classes; or one such file;
            - ``recursive``: meshes at any depth, without classes; never recognised, for any folder could be read so;
            - ``list``: a ``.txt`` of paths, or a ``.csv`` with the columns path, label, split, creator, licence.

    Returns:
        Objects in the order of their ids. Their root is the folder.

    Raises:
        DatasetError: No such path; a layout that is none, that cannot be told, or in which no object can be used.
    """
    tree = Tree(Path(path).absolute())
    if not tree.path.exists():
        raise DatasetError(f"{path}: no such folder or file (from {Path.cwd()}).")
    if not isinstance(layout, CollectionLayout):
        layout = LAYOUTS.load(_recognised(tree.path) if layout is None else layout)()
    usable = _usable(tree, layout)
    _note_the_rest(tree, layout, usable)
    skipped = [Skipped(path, reason) for path, reason in tree.skipped.items()]
    if not usable:
        reasons = "; ".join(f"{skip.path} {skip.reason}" for skip in skipped[:_REASONS_SHOWN])
        raise DatasetError(
            f"{path}: no object can be used, read as {LAYOUTS.short_name_of(type(layout))} ({layout.pattern}); "
            f"{len(skipped)} were skipped"
            f"{': ' if reasons else ''}{reasons}. Check the path, or name another layout: {', '.join(LAYOUTS)}."
        )
    ids = unique_ids([found.name for found in usable.values()], list(usable))
    objects = [_object(id_, found, tree.root) for id_, found in zip(ids, usable.values(), strict=True)]
    return MeshCollection.of(objects, skipped)


def _usable(tree: Tree, layout: CollectionLayout) -> dict[str, FoundObject]:
    """What can be used, by its path below the root; the rest is noted in the tree."""
    usable: dict[str, FoundObject] = {}
    for found in layout.find(tree):
        path = tree.path_of(found.path)
        key = os.path.relpath(path, tree.root)
        problem = tree.problem_of(path) or unreadable(path) or ("is listed twice" if key in usable else "")
        if problem:
            tree.skip(path, problem)
        else:
            usable[key] = found._replace(path=path)
    return usable


def _note_the_rest(tree: Tree, layout: CollectionLayout, usable: dict[str, FoundObject]) -> None:
    """Note the files of a folder that look like meshes and that the layout has passed over."""
    if not tree.path.is_dir():
        return
    met = tree.skipped.keys() | {found.path for found in usable.values()}
    rest = [path for path in tree.all_meshes() if path not in met]
    used = {os.path.realpath(found.path) for found in usable.values()} if rest else set()
    elsewhere = (
        f"lies where the layout {LAYOUTS.short_name_of(type(layout))} does not look; {_ANY_DEPTH} takes meshes at any "
        f"depth (--layout {_ANY_DEPTH})"
    )
    for path in rest:
        if os.path.realpath(path) not in used:  # by a link that the layout has followed
            tree.skip(path, unreadable(path) or elsewhere)


def _recognised(path: Path) -> str:
    if path.is_file() and looks_like_mesh(path.name) and (reason := unreadable(path)):
        raise DatasetError(f"{path} {reason}.")
    layouts = {name: LAYOUTS.load(name)() for name in LAYOUTS}
    fitting = [name for name, layout in layouts.items() if layout.fits(Tree(path))]
    if len(fitting) == 1:
        return fitting[0]
    if fitting:
        raise DatasetError(
            f"{path} can be read as {' and as '.join(fitting)}. Say which by the layout (--layout), such as "
            f"{fitting[0]!r}; take both by {_ANY_DEPTH!r}; or separate them."
        )
    known = "\n".join(f"  {name}: {layout.pattern}" for name, layout in layouts.items())
    raise DatasetError(
        f"{path} is laid out in no way that is known. Pass the folder just above what the pattern shows"
        f"{_what_there_is(path)}:\n{known}"
    )


def _what_there_is(path: Path) -> str:
    """What an error says of the meshes in a folder of no known layout."""
    files = list(Tree(path).all_meshes()) if path.is_dir() else []
    counts = Counter(file.suffix.lower() for file in files)
    if not counts:
        return ""
    held = ", ".join(f"{count} {suffix}" for suffix, count in counts.most_common())
    if all(map(unreadable, files)):
        return f". It holds {held}, which are not read: convert them to .glb or .obj"
    return f", or take all that it holds, {held}, by the layout {_ANY_DEPTH!r} (--layout {_ANY_DEPTH})"


def _object(id_: str, found: FoundObject, root: Path) -> CollectionObject:
    label, creator, licence = map(_shown, (found.label, found.creator, found.licence))
    return CollectionObject(id_, found.path, root, label, found.split, creator, licence)


def _shown(name: str) -> str:
    """A name that can be printed and stored, whatever the bytes of the folder's are."""
    return name.encode("utf-8", "replace").decode("utf-8")
