"""``python -m benchmarks train``: training steps a second, what they are spent on, and whether memory grows with them.

The recipes are the package's own, and steps are those of `render3d train`. An operation of the backward pass counts for
what its forward counterpart was done for.
"""

import math
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from torch.autograd.profiler_util import FunctionEvent
from torch.profiler import ProfilerActivity, profile

from benchmarks.findings import Cell, Measurements, Results
from render3d.comparison.costs import peak_memory, rate
from render3d.models.base import Precision, TrainSettings
from render3d.models.parts.sequential import REGION as PROJECTION
from render3d.models.recipes import RECIPES
from render3d.models.training.distributed import World
from render3d.models.training.loop import TrainingRun, train
from render3d.spatial import REGION as SPATIAL_TRANSFORMER

TIMED = ("primitives", "mnist3d", "multiview", "meshes")
PRECISIONS: tuple[Precision, ...] = ("float32", "bfloat16")
_SHARES = {"data": "data", "rendering": PROJECTION, "VST": SPATIAL_TRANSFORMER}
_FEW, _MANY = 10, 60  # steps, after which the peak of memory is read
_BACKWARD = "autograd::engine::evaluate_function"


def compare(rounds: int) -> Results:
    """Rates, shares and memory of every recipe."""
    rows = [_row(name, precision, rounds) for name in TIMED for precision in PRECISIONS]
    return Results(comparisons=[], tables=[Measurements(title="Training", rows=rows, note=_NOTE)])


_NOTE = (
    "Steps of one process with the batch of the recipe, the best of the rounds; where there is a GPU, as CUDA graphs "
    "where the recipe can be one, and kernel by kernel. Shares of the time of the latter in %, forward and backward: "
    "making data; rendering, the likelihood included; the volumetric spatial transformer (VST) outside of that; all "
    f"else. MiB: the peak of a process that trains for {_FEW} and for {_MANY} steps."
)


def _row(name: str, precision: Precision, rounds: int) -> dict[str, Cell]:
    run = _start(name, precision)
    first = rate(run.update, 1, 0.0)
    steps = max(first, *(rate(run.update, 1, 0.5) for _ in range(max(1, rounds))))
    rates: dict[str, Cell] = {"steps/s": steps}
    run.in_graphs = False  # in a graph, nothing tells what a kernel is for
    spent = shares(run)
    if run.world.device.type == "cuda":
        rates["kernel by kernel"] = max(rate(run.update, 1, 0.5) for _ in range(max(1, rounds)))
    memory: dict[str, Cell] = {
        f"MiB, {count} steps": peak_memory(_train, name, precision, count) for count in (_FEW, _MANY)
    }
    return {"recipe": name, "precision": precision, **rates, **spent, **memory}


def _start(name: str, precision: Precision) -> TrainingRun:
    return TrainingRun(RECIPES.load(name)(training=TrainSettings(precision=precision)), Path(), World())


def _train(name: str, precision: Precision, steps: int) -> None:
    with TemporaryDirectory() as folder:
        settings = TrainSettings(precision=precision, updates=steps, validation_examples=1)
        train(RECIPES.load(name)(training=settings), Path(folder))


def shares(run: TrainingRun, steps: int = 3) -> dict[str, Cell]:
    """What the time of a run's next steps is spent on, in %."""
    run.update()
    on_gpu = run.world.device.type == "cuda"
    kinds = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if on_gpu else [])]
    with profile(activities=kinds) as profiler, torch.profiler.record_function("steps"):
        for _ in range(steps):
            run.update()
    events = list(profiler.events() or [])
    clock = "device_time_total" if on_gpu else "cpu_time_total"
    spent = _spent(events, clock)
    whole = sum(getattr(event, clock) for event in events if event.name == "steps")
    percent: dict[str, Cell] = {name: 100 * spent[region] / whole for name, region in _SHARES.items()}
    return percent | {"rest": 100 * (1 - math.fsum(spent.values()) / whole)}


def _spent(events: list[FunctionEvent], clock: str) -> dict[str, float]:
    """Microseconds by region: in it, and in the backward pass of what was done in it."""
    spent = dict.fromkeys(_SHARES.values(), 0.0)
    done_in: dict[int, str | None] = {}  # by the sequence number of an operation
    for event in sorted(events, key=lambda event: event.time_range.start):
        region = _outermost_region(event)
        if event.name in spent and _outermost_region(event.cpu_parent) is None:
            spent[event.name] += getattr(event, clock)
        if event.name.startswith(_BACKWARD):
            owner = done_in.get(event.sequence_nr)
            if owner is not None:
                spent[owner] += getattr(event, clock)
        elif event.sequence_nr >= 0:
            # Operations without a backward pass bear the number of the next one that has: the last one counts.
            done_in[event.sequence_nr] = region
    return spent


def _outermost_region(event: FunctionEvent | None) -> str | None:
    """A learned projection has spatial transformers of its own: they are rendering."""
    found = None
    while event is not None:
        found = event.name if event.name in _SHARES.values() else found
        event = event.cpu_parent
    return found
