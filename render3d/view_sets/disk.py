"""View sets on disk: `read_views` and `write_views`, in any format."""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from render3d.atomic import atomic_write
from render3d.cameras import Cameras
from render3d.errors import ViewSetError
from render3d.images import Rendering
from render3d.view_sets.files import FolderFiles
from render3d.view_sets.formats import StoredViews, format_at, format_by_name
from render3d.view_sets.formats.nerfstudio import Nerfstudio
from render3d.view_sets.grabcut import grabcut_masks
from render3d.view_sets.view_set import ViewSet


def write_views(
    folder: str | Path,
    cameras: Cameras,
    rendering: Rendering,
    *,
    renderer: str | None = None,
    format: str = "nerfstudio",
) -> Path:
    """Write the views of one scene.

    Args:
        folder: Made if it is not there.
        cameras: ``[views]``.
        rendering: ``[views]``, with ``alpha`` and possibly others.
        renderer: What made the images, for the record.
        format: A name of `render3d.view_sets.formats.FORMATS`, such as ``"nerfstudio"``, whose files are described at
            `render3d.view_sets.formats.nerfstudio.Nerfstudio`; or ``module:Class`` of one of your own.

    Returns:
        The path of the file that was written last; of nerfstudio, ``transforms.json``.

    Raises:
        ViewSetError: More than one leading dimension, no alpha, an unknown format, or one that lacks room for these.
        OSError: The disk is full, or the folder cannot be written to.
    """
    path = Path(folder)
    for name, content in format_by_name(format).files(cameras, rendering, renderer):
        path = Path(folder, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(path) as stream:
            stream.write(content)
    return path


def read_views(
    path: str | Path,
    format: str | None = None,
    *,
    follow_links: bool = False,
    masks: str | None = None,
    also: Sequence[str] = (),
) -> ViewSet:
    """Read the views of one scene.

    Args:
        path: The folder, such as one that holds a ``transforms.json`` (nerfstudio, instant-ngp), the three files of
            NeRF-synthetic, or a model of COLMAP; or that of a model of ShapeNetRendering; or a file like
            ``transforms.json``, whatever its name.
        format: Of the folder, as in `write_views`; None to recognise it.
        follow_links: Follow links of the folder that lead out of it, for instance to another disk. Leave it False for
            folders of people you do not trust: a link may name any file of yours.
        masks: ``"grabcut"`` to have masks made for the views that have neither a mask nor an alpha channel: see
            `render3d.view_sets.grabcut.grabcut_masks`, and its errors and warning. Masks that are there are kept, but
            for alpha channels that are 1 everywhere. None: such views are an error.
        also: ``"depth"`` and ``"normal"``, which are read only if they are named here.

    Returns:
        Its images and cameras. Colours are kept as they are stored, decoded to linear light, where every view has them.
        Images are turned as their EXIF orientation says. Lens distortion is undone: the camera is the pinhole with the
        same focal lengths and principal point, and pixels that the photograph does not show are not of the object.

    Raises:
        ViewSetError: Whatever is wrong, with the file, the view and the field: nothing there, broken JSON, a field
            missing, a pose that is not rigid, an unknown camera model, ``near >= far``, a path or a link that leaves
            the folder, an image that is missing, unreadable or of another size than its camera, no silhouette, none of
            what is named by ``also``; or distortion without OpenCV, the extra ``fit``.
    """
    if masks not in (None, "grabcut"):
        raise ViewSetError(f"masks must be 'grabcut', or None for those of the files; got {masks!r}.")
    stored = _open(path, format, follow_links)
    numbers = range(stored.cameras.views)
    images = _with_masks(stored, also) if masks else stored.read(numbers, ("alpha", *also), optional=("rgb",))
    names = tuple(map(stored.name, numbers))
    return ViewSet(stored.cameras, rgb=images.pop("rgb", None), names=names, splits=stored.splits, **images)


def read_cameras(path: str | Path, format: str | None = None, *, follow_links: bool = False) -> Cameras:
    """Read the cameras ``[views]`` of a view set, without its images.

    Args:
        path: As in `read_views`. A ``transforms.json`` may lack the images if it tells their size.
        format: As in `read_views`.
        follow_links: As in `read_views`.

    Raises:
        ViewSetError: As `read_views`, or no size.
    """
    return _open(path, format, follow_links).cameras


def _open(path: str | Path, format: str | None, follow_links: bool) -> StoredViews:
    path = Path(path)
    try:
        if path.is_file():
            return Nerfstudio(path.name).open(FolderFiles(path.parent, follow_links))
        if path.exists():
            chosen = format_at(path) if format is None else format_by_name(format)
            return chosen.open(FolderFiles(path, follow_links))
    except OSError as error:  # a name that is too long, or a folder that may not be looked into
        raise ViewSetError(f"{path}: cannot be read ({error}).") from error
    raise ViewSetError(f"{path}: no such file or folder. Give a transforms.json, or the folder of an object.")


def _with_masks(stored: StoredViews, also: Sequence[str]) -> dict[str, Tensor]:
    """The images of all views, with masks by GrabCut where there are none."""
    numbers = range(stored.cameras.views)
    views = [stored.read([number], also, optional=("alpha", "rgb")) for number in numbers]
    given = {
        number: view["alpha"][0] for number, view in enumerate(views) if "alpha" in view and (view["alpha"] < 1).any()
    }
    colorless = [number for number, view in enumerate(views) if "rgb" not in view]
    if colorless and len(given) < len(views):
        raise ViewSetError(
            f"{stored.where(colorless[0], 'rgb')}: masks='grabcut' makes masks by colours, and this image has none. "
            "Store colours, or masks for all views."
        )
    images = {name: torch.cat([view[name] for view in views]) for name in (*also, *([] if colorless else ["rgb"]))}
    if len(given) == len(views):
        return images | {"alpha": torch.stack(list(given.values()))}
    return images | {"alpha": grabcut_masks(stored.cameras, images["rgb"], given, list(map(stored.name, numbers)))}
