"""Measure fits of a sphere to silhouettes of the bunny: seconds and quality."""

import time

from benchmarks.gpu.renderers import working
from benchmarks.gpu.results import Recorder
from benchmarks.gpu.scenes import VIEWS, bunny_views
from benchmarks.gpu.timing import elapsed, wait_for
from render3d import Mesh
from render3d.fitting import FitRecord, TemplateFitSettings, fit_template
from render3d.fitting.spheres import enclosing_sphere
from render3d.renderers import Renderer

_GOOD = 0.95  # intersection over union
_SIZE = 64
_UPDATES, _QUICK_UPDATES = 500, 30


class _OutOfTimeError(Exception):
    """Raised to stop a fit that takes too long."""


def measure(recorder: Recorder) -> None:
    """Write a line for each renderer that carries gradients to silhouettes, and for OpenGL by its estimator."""
    if not recorder.quick:
        with recorder.case(what="the enclosing sphere of the views"):
            _write_sphere(recorder)
    names = dict(working(recorder, leave_out=("PyTorch3D hard",)))
    for number, (name, renderer) in enumerate(names.items()):
        with recorder.case(renderer=name):
            seconds = recorder.seconds_left / (len(names) - number)
            recorder.write(renderer=name, **_fit(renderer, recorder, seconds))


def _write_sphere(recorder: Recorder) -> None:
    """Write how long the sphere takes that fits begin with where no template is given; those below are given one."""
    views = bunny_views(_SIZE, recorder.device)
    seconds = elapsed(lambda: enclosing_sphere(views), recorder.device)
    recorder.write(what="the enclosing sphere of the views", seconds=seconds)


def _fit(renderer: Renderer, recorder: Recorder, seconds: float) -> dict[str, object]:
    """Fit, after two updates that are not counted; stop after so many seconds."""
    views = bunny_views(_SIZE, recorder.device)
    updates = _QUICK_UPDATES if recorder.quick else _UPDATES
    template = Mesh.icosphere(3).to(recorder.device)
    fit_template(views, template, renderer, TemplateFitSettings(updates=2, pixels=_SIZE))
    records: list[FitRecord] = []
    began = time.perf_counter()

    def note(record: FitRecord) -> None:
        records.append(record)
        if time.perf_counter() - began > seconds:
            raise _OutOfTimeError

    finished = True
    try:
        fit_template(views, template, renderer, TemplateFitSettings(updates=updates, pixels=_SIZE), progress=note)
    except _OutOfTimeError:
        finished = False
    wait_for(recorder.device)
    return {"views": VIEWS, "pixels": _SIZE, "finished": finished, **_summary(records, time.perf_counter() - began)}


def _summary(records: list[FitRecord], seconds: float) -> dict[str, object]:
    """Return what the records of a fit show."""
    measured = [record for record in records if record.training_iou is not None]
    good = next((record for record in measured if (record.training_iou or 0) >= _GOOD), None)
    return {
        "updates": len(records),
        "seconds": seconds,
        "ms_per_update": 1e3 * seconds / max(1, len(records)),
        "iou": measured[-1].training_iou if measured else None,
        "seconds_to_95": good and good.seconds,
        "updates_to_95": good and good.update,
    }
