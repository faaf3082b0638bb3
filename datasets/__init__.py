"""Volumes, meshes and views to learn from, imported as ``render3d.datasets``."""

if __name__ != "render3d.datasets":
    raise ImportError(
        "This folder is imported as render3d.datasets; the bare name 'datasets' belongs to another well-known package."
    )
