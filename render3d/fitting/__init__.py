"""Fitting: a mesh, its colours or a volume recovered from posed images, through a renderer."""

from render3d.fitting.checkpoint import Record as Record
from render3d.fitting.color_fit import ColorFitResult as ColorFitResult
from render3d.fitting.color_fit import fit_colors as fit_colors
from render3d.fitting.fit import FitResult as FitResult
from render3d.fitting.fit import fit as fit
from render3d.fitting.folder import fit_to_folder as fit_to_folder
from render3d.fitting.folder import fit_volume_to_folder as fit_volume_to_folder
from render3d.fitting.hulls import convex_hull as convex_hull
from render3d.fitting.hulls import visual_hull as visual_hull
from render3d.fitting.loop import mean_iou as mean_iou
from render3d.fitting.measures import Measure as Measure
from render3d.fitting.measures import baselines as baselines
from render3d.fitting.measures import measure as measure
from render3d.fitting.optimiser import Adam as Adam
from render3d.fitting.optimiser import UniformAdam as UniformAdam
from render3d.fitting.preconditioner import SmoothCoordinates as SmoothCoordinates
from render3d.fitting.settings import FitSettings as FitSettings
from render3d.fitting.settings import VolumeFitSettings as VolumeFitSettings
from render3d.fitting.spheres import Sphere as Sphere
from render3d.fitting.spheres import best_sphere as best_sphere
from render3d.fitting.spheres import enclosing_sphere as enclosing_sphere
from render3d.fitting.volume_fit import VolumeFitResult as VolumeFitResult
from render3d.fitting.volume_fit import fit_volume as fit_volume
from render3d.fitting.volume_fit import in_volume_frame as in_volume_frame
