"""Images: what a renderer returns, and how it is kept in files."""

from render3d.images.rendering import CHANNELS as CHANNELS
from render3d.images.rendering import Rendering as Rendering
from render3d.images.rendering import to_float as to_float

__all__ = ["CHANNELS", "Rendering", "to_float"]
