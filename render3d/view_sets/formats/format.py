"""The seam between view sets and how they lie on disk."""

import abc
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import ClassVar, Protocol

import torch
from torch import Tensor

from render3d.cameras import Cameras
from render3d.errors import ViewSetError
from render3d.images import Rendering
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
    """

    cameras: Cameras

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
            ViewSetError: As `view`; or an image is missing, or of another size than its camera.
        """
        views = [self.view(number, (*outputs, *optional)) for number in numbers]
        for number, view in zip(numbers, views, strict=True):
            self._check(number, view, outputs)
        there = [*outputs, *(name for name in optional if all(name in view for view in views))]
        return {name: torch.stack([view[name] for view in views]) for name in there}

    def _check(self, number: int, view: dict[str, Tensor], outputs: Sequence[str]) -> None:
        for name in outputs:
            if name not in view:
                way_out = "store RGBA images, or masks (white is object)" if name == "alpha" else "render it"
                raise ViewSetError(
                    f"{self.where(number, 'rgb')}: there is no {name} of this view; leave it out of outputs, or "
                    f"{way_out}."
                )
        height, width = self.cameras.image_size
        for name, image in view.items():
            if image.shape[-2:] != (height, width):
                raise ViewSetError(
                    f"{self.where(number, name)}: is {image.shape[-2]} x {image.shape[-1]} (height x width) and its "
                    f"camera {height} x {width}. Resize the image, or correct the size of the camera."
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
