"""Volumes, meshes and views to learn from, imported as ``render3d.datasets``. Names are imported when first used."""

from typing import TYPE_CHECKING

from render3d.lazy import lazy

if __name__ != "render3d.datasets":
    raise ImportError(
        "This folder is imported as render3d.datasets; the bare name 'datasets' belongs to another well-known package."
    )

if TYPE_CHECKING:
    from render3d.datasets.base import DatasetSettings as DatasetSettings
    from render3d.datasets.base import Examples as Examples
    from render3d.datasets.base import ImageSettings as ImageSettings
    from render3d.datasets.base import SeededDataset as SeededDataset
    from render3d.datasets.base import VolumeDataset as VolumeDataset
    from render3d.datasets.base import VolumeExample as VolumeExample
    from render3d.datasets.base import VolumeSettings as VolumeSettings
    from render3d.datasets.checks import Split as Split
    from render3d.datasets.pictures.colored import ColoredExample as ColoredExample
    from render3d.datasets.pictures.colored import ColoredSolids as ColoredSolids
    from render3d.datasets.pictures.colored import ColoredSolidsSettings as ColoredSolidsSettings
    from render3d.datasets.pictures.with_views import FixedThenRandom as FixedThenRandom
    from render3d.datasets.pictures.with_views import RandomCameras as RandomCameras
    from render3d.datasets.pictures.with_views import ViewedExample as ViewedExample
    from render3d.datasets.pictures.with_views import WithViews as WithViews
    from render3d.datasets.pictures.with_views import class_colors as class_colors
    from render3d.datasets.view_sets.read import PosedObject as PosedObject
    from render3d.datasets.view_sets.read import PosedObjects as PosedObjects
    from render3d.datasets.view_sets.read import PosedSettings as PosedSettings
    from render3d.datasets.view_sets.read import PosedShards as PosedShards
    from render3d.datasets.view_sets.read import RenderedObjects as RenderedObjects
    from render3d.datasets.view_sets.read import ResumableSampler as ResumableSampler
    from render3d.datasets.volumes.collection_volumes import CollectionVolumes as CollectionVolumes
    from render3d.datasets.volumes.collection_volumes import CollectionVolumesSettings as CollectionVolumesSettings
    from render3d.datasets.volumes.collection_volumes import volumes_of_collection as volumes_of_collection
    from render3d.datasets.volumes.drawn import DrawnSettings as DrawnSettings
    from render3d.datasets.volumes.drawn import SolidSettings as SolidSettings
    from render3d.datasets.volumes.mnist import MNIST3D as MNIST3D
    from render3d.datasets.volumes.mnist import MNIST3DSettings as MNIST3DSettings
    from render3d.datasets.volumes.necker import NeckerCubes as NeckerCubes
    from render3d.datasets.volumes.necker import NeckerSettings as NeckerSettings
    from render3d.datasets.volumes.primitives import Primitives as Primitives
    from render3d.datasets.volumes.primitives import PrimitivesSettings as PrimitivesSettings
    from render3d.datasets.volumes.voxelized import VoxelizedCollection as VoxelizedCollection
    from render3d.datasets.volumes.voxelizing import VoxelizedSettings as VoxelizedSettings

_HOMES = {
    "base": (
        "DatasetSettings",
        "Examples",
        "ImageSettings",
        "SeededDataset",
        "VolumeDataset",
        "VolumeExample",
        "VolumeSettings",
    ),
    "checks": ("Split",),
    "pictures.colored": ("ColoredExample", "ColoredSolids", "ColoredSolidsSettings"),
    "pictures.with_views": ("FixedThenRandom", "RandomCameras", "ViewedExample", "WithViews", "class_colors"),
    "view_sets.read": (
        "PosedObject",
        "PosedObjects",
        "PosedSettings",
        "PosedShards",
        "RenderedObjects",
        "ResumableSampler",
    ),
    "volumes.collection_volumes": ("CollectionVolumes", "CollectionVolumesSettings", "volumes_of_collection"),
    "volumes.drawn": ("DrawnSettings", "SolidSettings"),
    "volumes.mnist": ("MNIST3D", "MNIST3DSettings"),
    "volumes.necker": ("NeckerCubes", "NeckerSettings"),
    "volumes.primitives": ("Primitives", "PrimitivesSettings"),
    "volumes.voxelized": ("VoxelizedCollection",),
    "volumes.voxelizing": ("VoxelizedSettings",),
}

__getattr__, __dir__, __all__ = lazy(__name__, _HOMES)
