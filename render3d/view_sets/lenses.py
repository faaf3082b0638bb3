"""Lenses: how photographs were taken, and the images that pinhole cameras would have taken instead."""

import dataclasses
import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from render3d.errors import RendererError, ViewSetError
from render3d.optional import OPENCV

_LARGEST = 32767  # what OpenCV can remap
_OVERFLOW = np.finfo(np.float32).max  # what cameras, and OpenCV, cannot hold
_RADII = 2000


@final
@dataclasses.dataclass(frozen=True)
class Lens:
    """How a photograph was taken, in OpenCV's models.

    Attributes:
        image_size: ``(height, width)`` of the file in pixels.
        pinhole: ``(fx, fy, cx, cy)`` in pixels of the file, corner origin.
        distortion: Coefficients in OpenCV's order, those that are left out 0: k1, k2, p1, p2, k3, k4, k5, k6; of a
            fisheye k1, k2, k3, k4.
        fisheye: Whether distances from the middle grow with the angle of a ray (``cv2.fisheye``), and not with its
            tangent.

    Raises:
        ViewSetError: A side that is not of 1 to 32767 pixels, or numbers that are not finite.

    Source: OpenCV documentation, "Camera Calibration and 3D Reconstruction"
    (https://docs.opencv.org/4.x/d9/d0c/group__calib3d.html) and "Fisheye camera model"
    (https://docs.opencv.org/4.x/db/d58/group__calib3d__fisheye.html).
    """

    image_size: tuple[int, int]
    pinhole: tuple[float, float, float, float]
    distortion: tuple[float, ...] = ()
    fisheye: bool = False

    def __post_init__(self) -> None:
        if not all(1 <= side <= _LARGEST for side in self.image_size):
            height, width = self.image_size
            raise ViewSetError(f"an image must have 1 to {_LARGEST} pixels a side; got {height} x {width}.")
        if not np.abs((*self.pinhole, *self.distortion)).max() < _OVERFLOW or min(self.pinhole[:2]) <= 0:
            raise ViewSetError(
                "a camera must have finite parameters and positive focal lengths; got fx, fy, cx, cy "
                f"{self.pinhole} and distortion {self.distortion}."
            )

    @property
    def is_distorted(self) -> bool:
        """Whether images must be changed to be those of a pinhole camera."""
        return self.fisheye or any(self.distortion)

    @property
    def intrinsics(self) -> list[list[float]]:
        """The matrix of the pinhole camera with the same focal lengths and principal point: pixels, corner origin."""
        fx, fy, cx, cy = self.pinhole
        return [[fx, 0.0, cx], [0.0, fy, cy], [0.0, 0.0, 1.0]]

    def scaled(self, image_size: tuple[int, int]) -> Self:
        """The same lens for images of another size."""
        if image_size == self.image_size:
            return self
        down, right = (new / old for new, old in zip(image_size, self.image_size, strict=True))
        fx, fy, cx, cy = self.pinhole
        return dataclasses.replace(self, image_size=image_size, pinhole=(fx * right, fy * down, cx * right, cy * down))

    def undistorted(self, image: Tensor, *, nearest: bool = False, outside: float = 0.0) -> Tensor:
        """Return what the pinhole camera with the same focal lengths and principal point would have seen.

        Args:
            image: ``[C, H, W]`` of the file, C at most 4.
            nearest: Take the nearest pixel, as labels and depths need; else bilinear.
            outside: The value of pixels that the photograph does not show.

        Returns:
            ``[C, H, W]`` of the same type.

        Raises:
            ViewSetError: OpenCV is needed, and is not there.
        """
        if not self.is_distorted:
            return image
        cv2 = _opencv()
        pixels = image.movedim(0, -1).contiguous().numpy()
        wide = pixels if pixels.dtype == np.float32 else pixels.astype(np.float64)  # 53 bits hold any face index
        how = cv2.INTER_NEAREST if nearest else cv2.INTER_LINEAR
        # One value a channel: a number alone would stand for the first of them.
        found = cv2.remap(
            wide, *_sources(self), how, borderMode=cv2.BORDER_CONSTANT, borderValue=(outside,) * 4
        ).reshape(wide.shape)
        return torch.from_numpy(found.astype(pixels.dtype)).movedim(-1, 0).contiguous()


