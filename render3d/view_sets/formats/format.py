"""The seam between view sets and how they lie on disk."""

import abc
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import ClassVar, Protocol

from torch import Tensor

from render3d.cameras import Cameras
from render3d.errors import ViewSetError
from render3d.images import CHANNELS, Rendering
from render3d.images.files import check_size
from render3d.view_sets.files import Files


class StoredObject(Protocol):
    """An object of a collection; ``label`` and ``split`` are empty where it has none."""

    @property
    def id(self) -> str:
        """Its id, unique in the collection and safe as a path of folders."""
        ...

    @property
    def label(self) -> str:
        """The name of its class."""
        ...

    @property
    def split(self) -> str:
        """The name of its split."""
        ...


class StoredViews(abc.ABC):
    """The views of one object in files, whose images are read when they are asked for.

    Attributes:
        cameras: ``[views]``.
        splits: The split of each view, such as ``"train"`` or ``"test"``; empty where the files do not tell.
    """

    cameras: Cameras
    splits: tuple[str, ...] = ()

    @abc.abstractmethod
    def view(self, number: int, outputs: Sequence[str]) -> dict[str, Tensor]:
        """Read the images ``[C, H, W]`` of one view, with the values and types that `Rendering` has.

        Args:
            number: Of the view.
            outputs: Names such as ``"rgb"`` and ``"depth"``; what the view lacks of these is left out.

        Raises:
            ViewSetError: A file is missing or broken.
        """

    def name(self, number: int) -> str:
        """Return the name of a view."""
        return f"{number:04d}"

    def where(self, number: int, output: str) -> Path | str:
        """Return the file that holds an image, or what else messages call it."""
        return f"view {self.name(number)}"

    def read(self, numbers: Sequence[int], outputs: Sequence[str], optional: Sequence[str] = ()) -> dict[str, Tensor]:
        """Read images ``[numbers, C, H, W]`` by the names of their outputs.

        Args:
            numbers: Of the views, at least one.
            outputs: Which must be there.
            optional: Which are read where all views have them.

        Raises:
            ViewSetError: As `view`; or an image is missing, or of another size than its camera; or no mask of all views
                has a value above 1/255, but some are above 0, as masks of 0 and 1 have them.
        """
        found: dict[str, Tensor] = {}
        for place, number in enumerate(numbers):
            view = self.view(number, (*outputs, *optional))
            self._check(number, view, outputs)
            if not place:  # each view goes where it is to be, for all of them may take more than half of the memory
                there = [name for name in (*outputs, *optional) if name in view]
                found = {name: view[name].new_empty(len(numbers), *view[name].shape) for name in there}
            found = {name: images for name, images in found.items() if name in view}
            for name, images in found.items():
                images[place] = view[name]
        if "alpha" in found:
            self._check_white(found["alpha"], numbers)
        return found

    def _check_white(self, alpha: Tensor, numbers: Sequence[int]) -> None:
        """Refuse masks that mean 1 by white; views that show next to nothing are right beside others that show more."""
        if not 0 < float(alpha.max()) <= _FAINT:
            return
        others = set(range(self.cameras.views)) - set(numbers)
        masks = (self.view(number, ("alpha",)).get("alpha") for number in sorted(others))
        if any(mask is not None and float(mask.max()) > _FAINT for mask in masks):
            return
        brightest = int(alpha.flatten(1).amax(1).argmax())
        raise ViewSetError(
            f"{self.where(numbers[brightest], 'alpha')}: its largest value is {float(alpha.max()):.2g} of white, which "
            "is next to nothing, and no other mask has more. If 1 is meant to be white, multiply the values of masks "
            "by 255; by 257, if they are of 8 bits in files of 16."
        )

    def _check(self, number: int, view: dict[str, Tensor], outputs: Sequence[str]) -> None:
        for name in outputs:
            if name not in view:
                lacks = _NO_SILHOUETTE if name == "alpha" else f"there is no {name} of this view; {_LEAVE_OUT}"
                raise ViewSetError(f"{self.where(number, 'rgb')}: {lacks}")
        for name, image in view.items():
            check_size(self.where(number, name), tuple(image.shape[-2:]), self.cameras.image_size)
            if image.shape[0] != CHANNELS[name]:
                raise ViewSetError(
                    f"{self.where(number, name)}: {name} must have {CHANNELS[name]} channels; got {image.shape[0]}."
                )


_FAINT = 1.001 / 255  # of white; no more than 1 in 8 bits
_LEAVE_OUT = "leave it out of outputs, or render it."
_NO_SILHOUETTE = (
    "there is no alpha of this view: no mask, and no alpha channel. Store masks (white is object) in the folder masks, "
    "or RGBA images, or have masks made: --masks grabcut."
)


class Format(abc.ABC):
    """How view sets lie on disk: written, found and read.

    A format is made without arguments. One of your own is named ``module:Class``, and needs `marker`, `files` and
    `open`; the rest have defaults.

    Attributes:
        marker: A file or folder, by its path in the folder of an object, that shows that it is in this format.
    """

    marker: ClassVar[str]

    def check(self, cameras: Cameras, outputs: Sequence[str]) -> None:  # noqa: B027  # a default
        """Find out, before anything is rendered, whether views of this kind can be stored; by default all can.

        Args:
            cameras: ``[views]``, such as each object will have.
            outputs: What will be rendered.

        Raises:
            ViewSetError: They cannot.
        """

    def place(self, item: StoredObject) -> PurePosixPath:
        """Return the folder of an object in that of the run: no two objects share one. By default ``objects/<id>``."""
        return PurePosixPath("objects", item.id)

    @abc.abstractmethod
    def files(self, cameras: Cameras, rendering: Rendering, renderer: str | None) -> Iterator[tuple[str, bytes]]:
        """Yield the files of an object, by their names in its folder.

        Args:
            cameras: ``[views]``.
            rendering: ``[views]``, with ``alpha`` and possibly others.
            renderer: What made the images, for the record.

        Raises:
            ViewSetError: These views cannot be stored.
        """

    def finish(self, folder: Path, objects: Sequence[StoredObject]) -> None:  # noqa: B027  # a default
        """Make what is made of all objects together, such as shards; by default nothing. Repeated, it changes nothing.

        Args:
            folder: Of the run.
            objects: Those that are stored whole, in the order of their ids.
        """

    def fits(self, folder: Path) -> bool:
        """Whether a folder is that of an object in this format."""
        return (folder / self.marker).exists()

    def find(self, folder: Path) -> Iterable[Path]:
        """Yield the folders of objects in a folder that was not written by ``render3d views``; it may be one itself."""
        above = len(PurePosixPath(self.marker).parts) - 1
        return (path.parents[above] for path in folder.rglob(self.marker))

    @abc.abstractmethod
    def open(self, files: Files) -> StoredViews:
        """Read the cameras of an object, and which of its files hold which images.

        Raises:
            ViewSetError: A file is missing or broken.
        """
