"""Comparison: the same scene, or the same fit, by several renderers."""

from render3d.comparison.facts import RendererFacts, labels_of
from render3d.comparison.fits import compare_fits
from render3d.comparison.scene_settings import SceneSettings
from render3d.comparison.scenes import compare_scene
from render3d.comparison.turns import summary

__all__ = ["RendererFacts", "SceneSettings", "compare_fits", "compare_scene", "labels_of", "summary"]
