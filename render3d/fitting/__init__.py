"""Fitting: a mesh, its colours, its pose or a volume recovered from images, through a renderer."""

from render3d.fitting.checkpoint import FitRecord
from render3d.fitting.color_fit import ColorFitResult, fit_colors, pixel_size
from render3d.fitting.figures import FitFigures
from render3d.fitting.fit import FitResult, fit
from render3d.fitting.folder import fit_to_folder
from render3d.fitting.hulls import convex_hull, visual_hull
from render3d.fitting.loop import mean_iou
from render3d.fitting.measures import Measure, baselines, measure
from render3d.fitting.optimiser import Adam
from render3d.fitting.poses import PoseResult, fit_pose, move_about
from render3d.fitting.preconditioner import SmoothCoordinates
from render3d.fitting.settings import FitSettings, PoseSettings, TemplateFitSettings, VolumeFitSettings
from render3d.fitting.spheres import Ball, best_sphere, enclosing_sphere
from render3d.fitting.task import FitTask
from render3d.fitting.template_fit import TemplateFitResult, fit_template
from render3d.fitting.volume_fit import VolumeFitResult, fit_volume, in_volume_frame

__all__ = ["FitFigures", "FitRecord", "FitResult", "FitSettings", "fit"]
__all__ += ["TemplateFitResult", "TemplateFitSettings", "fit_template"]
__all__ += ["VolumeFitResult", "VolumeFitSettings", "fit_volume", "in_volume_frame"]
__all__ += ["ColorFitResult", "PoseResult", "PoseSettings", "fit_colors", "fit_pose", "move_about", "pixel_size"]
__all__ += ["FitTask", "Measure", "baselines", "fit_to_folder", "mean_iou", "measure"]
__all__ += ["Adam", "Ball", "SmoothCoordinates", "best_sphere", "convex_hull", "enclosing_sphere", "visual_hull"]
