"""Collections divided into splits: `with_splits`."""

import dataclasses
import hashlib
import itertools
import math

from render3d.datasets.base import SPLITS
from render3d.datasets.collections.collection import MeshCollection
from render3d.errors import DatasetError


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

    def split_of(id_: str) -> str:
        digest = hashlib.sha256(f"{seed}/{id_}".encode()).digest()
        place = int.from_bytes(digest[:8]) / 2**64
        return SPLITS[sum(place >= border for border in borders)]

    divided = tuple(dataclasses.replace(item, split=split_of(item.id)) for item in objects)
    return dataclasses.replace(objects, objects=divided)
