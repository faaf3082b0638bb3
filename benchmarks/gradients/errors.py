"""How far estimates of one gradient are from it, what part of it they keep, and whether they are biased."""

import dataclasses
import functools
import math
import time
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple, final

import torch
from torch import Tensor

from benchmarks.findings import Cell
from benchmarks.gradients.scene import Scene, ball
from render3d.estimators import (
    Antithetic,
    Estimator,
    Gaussian,
    LeaveOneOut,
    Paired,
    Rings,
    Smoothed,
    antithetic,
    check_gradient,
    leave_one_out,
    local_credit,
    local_regression,
    reinforce,
    spsa,
)
from render3d.randomness import Key
from render3d.scenes import Mesh

Make = Callable[[int, float], Estimator]
"""An estimator of so many samples and noise of that standard deviation, scene units."""


def shared_rings(samples: int, scale: float) -> Estimator:
    """Local credit whose noise is shared by the views."""
    return Estimator(samples=samples, noise=Gaussian(scale=scale), support=Rings(), signal=LeaveOneOut())


def antithetic_normals(samples: int, scale: float) -> Estimator:
    """Local credit of opposite pairs along normals."""
    noise = Antithetic(Gaussian(scale=scale, along="normals", per_view=True))
    return Estimator(samples=samples, noise=noise, support=Rings(), signal=Paired())


def no_estimator(samples: int, scale: float) -> None:
    """The gradient of edges takes no noise."""


SWEPT: Mapping[str, Make] = {
    "leave_one_out": leave_one_out,
    "local, noise shared by views": shared_rings,
    "local_credit": local_credit,
    "local_credit, screen": functools.partial(local_credit, along="screen"),
    "local_credit, normals": functools.partial(local_credit, along="normals"),
    "local_regression, normals": local_regression,
}
ALL: Mapping[str, Callable[[int, float], Estimator | None]] = {
    "reinforce": reinforce,
    "edges": no_estimator,
    **SWEPT,
    "antithetic": antithetic,
    "spsa": spsa,
    "local antithetic, normals": antithetic_normals,
}
CHECKED: Mapping[str, Make] = {**SWEPT, "local antithetic, normals": antithetic_normals}
_REFERENCE_SAMPLES = 16


class Case(NamedTuple):
    """Where estimators are compared."""

    subdivisions: int
    samples: int
    sigma: float  # pixels at the centre of the template


@final
@dataclasses.dataclass(frozen=True)
class Moments:
    """Independent calls of an estimator, ``[calls, D]``, and statistics of them without the noise of their mean."""

    gradients: Tensor

    def squared_norm(self) -> float:
        """Of the mean: over pairs of different calls, whose noise is independent, so that none of it is counted."""
        calls = len(self.gradients)
        total = self.gradients.sum(0).square().sum() - self.gradients.square().sum()
        return float(total / (calls * (calls - 1)))

    def one_left_out(self) -> Iterator["Moments"]:
        """All calls but the first, all but the second, and so on."""
        for call in range(len(self.gradients)):
            yield Moments(torch.cat([self.gradients[:call], self.gradients[call + 1 :]]))


class Quality(NamedTuple):
    """How estimates compare with a reference.

    Attributes:
        error: ``E|g_hat - g|^2 / |g|^2`` of one call.
        variance: ``tr Cov / |E g_hat|^2``: the same against the estimator's own mean.
        kept: ``|E g_hat|^2 / |g|^2``.
        cosine: Between ``E g_hat`` and g.
    """

    error: float
    variance: float
    kept: float
    cosine: float


def quality(estimates: Moments, reference: Moments) -> Quality:
    """The noise of both means is left out: each product is one of independent calls."""
    own, true = estimates.squared_norm(), reference.squared_norm()
    product = float(estimates.gradients.mean(0) @ reference.gradients.mean(0))
    size = float(estimates.gradients.square().sum(1).mean())
    return Quality(
        error=(size - 2 * product + true) / true,
        variance=(size - own) / own if own > 0 else math.nan,
        kept=own / true,
        cosine=product / math.sqrt(own * true) if own > 0 and true > 0 else math.nan,
    )


