"""Images: what a renderer returns, and how it is kept in files."""

from render3d.images.rendering import CHANNELS, Rendering, to_float

__all__ = ["CHANNELS", "Rendering", "to_float"]
