"""Measure where the time of a call of OpenGL goes: transform, upload, submit, draw, read back, clone."""

import statistics

import torch

from benchmarks.gpu.internals import Stopwatch, watch_opengl
from benchmarks.gpu.results import Recorder
from benchmarks.gpu.scenes import bumpy_spheres, one_camera_each, sphere_vertices
from benchmarks.gpu.timing import elapsed, timed
from render3d import Cameras, Mesh
from render3d.renderers import OpenGL

PARTS = ("transform", "upload", "submit", "draw", "read_back", "clone")
"""In the order they happen; the rest of a call includes the copy of the images to the device."""

_CALLS, _QUICK_CALLS = 9, 3


def measure(recorder: Recorder) -> None:
    """Write a line for each size and set of outputs."""
    watch = watch_opengl()
    cases = ((64, 64, 3),) if recorder.quick else ((64, 20, 3), (64, 320, 3), (512, 20, 5), (512, 320, 5))
    for size, batch, subdivisions in cases:
        for outputs in (("alpha",), ("rgb", "alpha")):
            line = {"pixels": size, "batch": batch, "vertices": sphere_vertices(subdivisions), "outputs": list(outputs)}
            if recorder.seconds_left == 0:
                recorder.write(**line, not_measured="the section's time was up")
                continue
            with recorder.case(**line):
                meshes = bumpy_spheres(subdivisions, batch, recorder.device)
                cameras = one_camera_each(batch, size, recorder.device)
                recorder.write(**line, **_parts(watch, meshes, cameras, outputs, recorder))


def _parts(
    watch: Stopwatch, meshes: Mesh, cameras: Cameras, outputs: tuple[str, ...], recorder: Recorder
) -> dict[str, object]:
    """Return the median time of a call and the shares of its parts."""
    calls: list[dict[str, float]] = []
    for _ in range(1 + (_QUICK_CALLS if recorder.quick else _CALLS)):
        watch.seconds.clear()
        whole = elapsed(lambda: OpenGL()(meshes, cameras, outputs), recorder.device)
        parts = {part: watch.seconds.get(part, 0.0) for part in PARTS}
        calls.append({"whole": whole, **parts, "rest": whole - sum(parts.values())})
    median = {name: statistics.median(call[name] for call in calls[1:]) for name in calls[0]}
    return {
        "call_ms": 1e3 * median["whole"],
        **{f"{name}_share": median[name] / median["whole"] for name in (*PARTS, "rest")},
        "to_device_ms": _milliseconds_to_device(meshes, cameras, outputs, recorder),
    }


def _milliseconds_to_device(
    meshes: Mesh, cameras: Cameras, outputs: tuple[str, ...], recorder: Recorder
) -> float | None:
    """Return how long the images of a call take from the CPU's memory to the device; None on the CPU."""
    if not recorder.on_cuda:
        return None
    rendering = OpenGL()(meshes, cameras, outputs)
    images: list[torch.Tensor] = [rendering.stored(name).cpu() for name in outputs]
    return timed(lambda: [image.to(recorder.device) for image in images], recorder.device, 0.1)["median_ms"]
