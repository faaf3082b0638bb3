"""Datasets of pictures that are rendered when they are needed."""
