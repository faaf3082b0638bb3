"""How many renderings a fit takes, by the gradients of one estimator and another."""

import dataclasses
import math
import statistics
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

from torch import Tensor

from benchmarks.findings import Cell
from benchmarks.gradients.errors import ALL
from benchmarks.gradients.scene import RADIUS, Scene, ball
from render3d.fitting import Adam, SmoothCoordinates, TemplateFitSettings, mean_iou
from render3d.randomness import Key
from render3d.scenes import Mesh
from render3d.view_sets import ViewSet


class FitCase(NamedTuple):
    """What a fit can choose: it stays the same over its steps."""

    estimator: str
    samples: int
    sigma: float  # pixels
    rate: float  # share of the template's radius, as `TemplateFitSettings.learning_rate`


class Reached(NamedTuple):
    """When a fit reached an intersection over union on held-out views; infinite if it did not."""

    images: float
    seconds: float


@dataclasses.dataclass(frozen=True)
class FitScene:
    """Views that are fitted and views that are not, and the template."""

    scene: Scene
    held_out: ViewSet
    subdivisions: int = 3

    @classmethod
    def make(cls, views: int = 20, held_out: int = 32, size: int = 64, subdivisions: int = 3) -> "FitScene":
        """Views from all round, every few of which are fitted."""
        whole = Scene.make(views + held_out, size)
        fitted, rest = whole.views.split(held_out)
        return cls(Scene(whole.renderer, fitted), rest, subdivisions)


def fit_until(where: FitScene, task: FitCase, targets: Sequence[float], budget: float, seed: int) -> list[Reached]:
    """`descend` along an estimator's gradients."""
    scene = where.scene
    estimator = ALL[task.estimator](task.samples, task.sigma * scene.pixel)

    def gradient(mesh: Mesh, step: int) -> Tensor:
        return scene.gradient(mesh, estimator, Key(seed).fold_in(step))

    return descend(where, gradient, task.rate, task.samples * len(scene.views), targets, budget)


def descend(
    where: FitScene,
    gradient: Callable[[Mesh, int], Tensor],
    rate: float,
    images: int,
    targets: Sequence[float],
    budget: float,
    patience: float = math.inf,
    clock: Callable[[], float] = time.perf_counter,
) -> list[Reached]:
    """Fit the ball until the IoU reaches the last of the rising ``targets``, or there are images or time no more.

    The IoU is measured after every step, on held-out views, and neither its images nor its seconds count.

    Args:
        where: Views and template.
        gradient: Of the loss in the vertices ``[V, 3]``, at a mesh and a step.
        rate: Of learning, as a share of the template's radius.
        images: That a step renders.
        targets: Of the IoU.
        budget: Images at most.
        patience: Seconds after which no further step is begun.
        clock: Tells the seconds.
    """
    template = ball(where.subdivisions)
    coordinates = SmoothCoordinates(template.faces, len(template.vertices), TemplateFitSettings().smoothness)
    state = Adam.start(coordinates.from_vertices(template.vertices), uniform=True)
    reached: list[Reached] = []
    rendered, seconds = 0.0, 0.0
    while len(reached) < len(targets) and rendered + images <= budget and seconds < patience:
        began = clock()
        mesh = template.with_vertices(coordinates.to_vertices(state.parameters))
        state = state.step(coordinates.solve(gradient(mesh, state.count)), rate * RADIUS)
        seconds, rendered = seconds + clock() - began, rendered + images
        fitted = template.with_vertices(coordinates.to_vertices(state.parameters))
        iou = mean_iou(where.scene.renderer, fitted, where.held_out)
        while len(reached) < len(targets) and iou >= targets[len(reached)]:
            reached.append(Reached(rendered, seconds))
    return reached + [Reached(math.inf, math.inf)] * (len(targets) - len(reached))


def median_fit(where: FitScene, task: FitCase, target: float, budget: float, seeds: Sequence[int]) -> Reached:
    """The median over seeds."""
    found = [fit_until(where, task, [target], budget, seed)[0] for seed in seeds]
    return Reached(*(statistics.median(values) for values in zip(*found, strict=True)))


def fit_row(task: FitCase, target: float, reached: Reached) -> dict[str, Cell]:
    """A row of the table of fits."""
    return {
        "estimator": task.estimator,
        "IoU": target,
        "K": float(task.samples),
        "sigma, px": task.sigma,
        "rate": task.rate,
        "images": reached.images if math.isfinite(reached.images) else None,
        "seconds": reached.seconds if math.isfinite(reached.seconds) else None,
    }
