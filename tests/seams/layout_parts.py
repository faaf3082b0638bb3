"""A layout of collections in the shortest way: a list of meshes in JSON."""

import json
from collections.abc import Iterator

from render3d.datasets.collections import CollectionLayout, FoundObject
from render3d.datasets.collections.tree import Tree


class Indexed(CollectionLayout):
    """``index.json``: a list of objects with ``name``, ``file`` and ``class``."""

    pattern = "index.json, and the meshes that it names"

    def fits(self, tree: Tree) -> bool:
        return (tree.path / "index.json").is_file()

    def find(self, tree: Tree) -> Iterator[FoundObject]:
        for entry in json.loads((tree.path / "index.json").read_bytes()):
            yield FoundObject(entry["name"], tree.root / entry["file"], entry["class"])
