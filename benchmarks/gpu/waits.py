"""Count how often the host waits for the GPU in an update of a fit, and the copies and kernels of an update."""

from benchmarks.gpu.renderers import working
from benchmarks.gpu.results import Recorder
from benchmarks.gpu.scenes import VIEWS, bunny_views, sphere_vertices
from benchmarks.gpu.updates import UPDATES, Watched
from render3d import Mesh
from render3d.fitting import TemplateFitSettings, fit_template
from render3d.renderers import Renderer

_LARGEST_OF_PYTORCH3D = 128  # pixels a side


def measure(recorder: Recorder) -> None:
    """Write a line for each renderer, size and number of samples."""
    if not recorder.on_cuda:
        recorder.write(not_measured="waits, kernels and copies of an update: they need a CUDA device")
    for name, renderer in working(recorder, leave_out=("PyTorch3D hard",)):
        for size, subdivisions in ((64, 3),) if recorder.quick else ((64, 3), (128, 3), (512, 5)):
            if name.startswith("PyTorch3D") and size > _LARGEST_OF_PYTORCH3D:
                continue
            for samples in _samples(renderer, recorder.quick):
                line = {"renderer": name, "pixels": size, "vertices": sphere_vertices(subdivisions), "views": VIEWS}
                _measure_case(recorder, renderer, {**line, "samples": samples}, Mesh.icosphere(subdivisions))


def _samples(renderer: Renderer, quick: bool) -> tuple[int | None, ...]:
    """Return how many noisy renderings of a view an update takes: None if the renderer has gradients of its own."""
    if "silhouette" in renderer.capabilities.gradients:
        return (None,)
    return (4,) if quick else (4, 16)


def _measure_case(recorder: Recorder, renderer: Renderer, line: dict[str, object], template: Mesh) -> None:
    """Write the line of one case."""
    if recorder.seconds_left == 0:
        recorder.write(**line, not_measured="the section's time was up")
        return
    size, samples = line["pixels"], line["samples"] or 4
    assert isinstance(size, int) and isinstance(samples, int)
    settings = TemplateFitSettings(updates=UPDATES, pixels=size, samples=samples, evaluate_every=10 * UPDATES)
    views = bunny_views(size, recorder.device)
    with recorder.case(**line), Watched(recorder.device) as watched:
        fit_template(views, template.to(recorder.device), renderer, settings, progress=watched)
        recorder.write(**line, **watched.line)
