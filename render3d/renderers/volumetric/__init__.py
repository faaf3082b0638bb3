"""Renderers of volumes, all of them differentiable."""

from render3d.renderers.volumetric.emission import EmissionAbsorption
from render3d.renderers.volumetric.learned import LearnedProjection
from render3d.renderers.volumetric.maximum import MaxProjection

__all__ = ["EmissionAbsorption", "LearnedProjection", "MaxProjection"]
