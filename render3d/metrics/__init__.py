"""Metrics: how close images are, and surfaces, and of which topology. Nothing here is differentiable."""

from render3d.metrics.images import psnr, silhouette_disagreement, silhouette_iou, ssim
from render3d.metrics.surfaces import SurfaceAccuracy, SurfaceComparison, chamfer_distance, compare_surfaces
from render3d.metrics.topology import MeshTopology, crossing_faces, mesh_topology

__all__ = [
    "MeshTopology",
    "SurfaceAccuracy",
    "SurfaceComparison",
    "chamfer_distance",
    "compare_surfaces",
    "crossing_faces",
    "mesh_topology",
    "psnr",
    "silhouette_disagreement",
    "silhouette_iou",
    "ssim",
]
