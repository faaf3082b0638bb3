"""The format of COLMAP: a sparse model, and folders of images and masks."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import ClassVar, final

import torch

from render3d.cameras import Cameras
from render3d.conventions import ColmapCameras, from_colmap, to_colmap
from render3d.errors import CameraError, ViewSetError
from render3d.images import Rendering
from render3d.view_sets.files import OBJECT, Files
from render3d.view_sets.formats.format import Format
from render3d.view_sets.frames import Frames, frame_files, frame_names, mask_of, of_copies, reduction_of, with_facts
from render3d.view_sets.lenses import common_size
from render3d.view_sets.points import surface_points
from render3d.view_sets.ranges import in_range
from render3d.view_sets.sparse_model import SparseImage, model_files, read_images

_IMAGES, _MASKS = "images", "masks"
_MODEL = "sparse/0"
_MODELS = (_MODEL, "sparse")
_NAMES = {**frame_names(_IMAGES, digits=4), "mask": f"{_MASKS}/{{:04d}}.png.png"}


@final
class Colmap(Format):
    """``sparse/0``, ``images`` and ``masks``, as COLMAP's own programs, gsplat and nerfstudio have them.

    Written are a binary model with one ``PINHOLE`` camera for all images that share it, ``images/0000.png`` in RGB,
    composited over the background, and ``masks/0000.png.png``, the name that COLMAP gives the mask of an image. Where
    the rendering has depth, the model has points on the surface, each with its colour and the image that shows it.
    Depth, normals and face indices lie in folders of their own, as in nerfstudio's format.

    Read is a model, binary or text, in ``sparse/0`` or ``sparse``, of the camera models SIMPLE_PINHOLE, PINHOLE,
    SIMPLE_RADIAL, RADIAL, OPENCV, FULL_OPENCV, OPENCV_FISHEYE, SIMPLE_RADIAL_FISHEYE and RADIAL_FISHEYE. Distortion is
    undone. Images of several sizes but one aspect are resized to the smallest. A mask is ``masks/NAME.png`` or the file
    in ``masks`` with the name of the image and the suffix ``.png``; without one, the image's alpha channel counts.
    Views are in the order of the names of their images.

    Source: COLMAP documentation, "Output Format" (https://colmap.github.io/format.html), and "Mask image regions"
    (https://colmap.github.io/faq.html).
    """

    marker: ClassVar[str] = _MODEL

    def check(self, cameras: Cameras, outputs: Sequence[str]) -> None:
        """Find out whether COLMAP has such cameras.

        Raises:
            ViewSetError: They are orthographic.
        """
        try:
            to_colmap(cameras)
        except CameraError as error:
            raise ViewSetError(f"The format colmap has no room for these cameras: {error} Use nerfstudio.") from error

    def files(self, cameras: Cameras, rendering: Rendering, renderer: str | None) -> Iterator[tuple[str, bytes]]:
        """Yield images, masks, depth, normals and face indices of each view, and the model."""
        self.check(cameras, rendering.outputs)
        yield from frame_files(cameras, rendering, _NAMES)
        colmap = to_colmap(cameras)
        numbers = torch.cat([colmap.qvec, colmap.tvec], -1).double().tolist(), colmap.params.double().tolist()
        poses, parameters = ([tuple(row) for row in rows] for rows in numbers)
        names = [PurePosixPath(_NAMES["image"].format(number)).name for number in range(cameras.views)]
        model = model_files(names, parameters, poses, cameras.image_size, surface_points(cameras, rendering))
        yield from ((f"{_MODEL}/{name}", content) for name, content in model)

    def fits(self, folder: Path) -> bool:
        """Whether a folder has a sparse model."""
        return any((folder / place / f"cameras.{kind}").is_file() for place in _MODELS for kind in ("bin", "txt"))

    def find(self, folder: Path) -> Iterable[Path]:
        """Yield the folders with a ``sparse/0`` and images: beside a scene, nerfstudio keeps a model without any."""
        return (path for path in super().find(folder) if self.fits(path) and any(path.glob(f"{_IMAGES}*")))

    def open(self, files: Files) -> Frames:
        """Read the model.

        Near and far are those of ``object.json``, where there is one, or suit the size of the scene.

        Raises:
            ViewSetError: Whatever is wrong with the model, by its file; or images of different aspects.
        """
        kinds = ("bin", "txt")
        model = next(
            (place for place in _MODELS if any(files.has(f"{place}/cameras.{kind}") for kind in kinds)), _MODEL
        )
        images = read_images(files, model)
        source = files.where(model)
        first = images[0]
        factor = reduction_of(files, lambda factor: _path(_IMAGES, factor, first.name), max(first.lens.image_size))
        frames = tuple(_frame(files, image.name, factor) for image in images)
        lenses = [image.lens for image in images]
        if factor > 1:
            lenses = of_copies(files, lenses, frames)
        size = common_size(source, lenses)
        try:
            cameras = _cameras(images, [lens.scaled(size).pinhole for lens in lenses], size)
        except CameraError as error:
            raise ViewSetError(f"{source}: {error}") from error
        found = Frames(files, source, cameras, frames, 1.0, True, lenses=tuple(lenses))
        return with_facts(found, _NAMES) if files.has(OBJECT) else found


def _path(folder: str, factor: int, name: str) -> str:
    return f"{folder}/{name}" if factor == 1 else f"{folder}_{factor}/{name}"


def _frame(files: Files, name: str, factor: int) -> dict[str, str]:
    mask = mask_of(files, _path(_MASKS, factor, ""), name)
    return {"image": _path(_IMAGES, factor, name)} | ({"mask": mask} if mask else {})


def _cameras(images: Sequence[SparseImage], pinholes: Sequence[tuple[float, ...]], size: tuple[int, int]) -> Cameras:
    rows = [image.qvec for image in images], [image.tvec for image in images], pinholes
    qvec, tvec, params = (torch.tensor(each, dtype=torch.float64) for each in rows)
    found = from_colmap(ColmapCameras(qvec, tvec, params, size))
    return in_range(Cameras(found.world_to_camera.float(), found.intrinsics.float(), size))
