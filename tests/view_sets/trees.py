"""Small datasets in the exact layouts of other programs, of one object seen by known cameras."""

import json
import struct
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from render3d import Cameras, Mesh, Rendering
from render3d.conventions import to_colmap, to_nerf, to_nerfstudio
from render3d.images.files import color_pixels
from render3d.renderers import OpenGL

MESH = Mesh(torch.tensor([[-0.7, -0.5, 0.4], [0.8, -0.6, 0.3], [0.1, 0.9, 0.2]]), torch.tensor([[0, 1, 2]]))


def cameras(views: int = 5, image_size: tuple[int, int] = (20, 28)) -> Cameras:
    return Cameras.sphere(views, 3.0, image_size=image_size)


def off_centre(views: int = 5) -> Cameras:
    return Cameras.sphere(views, 3.0, image_size=(20, 28)).crop(1, 2, 16, 22)


def rendered(seen: Cameras) -> Rendering:
    return OpenGL()(MESH, seen)


def pixels_of(seen: Cameras) -> NDArray[np.uint8]:
    """RGBA, ``[views, H, W, 4]``."""
    rendering = rendered(seen)
    return color_pixels(rendering.stored("rgb"), rendering.stored("alpha"))


def save(path: Path, pixels: NDArray[Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def nerfstudio(folder: Path, seen: Cameras, change: Callable[[dict[str, Any]], object] = lambda content: None) -> Path:
    """RGB in ``images``, masks in ``masks`` that nothing names, and a ``transforms.json`` after a change."""
    content = to_nerfstudio(seen)
    for number, (frame, pixels) in enumerate(zip(content["frames"], pixels_of(seen), strict=True), 1):
        frame["file_path"] = f"images/frame_{number:05d}.png"
        save(folder / frame["file_path"], pixels[..., :3])
        save(folder / f"masks/frame_{number:05d}.png", pixels[..., 3])
    change(content)
    (folder / "transforms.json").write_text(json.dumps(content))
    return folder


def blender(folder: Path, seen: Cameras, counts: Sequence[int] = (3, 1, 1)) -> Path:
    """The three files of NeRF-synthetic, with so many views each."""
    content, pixels = to_nerf(seen), iter(pixels_of(seen))
    frames = iter(content["frames"])
    for split, count in zip(("train", "val", "test"), counts, strict=True):
        chosen = [next(frames) | {"file_path": f"./{split}/r_{number}", "rotation": 0.01} for number in range(count)]
        for frame in chosen:
            save(folder / f"{frame['file_path']}.png", next(pixels))
        if chosen:
            (folder / f"transforms_{split}.json").write_text(json.dumps({**content, "frames": chosen}))
    return folder


def colmap(
    folder: Path,
    seen: Cameras,
    *,
    model: str = "PINHOLE",
    number: int = 1,
    distortion: Sequence[float] = (),
    text: bool = False,
    mask_suffix: str = ".png.png",
    images: bool = True,
) -> Path:
    """``images``, ``masks`` and a model whose images are in an order of their own, as COLMAP's hash tables give it."""
    found = to_colmap(Cameras(seen.world_to_camera.double(), seen.intrinsics.double(), seen.image_size))
    height, width = seen.image_size
    names = [f"frame_{index:05d}.png" for index in range(seen.views)]
    if images:
        for name, pixels in zip(names, pixels_of(seen), strict=True):
            save(folder / "images" / name, pixels[..., :3])
            save(folder / "masks" / name.replace(".png", mask_suffix), pixels[..., 3])
    parameters = [*found.params[0].tolist(), *distortion]
    if model.startswith(("SIMPLE", "RADIAL")):
        del parameters[1]
    poses = [[*q, *t] for q, t in zip(found.qvec.tolist(), found.tvec.tolist(), strict=True)]
    order = list(reversed(range(seen.views)))
    place = folder / "sparse" / "0"
    place.mkdir(parents=True)
    if text:
        numbers = " ".join(map(repr, parameters))
        (place / "cameras.txt").write_text(f"# Camera list\n1 {model} {width} {height} {numbers}\n")
        lines = [
            f"{i + 7} {' '.join(map(repr, poses[i]))} 1 {names[i]}\n{'1.0 2.0 -1' if i % 2 else ''}\n" for i in order
        ]
        (place / "images.txt").write_text("# Image list\n" + "".join(lines))
        (place / "points3D.txt").write_text("# Points\n")
    else:
        body = struct.pack("<iiQQ", 1, number, width, height) + struct.pack(f"<{len(parameters)}d", *parameters)
        (place / "cameras.bin").write_bytes(struct.pack("<Q", 1) + body)
        rows = [
            struct.pack("<I7dI", i + 7, *poses[i], 1) + names[i].encode() + b"\0" + points
            for i in order
            for points in [struct.pack("<QddQ", 1, 1.0, 2.0, 2**64 - 1) if i % 2 else struct.pack("<Q", 0)]
        ]
        (place / "images.bin").write_bytes(struct.pack("<Q", len(rows)) + b"".join(rows))
        (place / "points3D.bin").write_bytes(struct.pack("<Q", 0))
    return folder
