"""Datasets of volumes."""

__all__: list[str] = []
