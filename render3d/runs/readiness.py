"""Whether a renderer works on this machine, asked before a folder of results is made."""

import warnings

import torch

from render3d.cameras import Cameras
from render3d.renderers.base import EmptyViewWarning, Renderer
from render3d.scenes import Scene


def check_ready(renderer: Renderer, scene: Scene, cameras: Cameras, outputs: tuple[str, ...] = ("alpha",)) -> None:
    """Render the first view, so that a library or a device that is missing is an error now.

    Raises:
        Render3DError: The renderer's own, such as `RendererError` where its library is not installed.
    """
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore", EmptyViewWarning)
        renderer(scene, cameras[:1], outputs)
