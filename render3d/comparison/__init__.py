"""Comparison: the same scene, or the same fit, by several renderers."""

from render3d.comparison.facts import RendererFacts as RendererFacts
from render3d.comparison.facts import labels_of as labels_of
from render3d.comparison.fits import FitTask as FitTask
from render3d.comparison.fits import compare_fits as compare_fits
from render3d.comparison.scenes import SceneSettings as SceneSettings
from render3d.comparison.scenes import compare_scene as compare_scene
from render3d.comparison.turns import summary as summary
