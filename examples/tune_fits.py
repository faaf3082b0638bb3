"""Find the best samples, noise and rate of each estimator for a fit, on one grid; the benchmark of gradients uses them.

Every fit of the grid is the same fit of the bunny; the best is the one that reaches the intersection over union, on
views that are held out, after the fewest rendered images. A fit stops once it has rendered more than the best one of
its estimator: it could not win any more.
"""

import itertools
import math

import tyro

from benchmarks.gradients.fits import FitCase, FitScene, fit_until


def main(
    iou: float = 0.9,
    estimators: tuple[str, ...] = ("local_credit", "leave_one_out"),
    samples: tuple[int, ...] = (16, 4, 64),
    sigmas: tuple[float, ...] = (0.5, 1.0, 2.0),
    rates: tuple[float, ...] = (0.025, 0.2, 0.1, 0.05, 0.0125),
    budget: float = 200_000,
    seed: int = 100,
) -> None:
    """Print the whole grid.

    Args:
        iou: What is to be reached.
        estimators: Of `benchmarks.gradients.errors.ALL`.
        samples: K, of the grid.
        sigmas: Standard deviations of the noise in pixels, of the grid.
        rates: Learning rates as shares of the template's radius, of the grid.
        budget: Images that a fit may render at most.
        seed: Of the noise; not among those that the benchmark uses.
    """
    where = FitScene.make()
    for name in estimators:
        best, fewest = None, budget
        for task in itertools.starmap(FitCase, itertools.product([name], samples, sigmas, rates)):
            reached = fit_until(where, task, [iou], fewest, seed)[0]
            said = f"{reached.images:,.0f} images" if math.isfinite(reached.images) else f"not in {fewest:,.0f} images"
            print(f"{name}, K = {task.samples}, sigma {task.sigma:g} px, rate {task.rate:g}: {said}", flush=True)
            if reached.images < fewest:
                best, fewest = task, reached.images
        print(f"Best: {best}, {fewest:,.0f} images\n", flush=True)


if __name__ == "__main__":
    tyro.cli(main)
