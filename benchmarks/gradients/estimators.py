"""``python -m benchmarks gradients``: estimators of one gradient beside one another, and fits by them.

One objective: the sum of squared differences of alpha over 20 silhouettes of the bunny of 64 x 64 pixels, for a ball of
radius 0.6 whose vertices have normal noise along all axes; its gradient in the vertices. The noise has the same
standard deviation, in scene units, for all vertices and views: so many pixels at the ball's centre. (``Pixels`` would
give each view a law of its own, and estimators with shared noise another objective than those without.)
"""

import dataclasses
import math
from collections.abc import Iterator

from benchmarks.findings import Cell, Measurements, Results
from benchmarks.gradients.errors import ALL, CHECKED, SWEPT, Case, Comparer, bias_row
from benchmarks.gradients.fits import FitCase, FitScene, Reached, fit_row, median_fit
from benchmarks.gradients.scene import Scene
from benchmarks.gradients.steps import BOUND, StepTask, step_row
from benchmarks.timing import Comparison

_Rows = list[dict[str, Cell]]
_MIDDLE = Case(subdivisions=3, samples=16, sigma=1.0)
_CHECKED = Case(subdivisions=2, samples=16, sigma=1.0)


@dataclasses.dataclass(frozen=True)
class _Plan:
    """What is measured: one thing varies at a time, about the middle."""

    middle: Case = _MIDDLE
    subdivisions: tuple[int, ...] = (1, 2, 4)
    samples: tuple[int, ...] = (4, 8, 64)
    sigmas: tuple[float, ...] = (0.25, 0.5, 2.0, 4.0)
    checked: Case = _CHECKED
    views: int = 20
    held_out: int = 32
    size: int = 64
    # Tuned by examples/tune_fits.py, each estimator on the same grid.
    fits: tuple[tuple[float, FitCase, FitCase], ...] = (
        (0.9, FitCase("local_credit", 4, 0.5, 0.2), FitCase("leave_one_out", 16, 0.5, 0.025)),
        (0.95, FitCase("local_credit", 4, 0.5, 0.1), FitCase("leave_one_out", 16, 0.5, 0.025)),
    )
    budget: float = 200_000  # images that a fit renders at most


_PLAN = _Plan()
_LOCAL_FLOOR, _BEST_FLOOR, _FIT_FLOOR = 20.0, 200.0, 8.0
_STEPPED = (
    "leave_one_out",
    "local, noise shared by views",
    "local_credit",
    "local_credit, normals",
    "local_regression, normals",
)


def compare(rounds: int) -> Results:
    """Errors, biases, the time and memory of a step, and fits."""
    scene = Scene.make(_PLAN.views, _PLAN.size)
    comparer = Comparer(scene, rounds)
    # Calls of leave_one_out differ much in size: it takes many to judge ratios.
    middle = [comparer.row(_PLAN.middle, name, max(4, 8 * rounds)) for name in ALL]
    swept = [comparer.row(case, name, max(4, 16 * rounds // case.samples)) for case in _sweeps() for name in SWEPT]
    few = max(4, 6 * rounds)
    biases: _Rows = [bias_row(scene, _PLAN.checked, name, few) for name in CHECKED]
    steps: _Rows = [step_row(_task(name), rounds) for name in _STEPPED]
    fits, fitted = _fits(max(1, rounds // 3))
    tables = [
        Measurements(title="Relative squared error of one call", rows=middle, note=_ERRORS_NOTE),
        Measurements(title="The same, one thing varied at a time", rows=swept),
        Measurements(title=f"Bias along the gradient, {_PLAN.checked}", rows=biases, note=_BIAS_NOTE),
        Measurements(title="Milliseconds of a step", rows=steps, note=_STEPS_NOTE),
        Measurements(title="Fits to a held-out IoU", rows=fits, note=_FITS_NOTE),
    ]
    return Results(comparisons=[*_error_ratios(middle), *fitted], tables=tables)


_ERRORS_NOTE = (
    "error: E|g_hat - g|^2 / |g|^2 against the gradient of noise along all axes. variance: the same against the "
    "estimator's own mean, as other noise smooths another law. kept: the squared norm of that mean, as a share of "
    "|g|^2; cosine: between them; both without the noise of the means, and '-' where that hides them. +-: standard "
    "errors. Equal K is equal renders; error x s compares at equal seconds."
)
_BIAS_NOTE = "Against central differences of the loss smoothed by the estimator's own noise, its standard error beside."
_STEPS_NOTE = (
    f"credit is the estimator's own work, which is to take less than {BOUND:g} ms on two idle cores. upload: vertices "
    "to clip space, in one array; the copy into buffers counts as drawing. memory: the peak beyond rendering and loss, "
    "in copies of the images as float32."
)
_FITS_NOTE = "Median over seeds; images and seconds are those of the steps, not of the measurement of the IoU."


def _sweeps() -> Iterator[Case]:
    for subdivisions in _PLAN.subdivisions:
        yield _PLAN.middle._replace(subdivisions=subdivisions)
    for samples in _PLAN.samples:
        yield _PLAN.middle._replace(samples=samples)
    for sigma in _PLAN.sigmas:
        yield _PLAN.middle._replace(sigma=sigma)


def _task(name: str) -> StepTask:
    middle = _PLAN.middle
    return StepTask(name, middle.subdivisions, middle.samples, middle.sigma, _PLAN.views, _PLAN.size)


def _error_ratios(rows: _Rows) -> list[Comparison]:
    errors = {str(row["estimator"]): float(row["error"] or math.nan) for row in rows}
    best = min(errors, key=lambda name: errors[name])
    judged = (("local, noise shared by views", _LOCAL_FLOOR), (best, _BEST_FLOOR))
    return [
        Comparison(
            1 / errors[name],
            1 / errors["leave_one_out"],
            case=name if floor == _LOCAL_FLOOR else f"the best: {name}",
            unit="1 / relative squared error",
            peer="leave_one_out",
            floor=floor,
        )
        for name, floor in judged
    ]


def _fits(seeds: int) -> tuple[_Rows, list[Comparison]]:
    where = FitScene.make(_PLAN.views, _PLAN.held_out, _PLAN.size, _PLAN.middle.subdivisions)
    rows: _Rows = []
    comparisons = []
    for target, ours, theirs in _PLAN.fits:
        found = [median_fit(where, task, target, _PLAN.budget, range(seeds)) for task in (ours, theirs)]
        rows += [fit_row(task, target, reached) for task, reached in zip((ours, theirs), found, strict=True)]
        comparisons.append(_fit_ratio(target, ours, theirs, *found))
    return rows, comparisons


def _fit_ratio(target: float, ours: FitCase, theirs: FitCase, first: Reached, second: Reached) -> Comparison:
    missed = f"{theirs.estimator} did not get there in {_PLAN.budget:,.0f} images: the ratio is a lower bound"
    return Comparison(
        1e6 / first.images,
        1e6 / min(second.images, _PLAN.budget),
        case=f"fit to an IoU of {target:g}, {ours.estimator}",
        unit="fits a million images",
        peer=theirs.estimator,
        floor=_FIT_FLOOR if target == _PLAN.fits[0][0] else None,
        note="" if math.isfinite(second.images) else missed,
    )
