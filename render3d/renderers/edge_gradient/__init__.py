"""A full gradient from one picture, of black boxes that tell which face a pixel shows."""

from render3d.renderers.edge_gradient.renderer import EdgeGradient, TellsCover, tells_faces

__all__ = ["EdgeGradient", "TellsCover", "tells_faces"]
