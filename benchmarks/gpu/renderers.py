"""Find the renderers of meshes that work on the device."""

from collections.abc import Callable, Iterator

from benchmarks.gpu.results import Recorder, described
from render3d import Cameras, Mesh
from render3d.errors import RendererError
from render3d.optional import KAOLIN, NVDIFFRAST, PYTORCH3D, Library
from render3d.renderers import Kaolin, Nvdiffrast, OpenGL, PyTorch3D, Renderer

CANDIDATES: dict[str, tuple[Library | None, Callable[[], Renderer]]] = {
    "OpenGL": (None, OpenGL),
    "Nvdiffrast": (NVDIFFRAST, Nvdiffrast),
    "Kaolin": (KAOLIN, Kaolin),
    "PyTorch3D hard": (PYTORCH3D, lambda: PyTorch3D(soft=None)),
    "PyTorch3D soft": (PYTORCH3D, PyTorch3D),
}
"""By name: the library each needs, and how it is made."""


def working(recorder: Recorder, leave_out: tuple[str, ...] = ()) -> Iterator[tuple[str, Renderer]]:
    """Yield the renderers that draw a small picture on the device; write a line about each of the others."""
    for name, (library, make) in CANDIDATES.items():
        if name in leave_out:
            continue
        problem = _problem_of(library, make, recorder.device)
        if problem:
            recorder.write(renderer=name, not_measured=problem)
        else:
            yield name, make()


def _problem_of(library: Library | None, make: Callable[[], Renderer], device: str) -> str:
    """Return why the renderer does not work, or nothing."""
    if library is not None and not library.is_installed:
        return f"{library.name} is not installed"
    try:
        make()(Mesh.icosphere(1).to(device), Cameras.sphere(1, 3.0, image_size=(32, 32)).to(device))
    except RendererError as error:
        return str(error)
    except Exception as error:  # a broken library may raise anything
        return described(error)
    return ""