def resized(image: Tensor, image_size: tuple[int, int], *, nearest: bool = False) -> Tensor:
    """An image ``[C, H, W]`` at another size: means of the pixels that one covers, or the nearest."""
    if image.shape[-2:] == image_size:
        return image
    if nearest:
        rows, columns = (
            ((torch.arange(new) + 0.5) * old / new).long()
            for new, old in zip(image_size, image.shape[-2:], strict=True)
        )
        return image[:, rows][:, :, columns]
    how: dict[str, Any] = {"mode": "bilinear", "align_corners": False, "antialias": True}
    return torch.nn.functional.interpolate(image[None], image_size, **how)[0]


def common_size(source: Path, lenses: Sequence[Lens]) -> tuple[int, int]:
    """``(height, width)`` that images of all of these can be resized to: the smallest of theirs.

    Args:
        source: Where they are from, for messages.
        lenses: At least one.

    Raises:
        ViewSetError: One has another aspect, by more than a pixel.
    """
    sizes = sorted({lens.image_size for lens in lenses}, key=lambda size: size[0] * size[1])
    height, width = sizes[0]
    for other in sizes:
        if abs(other[0] * width / other[1] - height) > 1:
            raise ViewSetError(
                f"{source}: all images of a view set must have one size, or one aspect; got {height} x {width} and "
                f"{other[0]} x {other[1]} (height x width). Keep those of each aspect in a folder of their own, or "
                "crop them."
            )
    return height, width


def _opencv() -> Any:
    try:
        return OPENCV.load()
    except RendererError as error:
        raise ViewSetError(f"its lens is distorted, and to undo that needs OpenCV. {error}") from error


@functools.lru_cache(maxsize=2)
def _sources(lens: Lens) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """For each pixel of the pinhole image where it lies in the photograph: x and y, ``[H, W]`` each, OpenCV's pixels.

    A polynomial that describes a lens holds as far as it grows. Beyond that it turns back, and would show parts of the
    photograph twice: such pixels have no source.
    """
    cv2 = _opencv()
    (height, width), (fx, fy, cx, cy) = lens.image_size, lens.pinhole
    matrix = np.array(lens.intrinsics)
    matrix[:2, 2] -= 0.5  # OpenCV counts from the centre of the first pixel
    make = cv2.fisheye.initUndistortRectifyMap if lens.fisheye else cv2.initUndistortRectifyMap
    coefficients = np.array(_padded(lens))
    found = make(matrix, coefficients, np.eye(3), matrix, (width, height), cv2.CV_32FC1)
    x, y = ((np.arange(width) + 0.5 - cx) / fx)[None], ((np.arange(height) + 0.5 - cy) / fy)[:, None]
    radius = np.hypot(x, y)
    beyond = radius > _reach(lens, float(radius.max()))
    horizontal, vertical = (np.where(beyond, np.float32(-1e6), each) for each in found)
    return horizontal, vertical


def _padded(lens: Lens) -> list[float]:
    count = 4 if lens.fisheye else 8
    return [*lens.distortion, *[0.0] * (count - len(lens.distortion))]


def _reach(lens: Lens, largest: float) -> float:
    """The distance from the axis, at depth 1, up to which the distances in the photograph grow; at most ``largest``."""
    radii = np.linspace(0, largest, _RADII)
    k = _padded(lens)
    if lens.fisheye:
        angles = np.arctan(radii)
        distances = angles * np.polyval([*k[::-1], 1.0], angles**2)
    else:
        k1, k2, _, _, k3, k4, k5, k6 = k
        below = np.polyval([k6, k5, k4, 1.0], radii**2)
        with np.errstate(divide="ignore", invalid="ignore"):
            distances = np.where(below > 0, radii * np.polyval([k3, k2, k1, 1.0], radii**2) / below, 0.0)
    back = np.flatnonzero(~(np.diff(distances) > 0))
    return float(radii[back[0]]) if len(back) else np.inf
