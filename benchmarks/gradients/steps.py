"""Where the time and the memory of a step go, and what an estimator adds to the rendering."""

import contextlib
import time
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import NamedTuple, TypeVar
from unittest import mock

import torch
from torch import Tensor

from benchmarks.findings import Cell
from benchmarks.gradients.errors import SWEPT
from benchmarks.gradients.scene import Scene, ball
from render3d.comparison.costs import peak_memory
from render3d.estimators.noisy import Noisy
from render3d.estimators.perturbation import Perturbation, camera_space, perturb, render_views
from render3d.randomness import Key
from render3d.renderers.opengl import painter
from render3d.scenes import Mesh

_Made = TypeVar("_Made")

BOUND = 8.0  # ms: what the estimator's own work is to stay below on two idle cores


class StepTask(NamedTuple):
    """What a step does; plain numbers, so that a process of its own can make it."""

    estimator: str
    subdivisions: int
    samples: int
    sigma: float  # pixels
    views: int
    size: int


def step_row(task: StepTask, rounds: int) -> dict[str, Cell]:
    """Milliseconds of the parts of a step, the best of the rounds."""
    scene, mesh = Scene.make(task.views, task.size), ball(task.subdivisions)
    best = {part: min(times) for part, times in _collect(scene, mesh, task, rounds).items()}
    images = task.samples * task.views * task.size**2 * 4 / 2**20  # MiB in float32
    beyond = peak_memory(_whole, task) - peak_memory(_rendering, task)
    return {"estimator": task.estimator, **best, "step": sum(best.values()), "memory, copies": beyond / images}


def _collect(scene: Scene, mesh: Mesh, task: StepTask, rounds: int) -> dict[str, list[float]]:
    _step(scene, mesh, task)  # which faces meet, and what OpenGL keeps, is found once for a topology
    times: dict[str, list[float]] = {}
    for _ in range(max(3, rounds)):
        for part, milliseconds in _step(scene, mesh, task).items():
            times.setdefault(part, []).append(milliseconds)
    return times


@torch.no_grad()
def _step(scene: Scene, mesh: Mesh, task: StepTask) -> dict[str, float]:
    """One step in its parts."""
    estimator = SWEPT[task.estimator](task.samples, task.sigma * scene.pixel)
    cameras, reach = scene.views.cameras, scene.renderer.capabilities.reach_of(("alpha",))

    def noisy_mesh() -> Noisy:
        found = Noisy(mesh, cameras, estimator.noise.draw(Key(0), task.samples, mesh, cameras), "OpenGL", reach)
        found.vertices  # noqa: B018  it is computed when it is first asked for
        return found

    noisy, noise = _timed(noisy_mesh)
    with _timed_calls(painter, "pack") as uploads:
        rendering, render = _timed(lambda: render_views(scene.renderer, mesh, noisy.vertices, cameras, ("alpha",)))
    upload = sum(uploads)
    losses, loss = _timed(lambda: scene.pixel_loss(rendering))
    perturbed = Perturbation(rendering, noisy, camera_space(mesh, cameras), estimator)
    _, credit = _timed(lambda: perturbed.gradient(losses))
    return {"noise": noise, "upload": upload, "draw, read": render - upload, "loss": loss, "credit": credit}


def _timed(action: Callable[[], _Made]) -> tuple[_Made, float]:
    """What an action returns, and its milliseconds."""
    began = time.perf_counter()
    found = action()
    return found, 1000 * (time.perf_counter() - began)


@contextlib.contextmanager
def _timed_calls(module: ModuleType, name: str) -> Iterator[list[float]]:
    """The milliseconds of each call of a function of a module, where it is called from that module."""
    function, times = getattr(module, name), list[float]()

    def timed(*arguments: object) -> object:
        found, milliseconds = _timed(lambda: function(*arguments))
        times.append(milliseconds)
        return found

    with mock.patch.object(module, name, timed):
        yield times


def _whole(task: StepTask) -> None:
    """A step, in a process of its own."""
    scene, perturbed = _perturbed(task)
    perturbed.gradient(scene.pixel_loss(perturbed.rendering))


def _rendering(task: StepTask) -> Tensor:
    """The rendering and the loss of it alone."""
    scene, perturbed = _perturbed(task)
    return scene.pixel_loss(perturbed.rendering)


@torch.no_grad()
def _perturbed(task: StepTask) -> tuple[Scene, Perturbation]:
    scene = Scene.make(task.views, task.size)
    estimator = SWEPT[task.estimator](task.samples, task.sigma * scene.pixel)
    mesh = ball(task.subdivisions)
    return scene, perturb(scene.renderer, mesh, scene.views.cameras, ("alpha",), estimator, Key(0))
