"""Training steps as CUDA graphs, beside the same steps one kernel at a time."""

import dataclasses
from pathlib import Path

import pytest
import torch

from render3d.datasets import PrimitivesSettings
from render3d.models.base import Precision, Recipe, TrainSettings
from render3d.models.experiments import Volumes
from render3d.models.experiments.volumes import ContextKind
from render3d.models.training.distributed import World
from render3d.models.training.loop import TrainingRun, train

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")

DATA = PrimitivesSettings(size=12, solid_size=6, translation=6, train=24, validation=6, test=6)
MODEL = Volumes(steps=3, latents=3, state=12, hidden=10, features=3, glimpse=4, patch=6, views=(2, 6, 7))
TRAINING = TrainSettings(updates=12, batch_size=4, kl_weight=(0.1, 1.0), validate_every=12, validation_examples=6)


def recipe(context: ContextKind, precision: Precision = "float32") -> Recipe:
    return Recipe(
        data=DATA,
        experiment=dataclasses.replace(MODEL, context=context),
        training=dataclasses.replace(TRAINING, precision=precision),
    )


def follow(made: Recipe, steps: int) -> tuple[TrainingRun, torch.Tensor]:
    run = TrainingRun(made, Path(), World())
    for _ in range(steps):
        run.update()
    return run, torch.tensor(run.pending)


@pytest.mark.parametrize("context", ["none", "class", "views"])
def test_graphs_make_the_same_steps(context: ContextKind, monkeypatch: pytest.MonkeyPatch) -> None:
    graphed, terms = follow(recipe(context), 12)
    assert graphed._graphed is not None
    monkeypatch.setattr(Volumes, "can_be_graphed", False)
    plain, expected = follow(recipe(context), 12)
    assert plain._graphed is None
    assert len(expected.unique(dim=0)) == 12  # batches and noise were new in each step
    torch.testing.assert_close(terms, expected, rtol=1e-4, atol=1e-4)
    for ours, theirs in zip(graphed.model.parameters(), plain.model.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-4)


def test_graphs_in_bfloat16(monkeypatch: pytest.MonkeyPatch) -> None:
    made = recipe("views", "bfloat16")
    _, terms = follow(made, 6)
    monkeypatch.setattr(Volumes, "can_be_graphed", False)
    _, expected = follow(made, 6)
    torch.testing.assert_close(terms, expected, rtol=0.01, atol=0.01)


def test_a_run_in_graphs_goes_on_where_it_was_stopped(tmp_path: Path) -> None:
    made = recipe("none")
    whole = train(made, tmp_path / "whole")

    def stop(record: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(made, tmp_path / "parts", progress=stop)
    parts = train(made, tmp_path / "parts", resume=True)
    for ours, theirs in zip(parts.model.parameters(), whole.model.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-4)


def test_affine_patches_are_made_one_kernel_at_a_time() -> None:
    made = dataclasses.replace(recipe("none"), experiment=dataclasses.replace(MODEL, transform="affine"))
    run, _ = follow(made, 2)
    assert run._graphed is None


def test_memory_does_not_grow_with_steps() -> None:
    run, _ = follow(recipe("class"), 3)
    before = torch.cuda.memory_allocated()
    for _ in range(8):  # after the last but one, no batch waits any more
        run.update()
    assert torch.cuda.memory_allocated() == before
