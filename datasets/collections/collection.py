"""Objects, not yet read; many of them, with their classes and what was left out."""

import dataclasses
import hashlib
import itertools
import math
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Self, final, overload

from render3d.datasets.checks import SPLITS
from render3d.errors import DatasetError

if TYPE_CHECKING:
    from render3d.scenes import Mesh

_SPELLINGS: dict[str, str] = {"": "", "val": "validation", "valid": "validation", **{split: split for split in SPLITS}}


@final
@dataclasses.dataclass(frozen=True)
class CollectionObject:
    """One object of a collection, not yet read.

    Attributes:
        id: Unique in its collection, also where letters' case does not count; of letters, digits, ``-``, ``_`` and
            ``.`` in parts joined by ``/``, none of which is ``.`` or ``..``: safe as a path of folders.
        path: The file of the mesh.
        root: The folder that the file and all that it refers to must lie in.
        label: The name of its class; empty where the collection has none.
        split: ``"train"``, ``"validation"`` or ``"test"``; empty where the collection has none.
        creator: Who made the model; empty where the collection does not tell.
        licence: Under which it may be used; likewise.
    """

    id: str
    path: Path
    root: Path
    label: str = ""
    split: str = ""
    creator: str = ""
    licence: str = ""

    def facts(self) -> dict[str, str]:
        """Return what files of results say of it."""
        names = ("id", "label", "split", "creator", "licence")
        return {name: getattr(self, name) for name in names}

    def load(self, checksums: dict[str, str] | None = None) -> "Mesh":
        """Read the mesh.

        Args:
            checksums: As `render3d.scenes.files.meshes.load_mesh` fills it.

        Raises:
            MeshError: As `Mesh.load`.
        """
        from render3d.scenes.files.meshes import load_mesh  # who only passes objects on needs no torch

        return load_mesh(self.path, self.root, checksums)


class Skipped(NamedTuple):
    """Something that was met and not used."""

    path: Path
    reason: str


@final
@dataclasses.dataclass(frozen=True, repr=False)
class MeshCollection(Sequence[CollectionObject]):
    """Objects in the order of their ids: a sequence of `CollectionObject`.

    Attributes:
        objects: All of them; no two have one id.
        classes: The names of the classes; the label of an object is one of them, or empty.
        skipped: What was met and not used, and why.

    Raises:
        DatasetError: Ids that are not unique, or a label that is no class.
    """

    objects: tuple[CollectionObject, ...]
    classes: tuple[str, ...]
    skipped: tuple[Skipped, ...] = ()

    def __post_init__(self) -> None:
        if len({item.id.lower() for item in self.objects}) < len(self.objects):
            raise DatasetError("objects must have different ids, also where letters' case does not count.")
        strange = {item.label for item in self.objects} - {*self.classes, ""}
        if strange:
            raise DatasetError(f"classes must name every label; {', '.join(sorted(strange))} are missing.")

    @classmethod
    def of(cls, objects: Collection[CollectionObject], skipped: Collection[Skipped] = ()) -> Self:
        """Objects in any order; the classes are their labels, sorted."""
        ordered = sorted(objects, key=lambda item: item.id)
        classes = sorted({item.label for item in objects if item.label})
        return cls(tuple(ordered), tuple(classes), tuple(skipped))

    def __len__(self) -> int:
        return len(self.objects)

    def __iter__(self) -> Iterator[CollectionObject]:
        return iter(self.objects)

    @overload
    def __getitem__(self, index: int) -> CollectionObject: ...

    @overload
    def __getitem__(self, index: slice) -> "MeshCollection": ...

    def __getitem__(self, index: int | slice) -> "CollectionObject | MeshCollection":
        chosen = self.objects[index]
        return chosen if isinstance(chosen, CollectionObject) else dataclasses.replace(self, objects=chosen)

    def __repr__(self) -> str:
        return f"Objects({len(self)} objects, {len(self.classes)} classes, {len(self.skipped)} skipped)"

    def select(self, *, split: str | None = None, classes: Sequence[str] | None = None) -> "MeshCollection":
        """Those of a split, those of some classes, or both.

        Args:
            split: ``"train"``, ``"validation"`` or ``"test"``; None: all.
            classes: Names, which become the classes in this order; None: all. The classes do not depend on the split,
                so labels keep their numbers.

        Raises:
            DatasetError: A split or class that no object is of.
        """
        names = self.classes if classes is None else tuple(classes)
        unknown = [name for name in names if name not in self.classes]
        if unknown:
            raise DatasetError(f"classes must be of {', '.join(self.classes)}; got {', '.join(unknown)}.")
        if split is not None and split not in SPLITS:
            raise DatasetError(f"split must be one of {', '.join(SPLITS)}; got {split!r}.")
        chosen = [item for item in self.objects if split in (None, item.split)]
        if split is not None and not chosen:
            splits = sorted({item.split for item in self.objects if item.split})
            raise DatasetError(
                f"No object is of the split {split!r}; there are {', '.join(splits) or 'no splits'}. Divide them: "
                "with_splits(objects)."
            )
        kept = tuple(item for item in chosen if classes is None or item.label in names)
        return dataclasses.replace(self, objects=kept, classes=names)


def split_of(word: str) -> str | None:
    """The name of a split as people spell it: ``val`` and ``valid`` are ``validation``. None for another word."""
    return _SPELLINGS.get(word.strip().lower())


def with_splits(
    objects: MeshCollection, seed: int = 0, fractions: tuple[float, float, float] = (0.8, 0.1, 0.1)
) -> MeshCollection:
    """The same objects divided at random, whatever their splits were.

    The split of an object is a function of the seed, the fractions and its id alone: it stays when others come or go,
    so the sizes are those of independent draws and not exact.

    Args:
        objects: Any.
        seed: Another one, another division.
        fractions: Of train, validation and test.

    Raises:
        DatasetError: Fractions that are negative or do not add up to 1.
    """
    if min(fractions) < 0 or not math.isclose(sum(fractions), 1):
        raise DatasetError(f"fractions must be three shares that add up to 1; got {fractions}.")
    borders = list(itertools.accumulate(fractions))[:-1]

    def drawn(id_: str) -> str:
        digest = hashlib.sha256(f"{seed}/{id_}".encode()).digest()
        place = int.from_bytes(digest[:8]) / 2**64
        return SPLITS[sum(place >= border for border in borders)]

    divided = tuple(dataclasses.replace(item, split=drawn(item.id)) for item in objects)
    return dataclasses.replace(objects, objects=divided)
