"""One fit by two kinds of gradient: through OpenGL by an estimator, and through PyTorch3D's soft silhouettes.

Views, template, preconditioner, optimiser and loss are the same: the ball of 642 vertices becomes the bunny in 20
silhouettes of 64 x 64 pixels. PyTorch3D's sigma, faces per pixel and rate are tuned on a grid first, as noise, samples
and rate of the estimator are by ``tune_fits.py``: a fit stops once it has taken longer than the best one. The grid
takes hours, so it is measured in seconds of the processor, in which other work on the machine does not count; the two
fits after it are measured by the clock.

It needs PyTorch3D, which is installed as its own project says.
"""

import itertools
import math
import time
from collections.abc import Callable

import torch
import tyro
from torch import Tensor

from benchmarks.gradients.fits import FitCase, FitScene, Reached, descend, fit_until
from benchmarks.gradients.scene import ball
from render3d import Mesh, Shading
from render3d.renderers import PyTorch3D, SoftEdges


def main(
    iou: float = 0.9,
    then: tuple[float, ...] = (0.93, 0.95),
    sigmas: tuple[float, ...] = (1e-4, 1e-3, 1e-5),
    faces: tuple[int, ...] = (10, 5, 25),
    rates: tuple[float, ...] = (0.1, 0.05, 0.2, 0.025),
    patience: float = 300,
) -> None:
    """Print the grid, the time of a step, and both fits.

    Args:
        iou: What is to be reached on held-out views when settings are tuned.
        then: What the best settings are to reach after that.
        sigmas: Softness of PyTorch3D's edges, of the grid.
        faces: Faces per pixel, of the grid.
        rates: Learning rates as shares of the template's radius, of the grid.
        patience: Seconds that a fit may take at most: of the processor in the grid, by the clock after it.
    """
    where = FitScene.make()
    best, quickest = None, patience
    for sigma, count, rate in itertools.product(sigmas, faces, rates):
        soft = SoftEdges(sigma=sigma, faces_per_pixel=count)
        reached = _soft_fit(where, soft, rate, [iou], quickest, time.process_time)[0]
        said = _seconds(reached) if math.isfinite(reached.seconds) else f"not in {quickest:.1f} s"
        print(f"sigma {sigma:g}, {count} faces per pixel, rate {rate:g}: {said}", flush=True)
        if reached.seconds < quickest:
            best, quickest = (soft, rate), reached.seconds
    if best is None:
        raise SystemExit(f"No setting reached an IoU of {iou} in {patience:.0f} s: raise --patience.")
    print(f"Best: {best[0]}, rate {best[1]:g}")
    _print_step(where, best[0])
    for name, fit in {
        "PyTorch3D": lambda: _soft_fit(where, best[0], best[1], [iou, *then], patience, time.perf_counter),
        "OpenGL, local_credit": lambda: fit_until(
            where, FitCase("local_credit", 4, 0.5, 0.1), [iou, *then], 2e5, seed=0
        ),
    }.items():
        found = zip([iou, *then], fit(), strict=True)
        print(f"{name}: " + "; ".join(f"IoU {level:g} after {_seconds(each)}" for level, each in found))


def _soft_fit(
    where: FitScene, soft: SoftEdges, rate: float, targets: list[float], patience: float, clock: Callable[[], float]
) -> list[Reached]:
    loss = _loss(where, soft)

    def gradient(mesh: Mesh, step: int) -> Tensor:
        vertices = mesh.vertices.clone().requires_grad_()
        return torch.autograd.grad(loss(mesh.with_vertices(vertices)), vertices)[0]

    return descend(where, gradient, rate, len(where.scene.views), targets, math.inf, patience, clock)


def _loss(where: FitScene, soft: SoftEdges) -> Callable[[Mesh], Tensor]:
    renderer, scene = PyTorch3D(Shading(), soft), where.scene
    return lambda mesh: scene.pixel_loss(renderer(mesh, scene.views.cameras, ("alpha",))).sum()


def _print_step(where: FitScene, soft: SoftEdges) -> None:
    """How long a step of the soft fit takes, and how much of it is the forward pass."""
    loss, mesh = _loss(where, soft), ball(where.subdivisions)
    vertices = mesh.vertices.clone().requires_grad_()
    forward, whole = [], []
    for _ in range(3):
        began = time.perf_counter()
        value = loss(mesh.with_vertices(vertices))
        forward.append(time.perf_counter() - began)
        torch.autograd.grad(value, vertices)
        whole.append(time.perf_counter() - began)
    print(f"A step of PyTorch3D: {min(whole):.2f} s, of which forward {min(forward):.2f} s")


def _seconds(reached: Reached) -> str:
    return f"{reached.seconds:.1f} s, {reached.images:,.0f} images" if math.isfinite(reached.seconds) else "not reached"


if __name__ == "__main__":
    tyro.cli(main)
