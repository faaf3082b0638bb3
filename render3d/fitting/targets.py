"""The views a fit is held against: what must be right about them before an update is spent."""

import torch
from torch import Tensor

from render3d.cameras import Cameras
from render3d.errors import FitError
from render3d.view_sets import ViewSet

_MEANS = ("alpha", "rgb")  # over the area of a pixel


def check_targets(**targets: ViewSet | None) -> None:
    """Raise `FitError` for silhouettes, given by name, that nothing can be learned from.

    Raises:
        FitError: Values that are not finite, a view that covers no pixel, or views that all cover every pixel.
    """
    for name, views in targets.items():
        if views is not None:
            _check_target(views, name)


def _check_target(views: ViewSet, name: str) -> None:
    alpha = views.alpha
    if views.cameras.batch_shape:
        raise FitError(
            f"{name} must be the views of one object, cameras of shape [views]; got "
            f"{list(views.cameras.leading_shape)}. Call fit once for each object."
        )
    broken = (~torch.isfinite(alpha)).flatten(1).any(1)
    if bool(broken.any()):
        raise FitError(f"alpha of {name} must be finite; got NaN or infinite values in {named(views, broken)}.")
    covered = (alpha > 0.5).flatten(1).float().mean(1)
    if bool((covered == 0).any()):
        raise FitError(
            f"The masks of {name} must show the object; nothing is covered in {named(views, covered == 0)}. Leave "
            "those views out, or mend their masks (1 is object, 0 is background)."
        )
    if bool((covered == 1).all()):
        raise FitError(
            f"The masks of {name} cover every pixel of every view: there is no silhouette to fit. Store masks, or "
            "images with an alpha channel."
        )


def prepared(views: ViewSet, held_out: ViewSet | None, longest: int, *also: str) -> tuple[ViewSet, ViewSet | None]:
    """Both as they are fitted and measured: checked by `check_targets`, and `shrunk`; the first with images ``also``.

    Raises:
        FitError: As of `check_targets`; or views without one of the images ``also``.
    """
    check_targets(views=views, held_out=held_out)
    for name in also:
        if name not in views.images:
            way_out = "Take images with colours, all of them"
            if name != "rgb":
                way_out = f"Read the view set with it: read_views(..., also=({name!r},))"
            raise FitError(
                f"The fit compares {name}, and views have {', '.join(views.images)}. {way_out}; or leave its weight at "
                "zero."
            )
    return shrunk(views, longest, *also), None if held_out is None else shrunk(held_out, longest)


def named(views: ViewSet, which: Tensor) -> str:
    """The names of the views that ``which`` [views] marks, for a message; at most five."""
    names = [views.names[index] for index in which.nonzero()[:, 0].tolist()]
    rest = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return ", ".join(names[:5]) + rest


def shrunk(views: ViewSet, longest: int, *also: str) -> ViewSet:
    """The same views with sides of at most ``longest`` pixels, their silhouettes and the images ``also``.

    Coverage and colours are averaged; depth and normals are those of one of the pixels.
    """
    images = {name: views.images[name] for name in ("alpha", *also)}
    height, width = views.cameras.image_size
    if max(height, width) <= longest:
        return views.with_images(images)
    scale = longest / max(height, width)
    size = max(1, round(height * scale)), max(1, round(width * scale))
    modes = {name: "area" if name in _MEANS else "nearest-exact" for name in images}
    small = {name: torch.nn.functional.interpolate(image, size, mode=modes[name]) for name, image in images.items()}
    return views.with_images(small, views.cameras.resize(*size))


def focal_length(cameras: Cameras) -> Tensor:
    """``[views]``, pixels (per scene unit for parallel rays): the geometric mean of both directions."""
    return cameras.focal.prod(-1).sqrt()


def pixel_at(cameras: Cameras, point: Tensor) -> float:
    """The side of a pixel at ``point`` [3], in scene units; the mean over the views that have it in front."""
    focal = focal_length(cameras)
    if cameras.projection == "orthographic":
        return float((1 / focal).mean())
    depth = cameras.to_camera_space(point[None])[..., 0, 2]
    if not bool((depth > 0).any()):
        raise FitError(
            "No camera sees the template: its centre is behind all of them. Check the poses and the template."
        )
    return float((depth / focal)[depth > 0].mean())
