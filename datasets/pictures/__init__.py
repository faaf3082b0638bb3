"""Datasets of images that are rendered when they are needed."""

__all__: list[str] = []
