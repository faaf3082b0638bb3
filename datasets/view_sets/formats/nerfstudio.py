"""A folder an object, each as nerfstudio and `render3d.view_sets.read_views` read it."""

from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import ClassVar, final

from render3d.cameras import Cameras
from render3d.datasets.collections import CollectionObject
from render3d.datasets.view_sets.write.rendered import RenderedObject
from render3d.view_sets.view_files import view_files


@final
class Nerfstudio:
    """``objects/<id>/transforms.json`` and the files it names: see `render3d.view_sets.write_views`."""

    name: ClassVar[str] = "nerfstudio"

    def check(self, cameras: Cameras, outputs: Sequence[str]) -> None:
        """Nothing: there is room for whatever a run makes."""

    def place(self, shape: CollectionObject) -> PurePosixPath:
        """``objects/<id>``."""
        return PurePosixPath("objects", shape.id)

    def files(self, rendered: RenderedObject) -> Iterator[tuple[str, bytes]]:
        """Images, depth, normals and face indices of each view, and ``transforms.json``."""
        return view_files(rendered.cameras, rendered.rendering, renderer=rendered.facts["made_with"]["renderer"])

    def finish(self, folder: Path, shapes: Sequence[CollectionObject]) -> None:
        """Nothing: each object stands by itself."""
