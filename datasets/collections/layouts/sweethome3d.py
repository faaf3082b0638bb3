"""Libraries of furniture for Sweet Home 3D, unpacked: a folder for each, and in it a catalogue of its models."""

from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar, NamedTuple, final

from render3d.datasets.collections.layouts.layout import CollectionLayout, FoundObject
from render3d.datasets.collections.layouts.properties import read_properties
from render3d.datasets.collections.tree import Tree
from render3d.errors import DatasetError

CATALOGUE = "PluginFurnitureCatalog.properties"


class Piece(NamedTuple):
    """One model as a catalogue has it."""

    id: str
    name: str
    category: str
    path: Path
    rotation: str  # nine numbers, row by row, that turn it upright; mostly empty
    creator: str
    license: str


@final
class SweetHome3D(CollectionLayout):
    """The models that ``<library>/PluginFurnitureCatalog.properties`` names, of the classes that it names in English.

    Creators and licences are those of the catalogue.

    Rotations of the catalogue are not applied; see `furniture`, which unpacks such libraries.
    """

    pattern: ClassVar[str] = f"<library>/{CATALOGUE}, and the models that it names"

    def fits(self, tree: Tree) -> bool:
        """Whether a folder has a catalogue."""
        return any((folder / CATALOGUE).is_file() for folder in tree.folders(tree.path))

    def find(self, tree: Tree) -> Iterator[FoundObject]:
        """What the catalogues name."""
        for library in tree.folders(tree.path):
            path = library / CATALOGUE
            problem = tree.problem_of(path)
            if problem:
                tree.skip(path, problem)
                continue
            for piece in pieces_of(library):
                name = piece.id.replace("#", "/")
                yield FoundObject(name, piece.path, piece.category, creator=piece.creator, licence=piece.license)


def pieces_of(library: Path) -> list[Piece]:
    """What the catalogue in a folder says of its models, in its order.

    Raises:
        DatasetError: The catalogue cannot be read, or says too little of a model.
    """
    path = library / CATALOGUE
    try:
        entries = read_properties(path.read_bytes())
        numbers = [key.removeprefix("id#") for key in entries if key.startswith("id#")]
        return [_piece(library, entries, number) for number in numbers]
    except OSError as error:
        raise DatasetError(f"{path} cannot be read: {error}.") from error
    except KeyError as error:
        raise DatasetError(f"{path} has no entry {error}; a model needs id, name, category and model.") from error


def _piece(library: Path, entries: dict[str, str], number: str) -> Piece:
    return Piece(
        id=entries[f"id#{number}"],
        name=entries[f"name#{number}"],
        category=entries[f"category#{number}"],
        path=library / entries[f"model#{number}"].lstrip("/"),
        rotation=entries.get(f"modelRotation#{number}", ""),
        creator=entries.get(f"creator#{number}") or entries.get("provider", ""),
        license=entries.get("license", ""),
    )
