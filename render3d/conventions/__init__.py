"""Cameras to and from the conventions of other systems.

Each system has a pair ``to_<system>(cameras)`` and ``from_<system>(...)``, each the inverse of the other. Tensors keep
the leading dimensions ``[*batch, views]`` and stay differentiable; what a system cannot express is a `CameraError`. No
function turns the world: a pose is a pose in the world it came with.
"""

from render3d.conventions.colmap import ColmapCameras as ColmapCameras
from render3d.conventions.colmap import from_colmap as from_colmap
from render3d.conventions.colmap import to_colmap as to_colmap
from render3d.conventions.kaolin import KaolinCameras as KaolinCameras
from render3d.conventions.kaolin import from_kaolin as from_kaolin
from render3d.conventions.kaolin import to_kaolin as to_kaolin
from render3d.conventions.mitsuba import MitsubaCameras as MitsubaCameras
from render3d.conventions.mitsuba import from_mitsuba as from_mitsuba
from render3d.conventions.mitsuba import to_mitsuba as to_mitsuba
from render3d.conventions.nvdiffrast import NvdiffrastCameras as NvdiffrastCameras
from render3d.conventions.nvdiffrast import from_nvdiffrast as from_nvdiffrast
from render3d.conventions.nvdiffrast import to_nvdiffrast as to_nvdiffrast
from render3d.conventions.opencv import OpenCVCameras as OpenCVCameras
from render3d.conventions.opencv import from_opencv as from_opencv
from render3d.conventions.opencv import to_opencv as to_opencv
from render3d.conventions.opengl import OpenGLCameras as OpenGLCameras
from render3d.conventions.opengl import from_opengl as from_opengl
from render3d.conventions.opengl import opengl_depth as opengl_depth
from render3d.conventions.opengl import opengl_projection as opengl_projection
from render3d.conventions.opengl import to_opengl as to_opengl
from render3d.conventions.pytorch3d import PyTorch3DCameras as PyTorch3DCameras
from render3d.conventions.pytorch3d import from_pytorch3d as from_pytorch3d
from render3d.conventions.pytorch3d import to_pytorch3d as to_pytorch3d
from render3d.conventions.r2n2 import from_r2n2 as from_r2n2
from render3d.conventions.r2n2 import to_r2n2 as to_r2n2
from render3d.conventions.transforms import from_nerf as from_nerf
from render3d.conventions.transforms import from_nerfstudio as from_nerfstudio
from render3d.conventions.transforms import to_nerf as to_nerf
from render3d.conventions.transforms import to_nerfstudio as to_nerfstudio
