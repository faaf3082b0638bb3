"""``python -m benchmarks train``: that time is put down to what it was spent on, and memory does not grow."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple, cast

import pytest
from torch.autograd.profiler_util import FunctionEvent

from benchmarks import bench
from benchmarks import train as bench_train
from render3d.datasets import PrimitivesSettings
from render3d.models.base import Recipe, TrainSettings
from render3d.models.experiments import Volumes
from render3d.models.parts.sequential import REGION as PROJECTION
from render3d.models.training.distributed import World
from render3d.spatial import REGION as SPATIAL_TRANSFORMER


def tiny(training: TrainSettings) -> Recipe:
    data = PrimitivesSettings(size=8, solid_size=4, translation=4, train=64, validation=8, test=8)
    experiment = Volumes(steps=2, latents=3, state=12, hidden=10, features=3, glimpse=2, patch=4)
    return Recipe(data=data, experiment=experiment, training=training)


class Event(NamedTuple):
    """What is read of an event of the profiler."""

    name: str
    start: int
    cpu_time_total: float
    sequence_nr: int = -1
    cpu_parent: "Event | None" = None

    @property
    def time_range(self) -> SimpleNamespace:
        return SimpleNamespace(start=self.start)


def test_the_backward_pass_counts_for_what_its_forward_pass_was_done_for() -> None:
    data, projection = Event("data", 0, 10.0), Event(PROJECTION, 20, 30.0)
    stack = Event("aten::stack", 5, 8.0, sequence_nr=7, cpu_parent=data)  # no way back: it bears the next one's number
    inner = Event(SPATIAL_TRANSFORMER, 22, 20.0, cpu_parent=projection)  # what is done for rendering is rendering
    product = Event("aten::mm", 23, 15.0, sequence_nr=7, cpu_parent=inner)
    outside = Event("aten::mul", 55, 5.0, sequence_nr=8)
    alone = Event(SPATIAL_TRANSFORMER, 60, 4.0)
    within = Event("aten::bmm", 61, 3.0, sequence_nr=9, cpu_parent=alone)
    backward = [
        Event(f"autograd::engine::evaluate_function: {name}Backward0", start, time, sequence_nr=number)
        for name, start, time, number in (("Bmm", 70, 6.0, 9), ("Mul", 80, 7.0, 8), ("Mm", 90, 40.0, 7))
    ]
    events = [*backward, within, alone, outside, product, inner, projection, stack, data]
    spent = bench_train._spent(cast(list[FunctionEvent], events), "cpu_time_total")
    assert spent == {"data": 10.0, PROJECTION: 30.0 + 40.0, SPATIAL_TRANSFORMER: 4.0 + 6.0}


def test_shares_are_of_the_steps_of_a_run() -> None:
    run = bench_train.TrainingRun(tiny(TrainSettings()), Path(), World("cpu"))
    before = run.updates
    spent = bench_train.shares(run, steps=2)
    assert run.updates == before + 3  # one to warm up
    assert sum(cast(float, share) for share in spent.values()) == pytest.approx(100)
    assert all(cast(float, spent[name]) > 0 for name in ("data", "rendering", "VST", "rest"))


def test_every_recipe_gets_a_row(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(bench_train, "TIMED", (f"{__name__}:tiny",))
    monkeypatch.setattr(bench_train, "PRECISIONS", ("float32",))
    monkeypatch.setattr(bench_train, "peak_memory", lambda action, *arguments: float(arguments[-1]))
    assert bench.bench("train", as_json=True, rounds=1) == 0
    (table,) = json.loads(capfd.readouterr().out)["tables"]
    (row,) = table["rows"]
    assert row["steps/s"] > 0 and row["VST"] > 0 and row["data"] > 0
    assert row["MiB, 10 steps"] == 10
