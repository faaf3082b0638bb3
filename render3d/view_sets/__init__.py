"""View sets: images of one scene with the cameras that took them, read from files and written to them."""

from render3d.view_sets.disk import read_cameras, read_views, write_views
from render3d.view_sets.view_set import ViewSet

__all__ = ["ViewSet", "read_cameras", "read_views", "write_views"]
