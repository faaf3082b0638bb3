"""Cameras to and from the conventions of other systems.

Each system has a pair ``to_<system>(cameras)`` and ``from_<system>(...)``, each the inverse of the other. Tensors keep
the leading dimensions ``[*batch, views]`` and stay differentiable; what a system cannot express is a `CameraError`. No
function turns the world: a pose is a pose in the world it came with.
"""

from render3d.conventions.colmap import ColmapCameras, from_colmap, to_colmap
from render3d.conventions.kaolin import KaolinCameras, from_kaolin, to_kaolin
from render3d.conventions.mitsuba import MitsubaCameras, from_mitsuba, to_mitsuba
from render3d.conventions.nvdiffrast import NvdiffrastCameras, from_nvdiffrast, to_nvdiffrast
from render3d.conventions.opencv import OpenCVCameras, from_opencv, to_opencv
from render3d.conventions.opengl import OpenGLCameras, from_opengl, opengl_depth, opengl_projection, to_opengl
from render3d.conventions.pytorch3d import PyTorch3DCameras, from_pytorch3d, to_pytorch3d
from render3d.conventions.r2n2 import from_r2n2, to_r2n2
from render3d.conventions.transforms import from_nerf, from_nerfstudio, to_nerf, to_nerfstudio

__all__ = [
    "ColmapCameras",
    "KaolinCameras",
    "MitsubaCameras",
    "NvdiffrastCameras",
    "OpenCVCameras",
    "OpenGLCameras",
    "PyTorch3DCameras",
    "from_colmap",
    "from_kaolin",
    "from_mitsuba",
    "from_nerf",
    "from_nerfstudio",
    "from_nvdiffrast",
    "from_opencv",
    "from_opengl",
    "from_pytorch3d",
    "from_r2n2",
    "opengl_depth",
    "opengl_projection",
    "to_colmap",
    "to_kaolin",
    "to_mitsuba",
    "to_nerf",
    "to_nerfstudio",
    "to_nvdiffrast",
    "to_opencv",
    "to_opengl",
    "to_pytorch3d",
    "to_r2n2",
]
