"""What renderers that work on CUDA only refuse, and in which order."""

from types import ModuleType

import torch

from render3d.errors import RendererError
from render3d.optional import Library


def load_for_cuda(library: Library, device: torch.device) -> ModuleType:
    """The library, imported, for tensors on ``device``.

    Raises:
        RendererError: It is not installed, was built for another torch, or fails when it is imported; torch finds no
            CUDA device; or the tensors are not on one.
    """
    found = library.load()
    elsewhere = "OpenGL() renders the same scenes, on any device."
    if not torch.cuda.is_available():
        raise RendererError(
            f"{library.name} rasterises on CUDA, and torch finds no CUDA device; see 'render3d doctor'. {elsewhere}"
        )
    if device.type != "cuda":
        raise RendererError(
            f"{library.name} rasterises on CUDA; got a scene on {device}. Move it: scene.to('cuda') and "
            f"cameras.to('cuda'). Or else {elsewhere}"
        )
    return found
