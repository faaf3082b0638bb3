"""Measure whether a picture depends on its place among others, and on which other images are asked for."""

import torch

from benchmarks.gpu.results import Recorder
from render3d import Cameras, Rendering
from render3d.data import bunny
from render3d.renderers import OpenGL

_OUTPUTS = ("rgb", "alpha", "depth", "face_index")
_OTHER_OUTPUTS = ("alpha", "normal", "face_index", "barycentric")
_VIEWS = 12


def measure(recorder: Recorder) -> None:
    """Write a line for each size of picture."""
    for size in (64,) if recorder.quick else (64, 128, 224):
        with recorder.case(pixels=size):
            recorder.write(pixels=size, **_differences(size, 2 if recorder.quick else 5, recorder.device))


def _differences(size: int, copies: int, device: str) -> dict[str, object]:
    """Render views in one call, several times each, and each view by itself; return what differs."""
    mesh = bunny().normalized().to(device)
    cameras = Cameras.sphere(_VIEWS, 3.0, image_size=(size, size)).to(device)
    together = OpenGL()(mesh, Cameras.cat([cameras] * copies), _OUTPUTS)
    others = OpenGL()(mesh, Cameras.cat([cameras] * copies), _OTHER_OUTPUTS)
    alone = [OpenGL()(mesh, cameras[view : view + 1], _OUTPUTS)[0] for view in range(_VIEWS)]
    pairs = [(together[number], alone[number % _VIEWS]) for number in range(copies * _VIEWS)]
    return {
        "pictures": len(pairs),
        "other_silhouettes": sum(not torch.equal(a.alpha, b.alpha) for a, b in pairs),
        "other_faces": sum(not torch.equal(a.face_index, b.face_index) for a, b in pairs),
        "largest_depth_change": max(_depth_change(a, b) for a, b in pairs),
        "largest_rgb_change": max(float((a.rgb - b.rgb).abs().max()) for a, b in pairs),
        "other_silhouettes_with_other_outputs": _pictures_that_differ(together.alpha, others.alpha),
        "other_faces_with_other_outputs": _pictures_that_differ(together.face_index, others.face_index),
    }


def _depth_change(first: Rendering, second: Rendering) -> float:
    """Return the largest difference of depth where both show the same face."""
    same = (first.face_index == second.face_index) & (first.face_index >= 0)
    return float((first.depth - second.depth).abs()[same].max())


def _pictures_that_differ(first: torch.Tensor, second: torch.Tensor) -> int:
    """Return how many images ``[views, 1, H, W]`` are not the same in every pixel."""
    return int((first != second).flatten(1).any(1).sum())
