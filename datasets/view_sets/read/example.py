"""One object seen from a few places: what all readers give, and what can be chosen of it."""

import dataclasses
from collections.abc import Sequence
from typing import NamedTuple, TypeVar, final, get_args

from torch import Tensor

from render3d.cameras import Cameras
from render3d.datasets.base import OF_VIEWS, example_generator, number_of
from render3d.datasets.checks import Split, check_at_least, check_choice, check_seed
from render3d.datasets.view_sets.write.settings import OUTPUTS
from render3d.errors import DatasetError
from render3d.randomness import Key
from render3d.view_sets.formats import StoredObject


class PosedObject(NamedTuple):
    """Images of one object with the cameras that took them. `render3d.collate` makes batches of these."""

    id: str
    label: int  # a number of the dataset's `classes`; -1 where the object has no class
    images: dict[str, Tensor]  # by name of the output, [views, C, H, W], as `Rendering` has them
    cameras: Cameras  # [views]


@final
@dataclasses.dataclass(frozen=True, kw_only=True)
class PosedSettings:
    """What is read of a collection of views.

    Attributes:
        outputs: Of ``rgb``, ``alpha``, ``depth``, ``normal`` and ``face_index``.
        views: How many of its views an example has: a function of (seed, epoch, id), in the order drawn. None: all of
            them, in theirs.
        classes: Only objects of these, which become the labels 0, 1, ... in this order. None: all objects; labels
            are the names of the whole collection, sorted, whatever the split.
        split: Only objects of ``"train"``, ``"validation"`` or ``"test"``. The latter two are fixed: the epoch does not
            count. None: all objects.
        seed: Of the choice of views and of the order, from 0 to 2**63 - 1.
        verify: Compare the SHA-256 of all that is read with what was noted when it was written.
        follow_links: Follow links in the folder of an object that lead out of it.

    Raises:
        DatasetError: A value outside its range.
    """

    outputs: tuple[str, ...] = ("rgb", "alpha")
    views: int | None = None
    classes: tuple[str, ...] | None = None
    split: Split | None = None
    seed: int = 0
    verify: bool = False
    follow_links: bool = False

    def __post_init__(self) -> None:
        if isinstance(self.outputs, str) or not self.outputs:
            raise DatasetError(f"outputs must be a tuple of names such as ('rgb', 'alpha'); got {self.outputs!r}.")
        for name in self.outputs:
            check_choice("outputs", name, OUTPUTS)
        if self.views is not None:
            check_at_least(1, views=self.views)
        if self.classes is not None and (isinstance(self.classes, str) or len({*self.classes}) < len(self.classes)):
            raise DatasetError(f"classes must be a tuple of different names, such as ('chair',); got {self.classes!r}.")
        if self.split is not None:
            check_choice("split", self.split, get_args(Split))
        check_seed(self.seed)

    def stream(self, purpose: int, epoch: int) -> Key:
        """The randomness of an epoch for one purpose; always the same in splits that are fixed."""
        counted = epoch if self.split in (None, "train") else 0
        return Key(self.seed).fold_in(purpose).fold_in(counted)

    def chosen_views(self, id_: str, count: int, epoch: int) -> list[int]:
        """The numbers of the views of an example, of ``count`` that its object has.

        Raises:
            DatasetError: It has too few.
        """
        if self.views is None:
            return list(range(count))
        if self.views > count:
            raise DatasetError(
                f"views must be at most those that objects have; got {self.views}, and {id_} has {count}."
            )
        generator = example_generator(self.stream(OF_VIEWS, epoch), number_of(id_))
        numbers: list[int] = generator.choice(count, self.views, replace=False).tolist()
        return numbers


_Item = TypeVar("_Item", bound=StoredObject)


def select(items: Sequence[_Item], settings: PosedSettings) -> tuple[list[_Item], tuple[str, ...]]:
    """Those that the settings ask for, and the names of the classes.

    Raises:
        DatasetError: A class or a split that no item is of, or nothing is left.
    """
    there = sorted({item.label for item in items if item.label})
    classes = tuple(there) if settings.classes is None else settings.classes
    unknown = [name for name in classes if name not in there]
    if unknown:
        raise DatasetError(f"classes must be of {', '.join(there) or 'none at all'}; got {', '.join(unknown)}.")
    of_split = [item for item in items if settings.split in (None, item.split)]
    if not of_split:
        splits = sorted({item.split for item in items if item.split})
        raise DatasetError(
            f"No object is of the split {settings.split!r}; there are {', '.join(splits) or 'no splits'}."
        )
    chosen = [item for item in of_split if settings.classes is None or item.label in classes]
    if not chosen:
        raise DatasetError(f"No object of the split {settings.split!r} is of the classes {', '.join(classes)}.")
    return chosen, classes


def label_of(item: StoredObject, classes: Sequence[str]) -> int:
    """The number of its class, or -1."""
    return classes.index(item.label) if item.label else -1
