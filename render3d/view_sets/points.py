"""Points on the surface that views show, from their depth: what splatting and other methods start from."""

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from render3d.cameras import Cameras
from render3d.images import Rendering
from render3d.images.files import color_pixels

MOST_POINTS = 5_000
"""How many points formats store, at most."""

_GREY = 128


class SeenPoints(NamedTuple):
    """Points on a surface, in the order of the views that show them.

    Attributes:
        positions: ``[P, 3]`` float64, world, scene units.
        colors: ``[P, 3]`` uint8, sRGB.
        views: ``[P]`` int64: the number of the view that shows the point.
        pixels: ``[P, 2]`` float64: x and y of the centre of its pixel there, corner origin.
    """

    positions: NDArray[np.float64]
    colors: NDArray[np.uint8]
    views: NDArray[np.int64]
    pixels: NDArray[np.float64]


def surface_points(cameras: Cameras, rendering: Rendering, most: int = MOST_POINTS) -> SeenPoints | None:
    """Points where pixels are covered entirely, spread evenly over all such pixels.

    Args:
        cameras: ``[views]``.
        rendering: ``[views]``, with ``alpha``; ``depth`` says where the surface is, and ``rgb`` what colour it has.
        most: How many points there may be.

    Returns:
        The points; None without depth, or where no pixel is covered.
    """
    if "depth" not in rendering.outputs or most < 1:
        return None
    depth, alpha = (rendering.stored(name).cpu() for name in ("depth", "alpha"))
    where = ((alpha == (255 if alpha.dtype == torch.uint8 else 1)) & (depth > 0)).flatten().nonzero()[:, 0]
    if not len(where):
        return None
    chosen = where[torch.linspace(0, len(where) - 1, min(most, len(where)), dtype=torch.float64).round().long()]
    height, width = cameras.image_size
    view, row, column = chosen // (height * width), chosen // width % height, chosen % width
    pixel = torch.stack([column, row], -1).double() + 0.5
    lens, pose = cameras.intrinsics.cpu().double()[view], cameras.world_to_camera.cpu().double()[view]
    z = depth.flatten()[chosen].double()[:, None]
    plane = (pixel - lens[:, :2, 2]) / lens[:, [0, 1], [0, 1]]
    if cameras.projection == "perspective":
        plane = plane * z
    seen = torch.cat([plane, z], -1) - pose[:, :3, 3]
    positions = (pose[:, :3, :3].mT @ seen[..., None])[..., 0]  # the inverse of x -> R x + t
    if "rgb" in rendering.outputs:
        each = rendering.stored("rgb").cpu()[view, :, row, column]
        colors = color_pixels(each[..., None, None], None)[:, 0, 0]
    else:
        colors = np.full((len(chosen), 3), _GREY, np.uint8)
    return SeenPoints(positions.numpy(), colors, view.numpy(), pixel.numpy())


def encode_ply(points: SeenPoints) -> bytes:
    """A binary PLY of points with colours, which Open3D, trimesh and nerfstudio read."""
    kind = np.dtype([("xyz", "<f4", 3), ("rgb", "u1", 3)])
    rows = np.empty(len(points.positions), kind)
    rows["xyz"], rows["rgb"] = points.positions, points.colors
    fields = [f"property float {axis}" for axis in "xyz"]
    fields += [f"property uchar {color}" for color in ("red", "green", "blue")]
    header = ["ply", "format binary_little_endian 1.0", f"element vertex {len(rows)}", *fields, "end_header", ""]
    return "\n".join(header).encode() + rows.tobytes()
