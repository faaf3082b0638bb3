"""The format of NeRF-synthetic, whose images Blender made: a ``transforms_<split>.json`` for each split."""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, NoReturn, final

from render3d.cameras import Cameras
from render3d.errors import ShapeError, ViewSetError
from render3d.images import Rendering
from render3d.view_sets.files import Files, name_of, read_json
from render3d.view_sets.formats.format import Format
from render3d.view_sets.frames import Frames, size_of
from render3d.view_sets.lenses import Lens, common_size
from render3d.view_sets.transforms import frames_of, lenses_of, posed
from render3d.view_sets.view_set import SPLITS


@final
class Blender(Format):
    """``transforms_train.json``, ``transforms_val.json`` and ``transforms_test.json``; it is read only.

    Each has a ``camera_angle_x``, the horizontal field of view in radians, and frames with a ``file_path``, whose
    suffix may be left out, and a ``transform_matrix``, camera to world in OpenGL's axes. Images are RGBA PNG, and their
    colours are not composited over anything. Views are those to learn from, then those of the other splits that are
    there. Other fields of instant-ngp count as in the format of nerfstudio, such as ``cx``, ``camera_angle_y`` and
    ``k1``.

    Source: Mildenhall et al., "NeRF", ECCV 2020, load_blender.py of its code (https://github.com/bmild/nerf).
    """

    marker: ClassVar[str] = "transforms_train.json"

    def check(self, cameras: Cameras, outputs: Sequence[str]) -> NoReturn:
        """Refuse to write.

        Raises:
            ViewSetError: In any case.
        """
        raise ViewSetError("The format blender is read only. Write nerfstudio, which the same programs read.")

    def files(self, cameras: Cameras, rendering: Rendering, renderer: str | None) -> Iterator[tuple[str, bytes]]:
        """Refuse to write, as `check`."""
        self.check(cameras, rendering.outputs)

    def open(self, files: Files) -> Frames:
        """Read the files of all splits.

        Raises:
            ViewSetError: Whatever is wrong with one of them, by its name, the frame and the field.
        """
        frames: list[dict[str, str]] = []
        splits: list[str] = []
        parts: list[tuple[Path, dict[str, Any], list[Lens]]] = []
        for split in SPLITS:
            name = f"transforms_{split}.json"
            if split != SPLITS[0] and not files.has(name):
                continue
            source, transforms = files.where(name), read_json(files, name)
            frames += [_frame(source, *item) for item in enumerate(frames_of(source, transforms))]
            splits += [split] * (len(frames) - len(splits))
            height, width = parts[0][2][0].image_size if parts else size_of(files, frames[0]["image"])
            parts.append((source, transforms, lenses_of(source, {"h": height, "w": width, **transforms})))
        where = files.where(self.marker)
        lenses = tuple(lens for *_, found in parts for lens in found)
        size = common_size(where, lenses)
        cameras = _joined(where, [posed(*part, size) for part in parts])
        return Frames(files, where, cameras, tuple(frames), 1.0, False, lenses, tuple(splits))


def _frame(source: Path, number: int, frame: Mapping[str, Any]) -> dict[str, str]:
    path = frame.get("file_path")
    if not isinstance(path, str) or not path:
        raise ViewSetError(f"{source}: frames[{number}] must have a file_path, a name; got {path!r}.")
    return {"image": name_of(f"{source}: frames[{number}]", path)}


def _joined(where: Path, cameras: Sequence[Cameras]) -> Cameras:
    """The cameras of all splits; near and far are such that each sees what it would see alone."""
    near, far = min(each.near for each in cameras), max(each.far for each in cameras)
    try:
        return Cameras.cat([dataclasses.replace(each, near=near, far=far) for each in cameras])
    except ShapeError as error:
        raise ViewSetError(f"{where}: the files of the other splits do not fit it: {error}") from error
