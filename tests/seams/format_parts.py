"""A format of view sets in the shortest way: one ``.npz`` an object, which NumPy reads without unpickling."""

import dataclasses
import io
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from render3d import Cameras, Rendering
from render3d.view_sets.files import Files
from render3d.view_sets.formats import Format, StoredViews

CAMERAS = ("world_to_camera", "intrinsics")


@dataclasses.dataclass
class Arrays(StoredViews):
    """Views whose images are ``[views, C, H, W]``, by name."""

    cameras: Cameras
    images: dict[str, Tensor]

    def view(self, number: int, outputs: Sequence[str]) -> dict[str, Tensor]:
        return {name: self.images[name][number] for name in outputs if name in self.images}


class Npz(Format):
    """``objects/<id>/views.npz``."""

    marker = "views.npz"

    def files(self, cameras: Cameras, rendering: Rendering, renderer: str | None) -> Iterator[tuple[str, bytes]]:
        stream = io.BytesIO()
        lens = {name: getattr(cameras, name).numpy() for name in CAMERAS}
        np.savez(stream, near=cameras.near, far=cameras.far, **lens, **{k: v.numpy() for k, v in images(rendering)})
        yield self.marker, stream.getvalue()

    def open(self, files: Files) -> Arrays:
        with np.load(io.BytesIO(files.read(self.marker)), allow_pickle=False) as content:
            tensors = {name: torch.from_numpy(content[name]) for name in content.files}
        near, far = (float(tensors.pop(name)) for name in ("near", "far"))
        lens = [tensors.pop(name) for name in CAMERAS]
        return Arrays(Cameras(*lens, tuple(tensors["alpha"].shape[-2:]), near, far), tensors)


def images(rendering: Rendering) -> list[tuple[str, Tensor]]:
    return [(name, getattr(rendering, name)) for name in rendering.outputs]


class NoFormat:
    """Something else, which must not be called: a file may name it."""

    def __init__(self) -> None:
        raise AssertionError