def jackknife(estimates: Moments, reference: Moments) -> Quality:
    """Standard errors of `quality`, from leaving out one call after the other, of the estimator and the reference."""
    of_estimates = [quality(part, reference) for part in estimates.one_left_out()]
    of_reference = [quality(estimates, part) for part in reference.one_left_out()]
    variance = sum((len(parts) - 1) * _variance(parts) for parts in (of_estimates, of_reference))
    assert isinstance(variance, Tensor)
    return Quality(*variance.sqrt().tolist())


def _variance(parts: list[Quality]) -> Tensor:
    return torch.tensor(parts, dtype=torch.float64).var(0, correction=0)


@final
class Comparer:
    """Measures estimators in `Case`s, each against a reference of calls of its own.

    The reference is the mean of ``local_credit``, which is unbiased for noise along all axes; that it is, the table of
    biases shows against central differences, which share no code with it.
    """

    def __init__(self, scene: Scene, rounds: int) -> None:
        self.scene, self.rounds = scene, rounds
        self._references: dict[tuple[int, float], Moments] = {}

    def row(self, case: Case, name: str, calls: int) -> dict[str, Cell]:
        """One estimator's figures, from so many calls."""
        mesh, scale = ball(case.subdivisions), case.sigma * self.scene.pixel
        estimator = ALL[name](case.samples, scale)
        estimates, seconds = self._calls(mesh, estimator, calls, Key(1))
        found, errors = (
            measure(estimates, self._reference(case.subdivisions, case.sigma)) for measure in (quality, jackknife)
        )
        known = errors.kept < 0.25  # else the length of the mean is lost in noise
        return {
            "estimator": name,
            "vertices": float(mesh.vertices.shape[0]),
            "K": 1.0 if estimator is None else float(case.samples),
            "sigma, px": case.sigma,
            "error": found.error,
            "error +-": errors.error,
            "variance": found.variance if known else None,
            "kept": found.kept if known else None,
            "kept +-": errors.kept if known else None,
            "cosine": found.cosine if known else None,
            "cosine +-": errors.cosine if known else None,
            "ms a call": 1000 * seconds,
            "error x s": found.error * seconds,
            "calls": float(calls),
        }

    def _reference(self, subdivisions: int, sigma: float) -> Moments:
        key = subdivisions, sigma
        if key not in self._references:
            estimator = local_credit(_REFERENCE_SAMPLES, sigma * self.scene.pixel)
            self._references[key], _ = self._calls(ball(subdivisions), estimator, max(6, 3 * self.rounds), Key(2))
        return self._references[key]

    def _calls(self, mesh: Mesh, estimator: Estimator | None, calls: int, key: Key) -> tuple[Moments, float]:
        """Independent calls, and the seconds of the quickest."""
        gradients, seconds = [], []
        for call in range(calls):
            began = time.perf_counter()
            gradients.append(self.scene.gradient(mesh, estimator, key.fold_in(call)))
            seconds.append(time.perf_counter() - began)
        return Moments(torch.stack(gradients).double().flatten(1)), min(seconds)


def bias_row(scene: Scene, case: Case, name: str, calls: int) -> dict[str, Cell]:
    """The bias of one estimator along its own law's gradient, by `check_gradient`: central differences."""
    smoothed = Smoothed(scene.renderer, CHECKED[name](case.samples, case.sigma * scene.pixel))
    report = check_gradient(
        smoothed,
        ball(case.subdivisions),
        scene.views.cameras,
        scene.pixel_loss,
        calls=calls,
        random_directions=0,
        generator=Key(3),
    )
    return {
        "estimator": name,
        "bias, %": 100 * report.relative_bias,
        "bias +-, %": 100 * report.relative_bias_error,
        "z": report.directions[0].z,
        "calls": float(calls),
    }
