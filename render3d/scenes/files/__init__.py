"""Meshes and volumes in files: one file here for each format."""

__all__: list[str] = []
