"""Masks for photographs that have none: by GrabCut, of what the cameras look at and the views agree in."""

import dataclasses
import warnings
from collections.abc import Mapping, Sequence
from typing import Any, Self, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from render3d.cameras import Cameras
from render3d.color import linear_to_srgb
from render3d.errors import RendererError, ViewSetError
from render3d.optional import OPENCV
from render3d.view_sets.agreement import Focus, Hull, Mask
from render3d.view_sets.lenses import resized

# These were chosen by masks that were known, of a mug and a teapot in front of clutter.
_SIDE = 400  # pixels of the longer side of the copies that are segmented
_CORE, _REACH = 0.6, 1.3  # shares of the radius of what all images show: likely object, and where it may be at all
_BORDER = 0.02  # of the longer side, round the image: background for sure
_CORE_MARGIN, _REACH_MARGIN = 0.12, 0.06  # of the square root of a shadow's area: so far within is object, beyond none
_MOST_PIXELS = 1_000_000  # from which colours are learned

_NO_BOX = (0, 0, 0, 0)  # labels say where the object may be

_Bytes = NDArray[np.uint8]
_Models = tuple[NDArray[np.float64], NDArray[np.float64]]  # mixtures of five Gaussians, as OpenCV writes them


class DoubtfulMaskWarning(UserWarning):
    """Some views show something else, by its colours, where the views agree that the object is."""


def grabcut_masks(cameras: Cameras, rgb: Tensor, given: Mapping[int, Tensor], names: Sequence[str]) -> Tensor:
    """Make the masks of photographs of one object.

    GrabCut separates colours that are likely in a region from those around it. The region is first a ball about the
    point that the cameras look at, as large as most images show it, and then what nine in ten masks agree in, their
    visual hull, as each view sees it. Colours are learned from all views together: what one view has behind the object,
    others have beside it. The same photographs get the same masks every time.

    Args:
        cameras: ``[views]``.
        rgb: ``[views, 3, H, W]`` float32, linear light.
        given: Masks that are known, ``[1, H, W]`` coverage 0-1, by the number of the view. They vote, and are kept.
        names: One name a view, for messages.

    Returns:
        ``[views, 1, H, W]`` float32: what was given, and 0 or 1 elsewhere, as sharp as images of 400 pixels are.

    Raises:
        ViewSetError: OpenCV is not installed; or the cameras look at no common point, or the views agree in nothing.

    Warns:
        DoubtfulMaskWarning: In some views less than half of the hull's shadow has the colours of the object, so that
            their masks are little more than the shadow; it names them.

    Source: Rother, Kolmogorov and Blake, "GrabCut: interactive foreground extraction using iterated graph cuts",
    SIGGRAPH 2004, as OpenCV has it.
    """
    try:
        OPENCV.load()
        photographs = _Photographs.of(cameras, rgb, given)
        masks, doubtful = _agreed(photographs)
    except (RendererError, ViewSetError) as error:
        raise ViewSetError(
            f"masks='grabcut': {error} Or make masks by another program, and store them in the folder masks (white is "
            "object)."
        ) from error
    if doubtful:
        warnings.warn(
            "Something else than in most views is to be seen, by its colours, in "
            f"{', '.join(names[number] for number in doubtful)}: their masks are little more than the visual hull of "
            "the other views. Look at them; leave these views out, or make their masks by another program.",
            DoubtfulMaskWarning,
            stacklevel=4,
        )
    alpha = torch.stack([resized(torch.from_numpy(mask)[None].float(), cameras.image_size) for mask in masks])
    alpha = (alpha > 0.5).float()
    for number, mask in given.items():
        alpha[number] = mask
    return alpha


@final
@dataclasses.dataclass(frozen=True)
class _Photographs:
    """Small copies: ``[h, w, 3]`` of 8 bits in sRGB, and the masks ``[h, w]`` of those that have one."""

    cameras: Cameras
    images: list[_Bytes]
    given: dict[int, Mask]

    @classmethod
    def of(cls, cameras: Cameras, rgb: Tensor, given: Mapping[int, Tensor]) -> Self:
        shrink = min(1.0, _SIDE / max(cameras.image_size))
        height, width = (max(1, round(side * shrink)) for side in cameras.image_size)
        small = (linear_to_srgb(resized(image, (height, width))).clamp(0, 1) * 255 for image in rgb)
        images = [np.ascontiguousarray(image.round().byte().movedim(0, -1).numpy()) for image in small]
        known = {number: resized(mask, (height, width))[0].numpy() > 0.5 for number, mask in given.items()}
        return cls(cameras.resize(height, width), images, known)

    @property
    def unknown(self) -> list[int]:
        """The views that have no mask."""
        return [number for number in range(len(self.images)) if number not in self.given]

    def models(self, seeds: Sequence[_Bytes], updates: int) -> _Models:
        """The colours of background and object, by labels ``[h, w]`` of all views to begin with, and known masks."""
        import cv2

        seeds = list(seeds)
        for number, mask in self.given.items():
            seeds[number] = np.where(mask, cv2.GC_FGD, cv2.GC_BGD).astype(np.uint8)
        return _learned(self.images, seeds, updates)

    def cut(self, seeds: Sequence[_Bytes], models: _Models) -> list[Mask]:
        """The masks ``[h, w]`` of all views, by labels of each to begin with, and colours."""
        return [
            self.given[number] if number in self.given else _cut(image, seed, models)
            for number, (image, seed) in enumerate(zip(self.images, seeds, strict=True))
        ]


