"""Report which devices there are: CUDA's, EGL's, which of them belong together, and what OpenGL says of itself."""

import json
import os
import platform
import shutil
import subprocess
import sys

import torch

from benchmarks.gpu.results import Recorder
from benchmarks.gpu.sections import ROOT
from render3d.renderers.opengl.context import shared_context
from render3d.renderers.opengl.devices import cuda_numbers_of_egl_devices, egl_device_of_cuda

_MOST_CONTEXTS = 8
_LAYER_ARRAYS = "GL_ARB_shader_viewport_layer_array"


def measure(recorder: Recorder) -> None:
    """Write a line on the libraries, one for each setting of ``CUDA_VISIBLE_DEVICES``, and one for each OpenGL."""
    _write_libraries(recorder)
    for visible in (None, "0", "-1"):
        with recorder.case(cuda_visible_devices=visible or "unset"):
            _write_map(recorder, visible)
    used = egl_device_of_cuda(torch.device(recorder.device).index or 0) if recorder.on_cuda else 0
    for number in range(min(_MOST_CONTEXTS, max(1, len(cuda_numbers_of_egl_devices())))):
        with recorder.case(egl_device=number):
            _write_opengl(recorder, number, number == used)


def _write_libraries(recorder: Recorder) -> None:
    """Write versions and names."""
    recorder.write(
        python=platform.python_version(),
        torch=torch.__version__,
        cuda=torch.version.cuda,
        gpu=torch.cuda.get_device_name(recorder.device) if recorder.on_cuda else None,
        driver=_driver(),
        cores=os.cpu_count(),
        torch_threads=torch.get_num_threads(),
    )
    if not recorder.on_cuda:
        recorder.write(not_measured="which EGL device belongs to a CUDA device: this run has no CUDA device")


def _driver() -> str | None:
    """Return the version of NVIDIA's driver."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return None
    command = [program, "--query-gpu=driver_version", "--format=csv,noheader"]
    answer = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    return answer.stdout.partition("\n")[0].strip() or None


def _write_map(recorder: Recorder, visible: str | None) -> None:
    """Write which EGL device belongs to which CUDA device, as a process with that setting sees it."""
    environment = {name: value for name, value in os.environ.items() if name != "CUDA_VISIBLE_DEVICES"}
    if visible is not None:
        environment["CUDA_VISIBLE_DEVICES"] = visible
    command = [sys.executable, "-m", "benchmarks.gpu.egl_map"]
    answer = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=30, check=False)
    if answer.returncode:
        last = (answer.stderr.splitlines() or ["it said nothing"])[-1]
        raise RuntimeError(f"status {answer.returncode}: {last}")
    recorder.write(cuda_visible_devices=visible or "unset", **json.loads(answer.stdout))


def _write_opengl(recorder: Recorder, number: int, used: bool) -> None:
    """Write what the OpenGL of an EGL device says of itself."""
    context = shared_context(number)
    info = context.gl.info
    recorder.write(
        egl_device=number,
        used=used,
        gl_renderer=context.gl_renderer,
        gl_version=info["GL_VERSION"],
        subpixel_bits=info.get("GL_SUBPIXEL_BITS"),
        largest_framebuffer=context.max_size,
        most_layers=info["GL_MAX_ARRAY_TEXTURE_LAYERS"],
        viewport_layer_array=_LAYER_ARRAYS in context.gl.extensions,
    )
