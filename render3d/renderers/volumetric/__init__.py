"""Renderers of volumes, all of them differentiable."""

from render3d.renderers.volumetric.emission import EmissionAbsorption as EmissionAbsorption
from render3d.renderers.volumetric.learned import LearnedProjection as LearnedProjection
from render3d.renderers.volumetric.maximum import MaxProjection as MaxProjection
