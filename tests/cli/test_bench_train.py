"""``render3d bench train``: that time is put down to what it was spent on, and memory does not grow."""

import json
from collections.abc import Callable
from types import SimpleNamespace
from typing import cast

import pytest
import torch
from torch.profiler import record_function

from render3d.cli import bench, bench_train
from render3d.datasets import PrimitivesSettings
from render3d.models.experiments import Volumes
from render3d.models.recipe import Recipe, TrainSettings
from render3d.models.sequential import REGION as PROJECTION
from render3d.models.training import TrainingRun
from render3d.spatial import REGION as SPATIAL_TRANSFORMER


def tiny(training: TrainSettings) -> Recipe:
    data = PrimitivesSettings(size=8, solid_size=4, translation=4, train=64, validation=8, test=8)
    experiment = Volumes(steps=2, latents=3, state=12, hidden=10, features=3, glimpse=2, patch=4)
    return Recipe(data=data, experiment=experiment, training=training)


def doing(update: Callable[[], None]) -> TrainingRun:
    return cast(TrainingRun, SimpleNamespace(update=update, world=SimpleNamespace(device=torch.device("cpu"))))


def test_the_backward_pass_counts_for_what_its_forward_pass_was_done_for() -> None:
    x = torch.randn(600, 600, generator=torch.Generator().manual_seed(0)).requires_grad_()

    def update() -> None:
        with record_function("data"):
            x.detach().exp()
        with record_function(PROJECTION), record_function(SPATIAL_TRANSFORMER):
            found = x @ x  # whose way back is twice the work
        found.backward(torch.ones_like(found))

    spent = bench_train.shares(doing(update))
    assert sum(cast(float, share) for share in spent.values()) == pytest.approx(100)
    assert cast(float, spent["rendering"]) > 75
    assert spent["VST"] == 0  # what is done for rendering is rendering
    assert 0 < cast(float, spent["data"]) < 10


def test_every_recipe_gets_a_row(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(bench_train, "TIMED", ("tiny",))
    monkeypatch.setattr(bench_train, "PRECISIONS", ("float32",))
    monkeypatch.setitem(bench_train.RECIPES, "tiny", tiny)
    monkeypatch.setattr(bench_train, "peak_memory", lambda action, *arguments: float(arguments[-1]))
    assert bench.bench("train", as_json=True, rounds=1) == 0
    (table,) = json.loads(capfd.readouterr().out)["tables"]
    (row,) = table["rows"]
    assert row["steps/s"] > 0 and row["VST"] > 0 and row["data"] > 0
    assert row["MiB, 10 steps"] == 10
