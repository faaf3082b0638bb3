"""Mitsuba 3 behind the seam: its rays tell what is seen, and torch does the rest."""

from render3d.renderers.mitsuba.renderer import Mitsuba

__all__ = ["Mitsuba"]
