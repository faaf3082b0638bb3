"""The batched OpenGL mesh renderer, headless through EGL."""

from render3d.renderers.opengl.renderer import OpenGL

__all__ = ["OpenGL"]