def _agreed(photographs: _Photographs) -> tuple[list[Mask], list[int]]:
    """Masks of all views, and the views in which less than half of the hull's shadow has colours of the object."""
    import cv2

    cameras = [photographs.cameras[number : number + 1] for number in range(len(photographs.images))]
    focus = Focus.of(photographs.cameras)
    balls = [_ball_seed(focus.distances(camera)) for camera in cameras]
    first = photographs.cut(balls, photographs.models(balls, updates=3))
    hull = Hull.of(photographs.cameras, first, focus.center, _REACH * focus.radius)
    shadows = [hull.shadow(camera) for camera in cameras]
    seeds = [_shadow_seed(shadow) for shadow in shadows]
    models = photographs.models(seeds, updates=2)
    coreless = [np.where(seed == cv2.GC_FGD, cv2.GC_PR_FGD, seed).astype(np.uint8) for seed in seeds]
    alone = photographs.cut(coreless, models)
    doubtful = [n for n in photographs.unknown if 2 * (alone[n] & shadows[n]).sum() <= shadows[n].sum()]
    return photographs.cut(seeds, models), doubtful


def _ball_seed(distances: NDArray[Any]) -> _Bytes:
    """Labels to begin with, by distances ``[h, w]`` from the middle of a ball, in radii."""
    import cv2

    labels = np.full(distances.shape, cv2.GC_BGD, np.uint8)
    border = max(1, round(_BORDER * max(distances.shape)))
    inner = (slice(border, -border),) * 2
    labels[inner] = np.select(
        [distances[inner] < _CORE, distances[inner] < _REACH], [cv2.GC_PR_FGD, cv2.GC_PR_BGD], cv2.GC_BGD
    )
    return labels


def _shadow_seed(shadow: Mask) -> _Bytes:
    """Labels to begin with, by the shadow ``[h, w]`` of a hull."""
    import cv2

    inwards, outwards = (max(2, round(share * float(shadow.sum()) ** 0.5)) for share in (_CORE_MARGIN, _REACH_MARGIN))
    solid = shadow.astype(np.uint8)
    labels = np.where(cv2.dilate(solid, _disc(outwards)) > 0, cv2.GC_PR_BGD, cv2.GC_BGD).astype(np.uint8)
    labels[shadow] = cv2.GC_PR_FGD
    labels[cv2.erode(solid, _disc(inwards)) > 0] = cv2.GC_FGD
    return labels


def _disc(radius: int) -> _Bytes:
    import cv2

    found: _Bytes = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1)).astype(np.uint8)
    return found


def _learned(images: Sequence[_Bytes], seeds: Sequence[_Bytes], updates: int) -> _Models:
    """The colours of the background and of the object, by all images ``[h, w, 3]`` at once, one below the other."""
    import cv2

    height, width = images[0].shape[:2]
    shrink = min(1.0, (_MOST_PIXELS / (len(images) * height * width)) ** 0.5)
    size = max(1, round(width * shrink)), max(1, round(height * shrink))
    tiles = np.vstack([cv2.resize(image, size, interpolation=cv2.INTER_AREA) for image in images])
    labels = np.vstack([cv2.resize(seed, size, interpolation=cv2.INTER_NEAREST) for seed in seeds])
    background, object_ = np.zeros((1, 65)), np.zeros((1, 65))
    cv2.setRNGSeed(0)  # the clusters of colours begin at random
    cv2.grabCut(tiles, labels, _NO_BOX, background, object_, updates, cv2.GC_INIT_WITH_MASK)
    return background, object_


def _cut(image: _Bytes, seed: _Bytes, models: _Models) -> Mask:
    """The mask ``[h, w]`` of one image ``[h, w, 3]``, by colours that are known."""
    import cv2

    labels, (background, object_) = seed.copy(), models
    cv2.grabCut(image, labels, _NO_BOX, background, object_, 1, cv2.GC_EVAL_FREEZE_MODEL)
    mask: Mask = (labels == cv2.GC_FGD) | (labels == cv2.GC_PR_FGD)
    return mask
