"""``python -m benchmarks duel``: gradients of the package beside published ones, rebuilt from their papers.

Per-pixel credit after Deliot, Heitz and Belcour (2024), on the objective of ``python -m benchmarks gradients``: the
error of one call, and fits, each at its best rate. And pairs of Rayleigh steps after Fischer and Ritschel (2023), on a
task like theirs: a ball whose two coordinates are sought and whose image does not overlap what is to be matched.
"""

import dataclasses
import math
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Generator, Tensor

from benchmarks.duel.rebuilt import per_pixel_credit, rayleigh_pairs
from benchmarks.findings import Cell, Measurements, Results
from benchmarks.gradients.errors import Moments, antithetic_normals, jackknife, quality
from benchmarks.gradients.fits import FitScene, Reached, descend
from benchmarks.gradients.scene import Scene, ball
from render3d.cameras import Cameras
from render3d.estimators import (
    Antithetic,
    ControlVariate,
    Estimator,
    Gaussian,
    Paired,
    Rings,
    differentiable,
    local_credit,
)
from render3d.images import Rendering
from render3d.randomness import Key, standard_normal
from render3d.renderers import OpenGL
from render3d.scenes import Mesh

Gradient = Callable[[Scene, Mesh, Key], Tensor]
_Row = dict[str, Cell]


class Contender(NamedTuple):
    """A gradient and how many times a call renders each view."""

    gradient: Gradient
    renders: int


@dataclasses.dataclass(frozen=True)
class Plan:
    """How much is measured."""

    size: int = 64
    subdivisions: int = 3
    sigma: float = 1.0  # pixels
    targets: tuple[float, ...] = (0.9, 0.95)
    rates: tuple[float, ...] = (0.05, 0.1)
    budget: float = 12_000  # images
    fitted: tuple[str, ...] = ("per-pixel credit (rebuilt)", "local pairs", "local_credit, K = 4", "edges")
    balls: int = 10  # starts of the task of two numbers
    updates: int = 400


PLAN = Plan()


