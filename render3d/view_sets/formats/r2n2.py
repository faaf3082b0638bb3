"""The format of ShapeNetRendering: the images of Choy et al., "3D-R2N2", ECCV 2016."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import ClassVar, final

import torch

from render3d.cameras import Cameras
from render3d.conventions import from_r2n2, to_r2n2
from render3d.errors import CameraError, ShapeError, ViewSetError
from render3d.images import Rendering
from render3d.view_sets.files import OBJECT, Files, name_of
from render3d.view_sets.formats.format import Format, StoredObject
from render3d.view_sets.frames import Frames, frame_files, frame_names, size_of, with_facts

_RENDERING = "rendering"
_METADATA, _LIST = f"{_RENDERING}/rendering_metadata.txt", f"{_RENDERING}/renderings.txt"
_NAMES = frame_names(_RENDERING, digits=2)
_NO_CLASS = "objects"


@final
class R2N2(Format):
    """``<class>/<model>/rendering/00.png``, ``rendering_metadata.txt`` and ``renderings.txt``.

    A row of the metadata is that of `render3d.conventions.to_r2n2`. What ShapeNetRendering does not have lies beside
    the folder ``rendering``, which holds nothing else: ``depth``, ``normals`` and ``face_index``, as in nerfstudio's
    format, and ``object.json``.
    """

    marker: ClassVar[str] = _RENDERING

    def check(self, cameras: Cameras, outputs: Sequence[str]) -> None:
        """Find out whether the metadata can express such cameras, and whether images will be RGBA.

        Raises:
            ViewSetError: It cannot, or there are no colours.
        """
        try:
            to_r2n2(cameras)
        except CameraError as error:
            raise ViewSetError(
                f"The format r2n2 has no room for these cameras: {error} Use the camera protocol r2n2, or the format "
                "nerfstudio."
            ) from error
        if "rgb" not in outputs:
            raise ViewSetError(
                f"The format r2n2 stores RGBA images: outputs must hold 'rgb'; got {', '.join(outputs)}. Add it, or "
                "use the format nerfstudio."
            )

    def place(self, item: StoredObject) -> PurePosixPath:
        """Return ``<class>/<model>``: the first part of the id and the rest of it, joined by ``_``.

        An id of one part has its label for a class, or ``objects``.
        """
        first, *rest = item.id.split("/")
        return PurePosixPath(first, "_".join(rest)) if rest else PurePosixPath(_class_of(item), first)

    def files(self, cameras: Cameras, rendering: Rendering, renderer: str | None) -> Iterator[tuple[str, bytes]]:
        """Yield images, depth, normals and face indices of each view, then the two text files."""
        self.check(cameras, rendering.outputs)
        yield from frame_files(cameras, rendering, _NAMES)
        yield _METADATA, "".join(map(_line, to_r2n2(cameras).tolist())).encode()
        yield _LIST, "".join(f"{number:02d}.png\n" for number in range(cameras.views)).encode()

    def find(self, folder: Path) -> Iterable[Path]:
        """Yield the folders of models in one like ShapeNetRendering: ``<class>/<model>``."""
        return (path.parent for path in folder.glob(f"*/*/{_RENDERING}") if path.is_dir())

    def open(self, files: Files) -> Frames:
        """Read the text files of a model.

        Images of another size than the 137 x 137 of ShapeNetRendering have the same field of view. Near, far and the
        unit of depth are those of ``object.json``, where there is one.

        Raises:
            ViewSetError: Whatever is wrong with the text files, or with ``object.json``.
        """
        names, cameras = _lines(files, _LIST), _cameras(files)
        if len(names) != cameras.views:
            raise ViewSetError(
                f"{files.where(_METADATA)} has {cameras.views} lines and {files.where(_LIST)} {len(names)}; they must "
                "be one a view."
            )
        frames = tuple({"image": f"{_RENDERING}/{name_of(files.where(_LIST), name)}"} for name in names)
        size = size_of(files, frames[0]["image"])
        if cameras.image_size != size:
            cameras = cameras.resize(*size)
        found = Frames(files, files.where(_LIST), cameras, frames, depth_unit=1.0, normals_in_world=True)
        return with_facts(found, _NAMES) if files.has(OBJECT) else found


def _class_of(item: StoredObject) -> str:
    """A label as a folder: labels may hold any letters, ids may not."""
    safe = "".join(letter if letter.isascii() and letter.isalnum() else "_" for letter in item.label)
    return safe or _NO_CLASS


def _line(row: list[float]) -> str:
    # Nine digits tell all float32 apart.
    return " ".join(f"{value:.9g}" for value in row) + "\n"


def _lines(files: Files, name: str) -> list[str]:
    try:
        lines = [line.strip() for line in files.read(name).decode("utf-8-sig").splitlines() if line.strip()]
    except UnicodeDecodeError as error:
        raise ViewSetError(f"{files.where(name)}: no text ({error}).") from error
    if not lines:
        raise ViewSetError(f"{files.where(name)}: must have one line a view; it is empty.")
    return lines


def _cameras(files: Files) -> Cameras:
    lines = _lines(files, _METADATA)
    try:
        rows = [[float(word) for word in line.split()] for line in lines]
        return from_r2n2(torch.tensor(rows, dtype=torch.float32))
    except (ValueError, ShapeError, CameraError) as error:
        raise ViewSetError(
            f"{files.where(_METADATA)}: must have lines of azimuth, elevation, in-plane angle, distance ratio and "
            f"field of view: {error}"
        ) from error
