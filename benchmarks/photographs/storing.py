"""What photographs of things suffer from, and how they are stored."""

from pathlib import Path

import numpy as np
import torch
from numpy.random import Generator
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter
from scipy.ndimage import distance_transform_edt, gaussian_filter

from render3d.atomic import json_by_lines, write_text
from render3d.cameras import Cameras
from render3d.color import srgb_bytes, srgb_to_linear
from render3d.images import Rendering
from render3d.scenes import Mesh
from render3d.view_sets.transforms import camera_transforms

Floats = NDArray[np.float32]

PHOTOGRAPHS, TRUTH = "nerfstudio", "truth.ply"
"""In the folder of an object: its view set, and its true mesh in the world of the cameras."""

_SHAPES = 60  # of clutter, a view
_QUALITY = 90  # of JPEG
WRONG = 1.5
"""Pixels by which masks are wrong, one standard deviation."""
_SMOOTH = 8.0  # pixels over which their errors are alike


def store(folder: Path, mesh: Mesh, cameras: Cameras, seen: Rendering, seed: int = 0) -> None:
    """Write the shape of an object, and photographs of it over clutter: JPEG, with masks that are wrong.

    Args:
        folder: Made if it is not there: `TRUTH`, and `PHOTOGRAPHS` in the format of nerfstudio.
        mesh: In the world of the cameras.
        cameras: ``[views]``.
        seen: ``rgb``, over black, and ``alpha``, both ``[views]``.
        seed: Of the clutter and of the masks.
    """
    folder.mkdir(parents=True, exist_ok=True)
    mesh.without_colors().save(folder / TRUTH)
    folder = folder / PHOTOGRAPHS
    random = np.random.default_rng(seed)
    for name in ("images", "masks"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    transforms = camera_transforms(cameras)
    for number, frame in enumerate(transforms["frames"]):
        frame |= {"file_path": f"images/{number:04d}.jpg", "mask_path": f"masks/{number:04d}.png"}
        alpha = seen.alpha[number]
        behind = torch.from_numpy(clutter(cameras.image_size, random)).movedim(-1, 0)
        photograph = seen.rgb[number] + (1 - alpha) * srgb_to_linear(behind)
        pixels = srgb_bytes(photograph.clamp(0, 1)).movedim(0, -1).contiguous().numpy()
        Image.fromarray(pixels).save(folder / frame["file_path"], quality=_QUALITY)
        mask = wrong_mask(alpha[0].numpy(), random)
        Image.fromarray((255 * mask).round().astype(np.uint8)).save(folder / frame["mask_path"])
    write_text(folder / "transforms.json", json_by_lines(transforms).decode())  # last: where it is, all is


def clutter(image_size: tuple[int, int], random: Generator) -> Floats:
    """``[H, W, 3]``, sRGB 0-1: ellipses of any colour, out of focus."""
    height, width = image_size
    image = Image.new("RGB", (width, height), tuple(random.integers(60, 200, 3).tolist()))
    draw = ImageDraw.Draw(image)
    for _ in range(_SHAPES):
        x, y = random.uniform(0, width), random.uniform(0, height)
        a, b = random.uniform(0.02, 0.2, 2) * height
        draw.ellipse((x - a, y - b, x + a, y + b), fill=tuple(random.integers(0, 256, 3).tolist()))
    return (np.asarray(image.filter(ImageFilter.GaussianBlur(height / 100)), np.float32) / 255).astype(np.float32)


def wrong_mask(alpha: Floats, random: Generator, wrong: float = WRONG) -> Floats:
    """Coverage ``[H, W]`` whose edge is moved in and out smoothly, by ``wrong`` pixels in the mean of squares."""
    inside = alpha > 0.5
    distance = np.where(inside, distance_transform_edt(inside) - 0.5, 0.5 - distance_transform_edt(~inside))
    error = gaussian_filter(random.standard_normal(alpha.shape), _SMOOTH)
    return np.asarray(np.clip(distance + wrong * error / error.std() + 0.5, 0, 1), np.float32)
