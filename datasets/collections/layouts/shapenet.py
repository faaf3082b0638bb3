"""ShapeNetCore: a folder for each synset of WordNet, and in it one for each model."""

import csv
import json
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import ClassVar, final

from render3d.datasets.collections.collection import split_of
from render3d.datasets.collections.layouts.layout import CollectionLayout, FoundObject
from render3d.datasets.collections.tree import Tree

_TAXONOMY = "taxonomy.json"
_SPLITS = "all.csv"
_MODELS_TRIED = 64  # of each synset; some of the models are empty folders


class _ShapeNet(CollectionLayout):
    """ShapeNetCore in one of its versions, which differ in where a model has its mesh.

    Labels are the first names of the synsets in ``taxonomy.json``, with the synset's number where two have the same, or
    those numbers alone without that file. Splits are those of ``all.csv``, where that file is.

    Attributes:
        mesh: The path of the mesh in the folder of a model.
    """

    mesh: ClassVar[str]

    def fits(self, tree: Tree) -> bool:
        """Whether one of the first models of a synset has its mesh there."""
        return any(
            (model / self.mesh).is_file()
            for synset in tree.folders(tree.path)
            for model in islice(tree.folders(synset), _MODELS_TRIED)
        )

    def find(self, tree: Tree) -> Iterator[FoundObject]:
        """A mesh for each folder of a model."""
        synsets = tree.folders(tree.path)
        labels = _labels(tree, [synset.name for synset in synsets])
        splits = _splits(tree)
        for synset in synsets:
            for model in tree.folders(synset):
                split = splits.get((synset.name, model.name), "")
                yield FoundObject(f"{synset.name}/{model.name}", model / self.mesh, labels[synset.name], split)


@final
class ShapeNetV1(_ShapeNet):
    """``<synset>/<model>/model.obj``, with ``taxonomy.json`` and ``all.csv`` where these are."""

    mesh: ClassVar[str] = "model.obj"
    pattern: ClassVar[str] = f"<synset>/<model>/{mesh}"


@final
class ShapeNetV2(_ShapeNet):
    """``<synset>/<model>/models/model_normalized.obj``, with ``taxonomy.json`` and ``all.csv`` where these are."""

    mesh: ClassVar[str] = "models/model_normalized.obj"
    pattern: ClassVar[str] = f"<synset>/<model>/{mesh}"


def _labels(tree: Tree, synsets: Iterable[str]) -> dict[str, str]:
    names = {**{synset: synset for synset in synsets}, **_names(tree)}
    count = Counter(names[synset] for synset in synsets)
    return {synset: names[synset] if count[names[synset]] == 1 else f"{names[synset]} {synset}" for synset in synsets}


def _names(tree: Tree) -> dict[str, str]:
    path = tree.root / _TAXONOMY
    if tree.problem_of(path) == "is missing":
        return {}
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))
        names = {str(entry["synsetId"]): str(entry["name"]) for entry in entries}
        return {synset: name.partition(",")[0].strip().replace("_", " ") or synset for synset, name in names.items()}
    except (OSError, ValueError, KeyError, TypeError) as error:
        tree.skip(path, f"is no taxonomy that can be read ({error!r}); classes are named by their synsets")
        return {}


def _splits(tree: Tree) -> dict[tuple[str, str], str]:
    path = tree.root / _SPLITS
    if tree.problem_of(path) == "is missing":
        return {}
    splits = {}
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            for row in csv.DictReader(file):
                # Spreadsheets drop the leading zero of the synset.
                splits[row["synsetId"].zfill(8), row["modelId"]] = split_of(row["split"]) or ""
        return splits
    except (OSError, ValueError, KeyError, AttributeError, csv.Error) as error:
        tree.skip(path, f"is no list of splits that can be read ({error!r}); there are no splits")
        return {}
