"""Volumes, meshes and views to learn from, imported as ``render3d.datasets``."""

if __name__ != "render3d.datasets":
    raise ImportError(
        "This folder is imported as render3d.datasets; the bare name 'datasets' belongs to another well-known package."
    )

from render3d.datasets.base import SeededDataset as SeededDataset
from render3d.datasets.base import Split as Split
from render3d.datasets.base import VolumeDataset as VolumeDataset
from render3d.datasets.base import VolumeExample as VolumeExample
from render3d.datasets.colored import ColoredExample as ColoredExample
from render3d.datasets.colored import ColoredSolids as ColoredSolids
from render3d.datasets.colored import ColoredSolidsSettings as ColoredSolidsSettings
from render3d.datasets.mnist import MNIST3D as MNIST3D
from render3d.datasets.mnist import MNIST3DSettings as MNIST3DSettings
from render3d.datasets.necker import NeckerCubes as NeckerCubes
from render3d.datasets.necker import NeckerSettings as NeckerSettings
from render3d.datasets.posed import PosedObject as PosedObject
from render3d.datasets.posed import PosedObjects as PosedObjects
from render3d.datasets.posed import PosedSettings as PosedSettings
from render3d.datasets.posed import PosedShards as PosedShards
from render3d.datasets.posed import RenderedObjects as RenderedObjects
from render3d.datasets.posed import ResumableSampler as ResumableSampler
from render3d.datasets.primitives import Primitives as Primitives
from render3d.datasets.primitives import PrimitivesSettings as PrimitivesSettings
from render3d.datasets.shape_volumes import ShapesSettings as ShapesSettings
from render3d.datasets.shape_volumes import ShapeVolumes as ShapeVolumes
from render3d.datasets.shape_volumes import volumes_of_shapes as volumes_of_shapes
from render3d.datasets.views import FixedThenRandom as FixedThenRandom
from render3d.datasets.views import RandomCameras as RandomCameras
from render3d.datasets.views import ViewedExample as ViewedExample
from render3d.datasets.views import WithViews as WithViews
from render3d.datasets.views import class_colors as class_colors
from render3d.datasets.voxelized import VoxelizedShapes as VoxelizedShapes
from render3d.datasets.voxelizing import VoxelizedSettings as VoxelizedSettings
