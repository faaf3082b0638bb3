"""Measure images a second of OpenGL beside the other renderers that work on the device."""

import itertools
from typing import NamedTuple

import torch

from benchmarks.gpu.renderers import working
from benchmarks.gpu.results import Recorder
from benchmarks.gpu.scenes import bumpy_spheres, one_camera_each, sphere_vertices
from benchmarks.gpu.timing import elapsed, timed
from render3d.renderers import Renderer

_PATIENCE = 2.0  # seconds that a call may take
_MOST_PIXELS = 2**24  # of one call of PyTorch3D, which keeps several faces for every pixel


class Case(NamedTuple):
    """What is rendered in one call: ``batch`` meshes, each seen by one camera."""

    subdivisions: int
    batch: int
    size: int
    outputs: tuple[str, ...]


def measure(recorder: Recorder) -> None:
    """Write a line for each case and renderer, small cases first."""
    names = dict(working(recorder))
    too_slow: dict[str, list[Case]] = {name: [] for name in names}
    for case in _cases(recorder.quick):
        for name, renderer in names.items():
            line = {"renderer": name, **_described(case)}
            if reason := _reason_to_leave_out(case, name, too_slow[name], recorder):
                recorder.write(**line, not_measured=reason)
                continue
            with recorder.case(**line):
                rates = _rates(renderer, case, recorder.device)
                recorder.write(**line, **rates)
                if rates["median_ms"] > 1e3 * _PATIENCE:
                    too_slow[name].append(case)


def _cases(quick: bool) -> list[Case]:
    """Return what is rendered, in the order it is."""
    subdivisions, batches, sizes = ((3,), (16,), (64, 256)) if quick else ((3, 5), (16, 320), (64, 128, 256, 512))
    outputs = (("alpha",), ("rgb", "alpha"))
    return [Case(*values) for values in itertools.product(subdivisions, batches, sizes, outputs)]


def _described(case: Case) -> dict[str, object]:
    """Return a case as the beginning of its line."""
    vertices = sphere_vertices(case.subdivisions)
    return {"vertices": vertices, "batch": case.batch, "pixels": case.size, "outputs": list(case.outputs)}


def _reason_to_leave_out(case: Case, name: str, too_slow: list[Case], recorder: Recorder) -> str:
    """Return why a case is not measured, or nothing."""
    if recorder.seconds_left == 0:
        return "the section's time was up"
    if name.startswith("PyTorch3D") and case.batch * case.size**2 > _MOST_PIXELS:
        return f"more than {_MOST_PIXELS} pixels a call"
    if any(all(a <= b for a, b in zip(small[:3], case[:3], strict=True)) for small in too_slow):
        return f"a smaller case took more than {_PATIENCE:.0f} s"
    return ""


def _rates(renderer: Renderer, case: Case, device: str) -> dict[str, float]:
    """Time a case without gradients; a call that takes long is timed once."""
    meshes = bumpy_spheres(case.subdivisions, case.batch, device)
    cameras = one_camera_each(case.batch, case.size, device)

    def render() -> None:
        renderer(meshes, cameras, case.outputs)

    with torch.no_grad():
        first = elapsed(render, device)
        times = timed(render, device) if first < _PATIENCE else {"median_ms": 1e3 * first, "calls": 1}
    return {"images_per_s": 1e3 * case.batch / times["median_ms"], **times}
