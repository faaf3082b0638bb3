"""The layout of ShapeNetRendering: the images of Choy et al., "3D-R2N2", ECCV 2016."""

from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import ClassVar, final

from render3d.cameras import Cameras
from render3d.conventions import to_r2n2
from render3d.datasets.collections import CollectionObject
from render3d.datasets.view_sets.write.rendered import RenderedObject
from render3d.errors import CameraError, DatasetError
from render3d.view_sets.view_files import TRANSFORMS, view_files

RENDERING = "rendering"
METADATA, NAMES = f"{RENDERING}/rendering_metadata.txt", f"{RENDERING}/renderings.txt"
_NO_CLASS = "objects"


@final
class R2N2:
    """``<class>/<model>/rendering/00.png``, ``rendering_metadata.txt`` and ``renderings.txt``.

    A row of the metadata is that of `render3d.conventions.to_r2n2`. What ShapeNetRendering does not have lies beside
    the folder ``rendering``, which holds nothing else: ``depth``, ``normals`` and ``face_index``, as in nerfstudio's
    layout, and ``object.json``.
    """

    name: ClassVar[str] = "r2n2"

    def check(self, cameras: Cameras, outputs: Sequence[str]) -> None:
        """Find out whether the metadata can express such cameras, and whether pictures will be RGBA.

        Raises:
            DatasetError: They cannot, or there are no colours.
        """
        try:
            to_r2n2(cameras)
        except CameraError as error:
            raise DatasetError(
                f"The layout r2n2 has no room for these cameras: {error} Use the protocol r2n2, or the layout "
                "nerfstudio."
            ) from error
        if "rgb" not in outputs:
            raise DatasetError(
                f"The layout r2n2 stores RGBA images: outputs must hold 'rgb'; got {', '.join(outputs)}. Add it, or "
                "use the layout nerfstudio."
            )

    def place(self, shape: CollectionObject) -> PurePosixPath:
        """``<class>/<model>``: the first part of the id and the rest of it, joined by ``_``.

        An id of one part has its label for a class, or ``objects``.
        """
        first, *rest = shape.id.split("/")
        return PurePosixPath(first, "_".join(rest)) if rest else PurePosixPath(_class_of(shape), first)

    def files(self, rendered: RenderedObject) -> Iterator[tuple[str, bytes]]:
        """Images, depth, normals and face indices of each view, then the two text files."""
        for name, content in view_files(rendered.cameras, rendered.rendering):
            if name != TRANSFORMS:
                path = PurePosixPath(name)
                folder = RENDERING if path.parent.name == "images" else path.parent.name
                yield f"{folder}/{int(path.stem):02d}{path.suffix}", content
        yield METADATA, "".join(map(_line, to_r2n2(rendered.cameras).tolist())).encode()
        yield NAMES, "".join(f"{number:02d}.png\n" for number in range(rendered.cameras.views)).encode()

    def finish(self, folder: Path, shapes: Sequence[CollectionObject]) -> None:
        """Nothing: each object stands by itself."""


def _class_of(shape: CollectionObject) -> str:
    """A label as a folder: labels may hold any letters, ids may not."""
    safe = "".join(letter if letter.isascii() and letter.isalnum() else "_" for letter in shape.label)
    return safe or _NO_CLASS


def _line(row: list[float]) -> str:
    # Nine digits tell all float32 apart.
    return " ".join(f"{value:.9g}" for value in row) + "\n"
