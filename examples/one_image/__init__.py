"""Shapes from one image, learnt through a renderer that is an argument."""
