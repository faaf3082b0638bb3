"""Measure ``render3d views`` on meshes of the package: objects and views a second."""

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.gpu.results import Recorder
from benchmarks.gpu.sections import ROOT
from render3d.data import bunny, chicken, teapot
from render3d.renderers import OpenGL

_FEW, _MANY = 12, 48  # objects for one worker, and for a worker on every core
_QUICK = 2


def measure(recorder: Recorder) -> None:
    """Write a line for one worker, and one for a worker on every core."""
    cases: dict[int | None, int] = {1: _QUICK} if recorder.quick else {1: _FEW, None: _MANY}
    with tempfile.TemporaryDirectory() as name:
        models = Path(name) / "models"
        models.mkdir()
        _save_meshes(models, max(cases.values()))
        answered = OpenGL().gl_renderer
        for workers, objects in cases.items():
            line = {"workers": workers or "one a core", "gl_renderer": answered}
            with recorder.case(**line):
                recorder.write(**line, **_run(_command(models, Path(name), workers, objects), recorder.seconds_left))


def _save_meshes(folder: Path, count: int) -> None:
    """Save meshes of the package, each a little different from the others."""
    meshes = {"bunny": bunny().normalized(), "teapot": teapot().normalized(), "chicken": chicken().normalized()}
    for number in range(count):
        name = list(meshes)[number % len(meshes)]
        mesh = meshes[name]
        mesh.with_vertices(mesh.vertices * (1 + 0.01 * number)).save(folder / f"{name}_{number}.obj")


def _command(models: Path, folder: Path, workers: int | None, objects: int) -> list[str]:
    """Return the command for so many of the meshes; without a number of workers, there is one on every core."""
    command = [sys.executable, "-m", "render3d", "views", str(models), "--out", str(folder / f"views_{workers}")]
    command += ["--json", "--limit", str(objects)]
    return command if workers is None else [*command, "--workers", str(workers)]


def _run(command: list[str], limit: float) -> dict[str, object]:
    """Run the command and return its figures; ``command_seconds`` include the start of the processes."""
    began = time.perf_counter()
    answer = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=max(1.0, limit), check=False)
    seconds = time.perf_counter() - began
    if answer.returncode:
        raise RuntimeError(f"status {answer.returncode}: {' '.join(answer.stderr[-300:].split())}")
    facts = json.loads(answer.stdout)
    return {
        "objects": facts["made"],
        "views": facts["views"],
        "failed": facts["failed"],
        "command_seconds": seconds,
        "seconds": facts["seconds"],
        "objects_per_s": facts["made"] / facts["seconds"],
        "views_per_s": facts["views_per_second"],
        "shares": facts["shares"],
    }
