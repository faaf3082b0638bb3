"""Measure what TF32 changes: products of matrices, places of vertices, pictures."""

import contextlib
from collections.abc import Iterator

import torch

from benchmarks.gpu.results import Recorder
from render3d import Cameras
from render3d.data import bunny
from render3d.renderers import OpenGL


def measure(recorder: Recorder) -> None:
    """Write a line for a product of matrices, which shows whether TF32 is at work, and one for each size."""
    first, second = torch.rand(2, 512, 512, generator=torch.Generator().manual_seed(0)).to(recorder.device)
    exact = first @ second
    with _tf32():
        rounded = first @ second
    recorder.write(what="a product of matrices", relative_change=float(((rounded - exact) / exact).abs().max()))
    for size in (64,) if recorder.quick else (64, 512):
        with recorder.case(what="the bunny", pixels=size):
            recorder.write(what="the bunny", pixels=size, **_changes(size, recorder.device))


def _changes(size: int, device: str) -> dict[str, object]:
    """Return what TF32 changes in eight views of the bunny."""
    mesh = bunny().normalized().to(device)
    cameras = Cameras.sphere(8, 3.0, image_size=(size, size)).to(device)
    outputs = ("alpha", "depth")
    exact, places = OpenGL()(mesh, cameras, outputs), cameras.project(mesh.vertices)
    with _tf32():
        rounded, moved = OpenGL()(mesh, cameras, outputs), cameras.project(mesh.vertices)
    both = (exact.alpha > 0) & (rounded.alpha > 0)
    return {
        "other_silhouette_pixels": int((exact.alpha != rounded.alpha).sum()),
        "largest_depth_change": float((exact.depth - rounded.depth).abs()[both].max()),
        "largest_move_in_pixels": float((places - moved).norm(dim=-1).max()),
    }


@contextlib.contextmanager
def _tf32() -> Iterator[None]:
    """Allow TF32 in products of float32 matrices inside the block."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)
