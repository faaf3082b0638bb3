"""What views agree in, without a fit: the point that their cameras look at, and the hull of masks of which some err."""

import dataclasses
from collections.abc import Sequence
from typing import Any, Self, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from render3d.cameras import Cameras, landing
from render3d.errors import ViewSetError

Mask = NDArray[np.bool_]

_LEAST_SPREAD = 1e-3  # two axes that are 4 degrees apart
_MOST = 0.9  # share of the views that must agree
_CELLS = (48, 64)  # along the longest side, first to find the box and then in it


@final
@dataclasses.dataclass(frozen=True)
class Focus:
    """The ball that nine in ten cameras show whole, about the point that all of them look at.

    Attributes:
        center: ``[3]``, in the world: the point closest to all optical axes, by least squares.
        radius: Scene units.
    """

    center: Tensor
    radius: float

    @classmethod
    def of(cls, cameras: Cameras) -> Self:
        """Find it, of ``[views]``.

        Raises:
            ViewSetError: The axes are parallel, or lead apart, or the point is in too few images.
        """
        axes = cameras.rotation[:, 2].double()
        across = torch.eye(3, dtype=torch.float64) - axes[:, :, None] * axes[:, None]
        if torch.linalg.eigvalsh(across.mean(0))[0] < _LEAST_SPREAD:
            raise ViewSetError(
                f"the cameras must look at one object from several sides; the optical axes of all {cameras.views} are "
                "parallel, or nearly."
            )
        right = (across @ cameras.position.double()[..., None]).sum(0)
        center = torch.linalg.solve(across.sum(0), right)[:, 0].to(cameras.dtype)
        found = cls(center, float(_margins(cameras, center).quantile(1 - _MOST)))
        if found.radius <= 0:
            shown = int((_margins(cameras, center) > 0).sum())
            where = ", ".join(f"{coordinate:.3g}" for coordinate in center.tolist())
            raise ViewSetError(
                f"the cameras must look at one object; the point closest to all optical axes, ({where}), is in the "
                f"images of {shown} of {cameras.views} views."
            )
        return found

    def distances(self, camera: Cameras) -> NDArray[Any]:
        """How far from its centre the pixels of one camera are, at the depth of the centre, in radii: ``[H, W]``."""
        height, width = camera.image_size
        x, y = torch.meshgrid(torch.arange(width) + 0.5, torch.arange(height) + 0.5, indexing="xy")
        offsets = torch.stack([x, y], -1) - camera.project(self.center[None])[0, 0]
        found: NDArray[Any] = ((offsets / scales(camera, self.center)[0]).norm(dim=-1) / self.radius).numpy()
        return found


def scales(cameras: Cameras, point: Tensor) -> Tensor:
    """Pixels per scene unit ``[views, 2]``, to the right and down, at the depth of a point ``[3]``."""
    if cameras.projection == "orthographic":
        return cameras.focal
    return cameras.focal / cameras.to_camera_space(point[None])[:, 0, 2:]


def _margins(cameras: Cameras, point: Tensor) -> Tensor:
    """How far a point ``[3]`` is from the borders of each image, scene units ``[views]``; negative if not in it."""
    height, width = cameras.image_size
    pixel, scale = cameras.project(point[None])[:, 0], scales(cameras, point)
    margins = torch.cat([pixel / scale, (torch.tensor([width, height]) - pixel) / scale], -1).amin(-1)
    return margins.where(cameras.to_camera_space(point[None])[:, 0, 2] > cameras.near, -1.0)


@final
@dataclasses.dataclass(frozen=True)
class Hull:
    """What masks agree in: the centres ``[N, 3]`` of cells, and the length of their sides in scene units."""

    cells: Tensor
    size: float

    @classmethod
    def of(cls, cameras: Cameras, masks: Sequence[Mask], center: Tensor, radius: float) -> Self:
        """Carve it of the cube about a ball, with masks ``[H, W]``, some of which may be wrong.

        A cell stays that is on nine in ten of the masks in whose images it is, if these are at least half of all. Of
        pieces that do not touch, the one remains for which most masks speak.

        Raises:
            ViewSetError: Nothing remains.
        """
        from scipy import ndimage

        low, high = center - radius, center + radius
        for count in _CELLS:
            size = float((high - low).max()) / count
            shape = ((high - low) / size).round().int().tolist()
            cells = torch.cartesian_prod(*(low[axis] + size * (torch.arange(shape[axis]) + 0.5) for axis in range(3)))
            share = _shares(cameras, masks, cells)
            pieces = ndimage.label((share >= _MOST).reshape(shape).numpy())[0].reshape(-1)
            votes = np.bincount(pieces, weights=share.numpy())[1:]
            if not len(votes):
                raise ViewSetError("no point is on the object in nine in ten views.")
            found = cls(cells[torch.from_numpy(pieces == 1 + votes.argmax())], size)
            low, high = found.cells.amin(0) - 2 * size, found.cells.amax(0) + 2 * size
        return found

    def shadow(self, camera: Cameras) -> Mask:
        """What one camera sees of it, ``[H, W]``; gaps between the centres of cells are closed."""
        import cv2

        pixel = landing(camera, self.cells).pixel
        hit = np.zeros(camera.image_size, np.uint8)
        hit.reshape(-1)[pixel.numpy()] = 1
        gap = int(np.ceil(self.size * float(scales(camera, self.cells.mean(0)).max()) / 2))
        return cv2.morphologyEx(hit, cv2.MORPH_CLOSE, np.ones((2 * gap + 1, 2 * gap + 1), np.uint8)) > 0


def _shares(cameras: Cameras, masks: Sequence[Mask], points: Tensor) -> Tensor:
    """The share of masks that points ``[N, 3]`` are on, of those in whose images they are; 0 if these are few."""
    votes, seen = torch.zeros(2, len(points))
    for number, mask in enumerate(masks):
        of, pixel, _ = landing(cameras[number : number + 1], points)
        seen[of] += 1
        votes[of] += torch.from_numpy(mask).reshape(-1)[pixel]
    return torch.where(seen >= max(1, cameras.views / 2), votes / seen, 0.0)
