"""Prints updates a second of `primitives`, T = 12, by how kernels are started and by how many processes share a GPU.

python docs/figures/training_speed.py [PROCESSES]
"""

import dataclasses
import sys
import time
from multiprocessing import get_context
from pathlib import Path

import torch

from render3d.models.recipes.volumes import primitives
from render3d.models.training.distributed import World
from render3d.models.training.loop import TrainingRun

SECONDS, TO_START = 5.0, 30.0


def begin(precision: str = "float32") -> TrainingRun:
    """A run that has not done a step."""
    recipe = primitives()
    training = dataclasses.replace(recipe.training, precision=precision)
    return TrainingRun(dataclasses.replace(recipe, training=training), Path(), World())


def rate(run: TrainingRun, seconds: float = SECONDS) -> float:
    """Steps a second, after some."""
    for _ in range(5):
        run.update()
    start, steps = time.perf_counter(), 0
    while time.perf_counter() - start < seconds:
        run.update()
        steps += 1
    return steps / (time.perf_counter() - start)


def of_one() -> None:
    """One process, in each way."""
    for precision in ("float32", "bfloat16"):
        for graphs in (False, True):
            run = begin(precision)
            if graphs and not run.in_graphs:
                continue  # there is no GPU
            run.in_graphs = graphs
            print(f"{precision}, {'one graph' if run.in_graphs else 'kernel by kernel'}: {rate(run):.1f} updates/s")
    run = begin()
    run.model.free_energy = torch.compile(run.model.free_energy, dynamic=False)
    start = time.perf_counter()
    run.update()
    print(f"float32, compiled: first update {time.perf_counter() - start:.0f} s, then {rate(run):.1f} updates/s")


def of_many(start: float) -> float:
    """One of many processes, which are all under way from ``start`` on."""
    run = begin()
    while time.time() < start:
        run.update()
    return rate(run)


if __name__ == "__main__":
    if len(sys.argv) < 2:
        of_one()
    else:
        count = int(sys.argv[1])
        with get_context("spawn").Pool(count) as pool:
            rates = pool.map(of_many, [time.time() + TO_START] * count, chunksize=1)
        print(f"{count} processes: {sum(rates):.0f} updates/s")
