"""The format of NeRF-synthetic, whose images Blender made: a ``transforms_<split>.json`` for each split."""

from collections.abc import Iterator, Sequence
from typing import ClassVar, NoReturn, final

from render3d.cameras import Cameras
from render3d.errors import ViewSetError
from render3d.images import Rendering
from render3d.view_sets.files import Files, read_json
from render3d.view_sets.formats.format import Format
from render3d.view_sets.frames import Frames, size_of
from render3d.view_sets.transforms import cameras_of, frames_of
from render3d.view_sets.view_set import SPLITS


@final
class Blender(Format):
    """``transforms_train.json``, ``transforms_val.json`` and ``transforms_test.json``; it is read only.

    Each has a ``camera_angle_x``, the horizontal field of view in radians, and frames with a ``file_path``, whose
    suffix may be left out, and a ``transform_matrix``, camera to world in OpenGL's axes. Images are RGBA PNG, and their
    colours are not composited over anything. Views are those to learn from, then those of the other splits that are
    there.

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
        cameras, splits = [], []
        size = None
        for split in SPLITS:
            name = f"transforms_{split}.json"
            if split != SPLITS[0] and not files.has(name):
                continue
            source, transforms = files.where(name), read_json(files, name)
            for number, frame in enumerate(frames_of(source, transforms)):
                path = frame.get("file_path")
                if not isinstance(path, str) or not path:
                    raise ViewSetError(f"{source}: frames[{number}] must have a file_path, a name; got {path!r}.")
                frames.append({"image": path})
                splits.append(split)
            size = size or size_of(files, frames[0]["image"])
            cameras.append(cameras_of(source, {**transforms, "h": size[0], "w": size[1]}))
        found = Cameras.cat(cameras)
        return Frames(files, files.where(self.marker), found, tuple(frames), 1.0, False, splits=tuple(splits))