def compare(rounds: int) -> Results:
    """Errors, fits, and the task of two numbers."""
    where = FitScene.make(size=PLAN.size, subdivisions=PLAN.subdivisions)
    seeds = range(max(1, rounds // 3))
    tables = [
        Measurements(title="Error of one call", rows=_errors(where.scene, max(4, 4 * rounds)), note=_ERRORS_NOTE),
        Measurements(title="Fits to a held-out IoU", rows=_fits(where, seeds), note=_FITS_NOTE),
        Measurements(title="A ball beside what is to be matched", rows=_balls(), note=_BALLS_NOTE),
    ]
    return Results(comparisons=[], tables=tables)


_ERRORS_NOTE = (
    "E|g_hat - g|^2 / |g|^2, kept and cosine as in 'python -m benchmarks gradients': g is the gradient of the loss "
    "smoothed by normal noise of 1 pixel. That of edges is of the sharp image: what differs from g counts as error."
)
_FITS_NOTE = "At the best of two rates; images and seconds, medians over seeds; '-': not in the budget of images."
_BALLS_NOTE = (
    "One pair a step, 400 steps of Adam, sigma from 0.5 to 0.01 as they have it. Arrived: within 0.02 of the place."
)


def contenders(sigma: float) -> Mapping[str, Contender]:
    """What is compared, with noise or steps of ``sigma`` scene units."""
    noise = Antithetic(Gaussian(scale=sigma, per_view=True))
    pairs = Estimator(samples=2, noise=noise, support=Rings(), signal=Paired())
    estimated = {
        "local pairs": pairs,
        "local pairs, normals": antithetic_normals(2, sigma),
        "local_credit, K = 2": local_credit(2, sigma),
        "local_credit, K = 4": local_credit(4, sigma),
        "local_credit, K = 16": local_credit(16, sigma),
        "local_credit, edges taken off, K = 4": _with_edges_taken_off(4, sigma),
        "local_credit, edges taken off, K = 16": _with_edges_taken_off(16, sigma),
    }
    found = {"per-pixel credit (rebuilt)": Contender(_credited(sigma), 2)}
    found |= {name: Contender(_estimated(each), each.samples) for name, each in estimated.items()}
    found["edges of 4 noisy meshes"] = Contender(_edges_of_noisy_meshes(4, sigma), 4)
    return found | {"edges": Contender(_estimated(None), 1)}


def _credited(step: float) -> Gradient:
    def gradient(scene: Scene, mesh: Mesh, key: Key) -> Tensor:
        return per_pixel_credit(scene.renderer, mesh, scene.views.cameras, scene.pixel_loss, step, key)

    return gradient


def _estimated(estimator: Estimator | None) -> Gradient:
    return lambda scene, mesh, key: scene.gradient(mesh, estimator, key)


def _with_edges_taken_off(samples: int, sigma: float) -> Estimator:
    """Local credit of what the gradient of edges leaves unexplained of each sample, and that gradient itself."""
    control = ControlVariate(differentiable(OpenGL(), "edges"))
    noise = Gaussian(scale=sigma, per_view=True)
    return Estimator(samples=samples, noise=noise, support=Rings(), signal=control)


def _edges_of_noisy_meshes(samples: int, sigma: float) -> Gradient:
    """The mean of their gradients, each view of a noisy mesh of its own."""

    def gradient(scene: Scene, mesh: Mesh, key: Key) -> Tensor:
        views = len(scene.views)
        noise = sigma * standard_normal(key, samples, 1, (views, *mesh.vertices.shape))[:, 0]
        vertices = mesh.vertices.clone().requires_grad_()
        noisy = mesh.with_vertices(vertices + noise)
        seen = differentiable(scene.renderer, "edges")(noisy, scene.views.cameras[:, None], ("alpha",))
        loss = scene.pixel_loss(Rendering({"alpha": seen.alpha.squeeze(2)})).sum() / samples
        return torch.autograd.grad(loss, vertices)[0]

    return gradient


def _errors(scene: Scene, calls: int) -> list[_Row]:
    mesh, sigma = ball(PLAN.subdivisions), PLAN.sigma * scene.pixel
    reference, _ = _calls(Contender(_estimated(local_credit(16, sigma)), 16), scene, mesh, calls, Key(2))
    rows: list[_Row] = []
    for name, contender in contenders(sigma).items():
        estimates, seconds = _calls(contender, scene, mesh, calls, Key(1))
        found, errors = (measure(estimates, reference) for measure in (quality, jackknife))
        rows.append(
            {
                "gradient": name,
                "error": found.error,
                "error +-": errors.error,
                "kept": found.kept,
                "cosine": found.cosine,
                "cosine +-": errors.cosine,
                "renders": float(contender.renders),
                "ms": 1000 * seconds,
                "error x renders": found.error * contender.renders,
                "error x s": found.error * seconds,
            }
        )
    return rows


def _calls(contender: Contender, scene: Scene, mesh: Mesh, calls: int, key: Key) -> tuple[Moments, float]:
    """Independent calls, and the median of their seconds."""
    gradients, seconds = [], []
    for call in range(calls):
        began = time.perf_counter()
        gradients.append(contender.gradient(scene, mesh, key.fold_in(call)))
        seconds.append(time.perf_counter() - began)
    return Moments(torch.stack(gradients).double().flatten(1)), statistics.median(seconds)


def _fits(where: FitScene, seeds: Sequence[int]) -> list[_Row]:
    rows: list[_Row] = []
    all_of_them = contenders(PLAN.sigma * where.scene.pixel)
    for name, contender in ((name, all_of_them[name]) for name in PLAN.fitted):
        by_rate = {rate: [_fit(where, contender, rate, seed) for seed in seeds] for rate in PLAN.rates}
        for number, target in enumerate(PLAN.targets):
            medians = {rate: _median([fit[number] for fit in fits]) for rate, fits in by_rate.items()}
            rate = min(medians, key=lambda each: medians[each])
            best = medians[rate]
            known = math.isfinite(best.images)
            rows.append(
                {
                    "gradient": name,
                    "IoU": target,
                    "rate": rate if known else None,
                    "images": best.images if known else None,
                    "seconds": best.seconds if known else None,
                }
            )
    return rows


def _median(reached: Sequence[Reached]) -> Reached:
    return Reached(*(statistics.median(values) for values in zip(*reached, strict=True)))


def _fit(where: FitScene, contender: Contender, rate: float, seed: int) -> list[Reached]:
    def gradient(mesh: Mesh, update: int) -> Tensor:
        return contender.gradient(where.scene, mesh, Key(seed).fold_in(update))

    images = contender.renders * len(where.scene.views)
    return descend(where, gradient, rate, images, PLAN.targets, PLAN.budget)


# Two numbers


def _balls() -> list[_Row]:
    laws: Mapping[str, Callable[..., Tensor]] = {
        "Rayleigh pairs (rebuilt)": rayleigh_pairs,
        "normal pairs": _normal_pairs,
        "edges": _slope_of_edges,
    }
    rows: list[_Row] = []
    for name, law in laws.items():
        ends = [_descended(law, seed) for seed in range(PLAN.balls)]
        rows.append(
            {
                "gradient": name,
                "arrived": f"{sum(end < 0.02 for end in ends)} of {len(ends)}",
                "distance at the end, median": statistics.median(ends),
                "the largest": max(ends),
            }
        )
    return rows


def _normal_pairs(function: Callable[[Tensor], Tensor], at: Tensor, sigma: float, random: Generator) -> Tensor:
    """Pairs of normal noise, as of `render3d.estimators.antithetic`."""
    step = sigma * torch.randn(at.shape, generator=random)
    ahead, behind = function(torch.stack([at + step, at - step]))
    slope: Tensor = (ahead - behind) / 2 * step / sigma**2
    return slope


def _slope_of_edges(function: Callable[[Tensor], Tensor], at: Tensor, sigma: float, random: Generator) -> Tensor:
    place = at[None].clone().requires_grad_()
    with torch.enable_grad():
        return torch.autograd.grad(function(place).sum(), place)[0][0]


@torch.no_grad()
def _descended(law: Callable[..., Tensor], seed: int) -> float:
    """How far from its place a ball ends."""
    random = Generator().manual_seed(seed)
    body, camera = Mesh.icosphere(2, radius=0.25), Cameras.look_at((0.0, 0, 4), (0.0, 0, 0), image_size=(48, 64))
    sharp, smooth = OpenGL(), differentiable(OpenGL(), "edges")
    angle = 2 * math.pi * torch.rand((), generator=random)
    goal = 0.6 * torch.stack([angle.cos(), angle.sin()])
    target = sharp(_at(body, goal[None]), camera, ("alpha",)).alpha

    def loss(places: Tensor) -> Tensor:
        renderer = smooth if places.requires_grad else sharp
        return (renderer(_at(body, places), camera, ("alpha",)).alpha - target).square().mean((-1, -2, -3, -4))

    place = (-goal).requires_grad_()
    adam = torch.optim.Adam([place], lr=2e-2)
    for update in range(PLAN.updates):
        late = max(0.0, 2 * update / PLAN.updates - 1)  # the second half
        place.grad = law(loss, place.detach(), 0.5 * 0.02**late, random)
        adam.step()
    return float((place - goal).norm())


def _at(body: Mesh, places: Tensor) -> Mesh:
    """``[N]`` meshes at ``places`` ``[N, 2]``."""
    shifts = torch.cat([places, torch.zeros_like(places[:, :1])], -1)
    return body.with_vertices(body.vertices + shifts[:, None])
