"""Models given silhouettes: which cameras, what agrees and what varies, and the network without latents beside them."""

import dataclasses
import json
from pathlib import Path

import pytest
import torch

from render3d.datasets import Primitives, PrimitivesSettings, VolumeExample, WithViews
from render3d.errors import ModelError
from render3d.models.base import Findings, Recipe, Run, TrainSettings
from render3d.models.experiments import Volumes
from render3d.models.parts.batch import Batch
from render3d.models.parts.sequential import SequentialModel
from render3d.models.parts.silhouettes import context_cameras, other_cameras, silhouettes
from render3d.models.study import view_conditional
from render3d.models.study.view_conditional import held_out, judge, pairwise_difference, sample_context
from render3d.models.training.evaluation import bound
from render3d.models.training.folder import train_to_folder
from render3d.models.training.run import load_run
from render3d.models.training.sources import BatchSource, model_of
from render3d.randomness import Key
from render3d.renderers import MaxProjection

SIZE = 8
DATA = PrimitivesSettings(size=SIZE, solid_size=4, translation=4, train=24, validation=12, test=6)
MODEL = Volumes(
    steps=2, latents=3, state=12, hidden=10, features=3, glimpse=2, patch=4, context="views", views=(2, 10, 12)
)
RECIPE = Recipe(
    data=DATA,
    experiment=MODEL,
    training=TrainSettings(updates=3, batch_size=6, validate_every=3, validation_examples=6),
)


def untrained(experiment: Volumes = MODEL) -> Run:
    recipe = dataclasses.replace(RECIPE, experiment=experiment)
    return Run(recipe, model_of(recipe, [""] * 6).eval(), [], Primitives.classes)


def test_contexts_are_silhouettes_from_the_same_places() -> None:
    dataset = Primitives("test", DATA)
    apart = WithViews(dataset, context_cameras(2, (10, 12)), MaxProjection())
    together = BatchSource(RECIPE, "test").batch([0, 4, 2]).context
    assert together is not None
    expected = torch.stack([apart[index].images["alpha"] for index in (0, 4, 2)])
    torch.testing.assert_close(together, expected, atol=1e-6, rtol=0)
    assert float(together.amax()) > 0.9 and float(together[:, :, :, 0].amax()) == 0


def test_cameras_are_spread_over_half_a_turn_and_the_other_two_are_elsewhere() -> None:
    for count in (1, 2, 3):
        given, others = context_cameras(count, (30, 30)).position, other_cameras((30, 30)).position
        first = torch.nn.functional.normalize(given, dim=-1)
        assert given[0, 0].abs() < 1e-5 and given[0, 2] > 0  # the first sees the front
        for place in torch.nn.functional.normalize(others, dim=-1):
            assert float((first @ place).abs().amax()) < 0.975  # by 13 degrees and more, also from the other side


def test_a_cube_of_the_whole_grid_is_seen_whole_from_everywhere() -> None:
    full = torch.ones(1, 1, SIZE, SIZE, SIZE)
    for cameras in (context_cameras(3, (30, 30)), other_cameras((30, 30))):
        seen = silhouettes(full, cameras)[0, :, 0]
        for border in (seen[:, 0], seen[:, -1], seen[:, :, 0], seen[:, :, -1]):
            assert float(border.amax()) == 0
        assert float(seen[:, 15, 15].amin()) > 0.9


def test_a_view_in_which_nothing_is_seen_is_an_empty_picture() -> None:
    examples = [VolumeExample(torch.zeros(1, SIZE, SIZE, SIZE), 0), Primitives("test", DATA)[0]]
    batch = MODEL.batch(examples)
    assert batch.context is not None and not batch.context[0].any() and batch.context[1].any()
    assert bool(untrained().model(batch, Key(0)).total.isfinite().all())


def test_differences_of_pairs_are_those_of_the_definition() -> None:
    one, other = torch.zeros(2, 1, 4), torch.zeros(2, 1, 4)
    one[:, :, :2] = 1
    other[:, :, 1:] = 1  # one of four cells in both
    assert float(pairwise_difference(torch.stack([one, one, one]))) == 0
    assert float(pairwise_difference(torch.stack([one, 1 - one]))) == 1
    assert float(pairwise_difference(torch.stack([one, one, other]))) == pytest.approx(2 / 3 * 3 / 4)
    assert float(pairwise_difference(one[None])) == 0


def test_the_truth_agrees_with_its_context_and_another_example_less() -> None:
    seen = held_out(untrained(), range(6), MODEL.context_cameras)
    truth = judge(seen, torch.stack([seen.volumes, seen.volumes], dim=1))
    assert bool((truth.context_iou == 1).all()) and bool((truth.truth_iou == 1).all())
    assert not truth.diversity.any() and not truth.volume_diversity.any()
    mixed = judge(seen, torch.stack([seen.volumes, seen.volumes.roll(1, 0)], dim=1))
    assert float(mixed.context_iou[:, 1].mean()) < 0.8
    assert bool((mixed.volume_diversity > 0).all()) and bool((mixed.diversity > 0).all())
    pairs = zip(seen.volumes, seen.volumes.roll(1, 0), strict=True)
    expected = [1 - float(((a * b).sum()) / ((a + b) > 0).sum()) for a, b in pairs]
    torch.testing.assert_close(mixed.volume_diversity, torch.tensor(expected))
    nothing = torch.zeros(1, 1, SIZE, SIZE, SIZE)
    blank = seen._replace(volumes=nothing, context=torch.zeros(1, 2, 1, 10, 12), cameras=seen.cameras[:1])
    assert float(judge(blank, nothing[:, None]).context_iou) == 1


def test_samples_follow_their_context_and_its_noise() -> None:
    run = untrained()
    _opinionated(run.model)
    context = held_out(run, range(3), MODEL.context_cameras).context
    samples = sample_context(run.model, context, 4, Key(1))
    assert samples.shape == (3, 4, 1, SIZE, SIZE, SIZE) and set(samples.unique().tolist()) == {0.0, 1.0}
    assert torch.equal(sample_context(run.model, context[:1], 4, Key(1))[0], samples[0])
    assert float(pairwise_difference(samples[0][:, None])) > 0


def _opinionated(model: SequentialModel) -> None:
    """About half of all voxels are occupied, and which depends on everything."""
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(3.0)
        model.writer.start.fill_(0.0)  # type: ignore[operator,union-attr]


def test_a_model_without_latents_is_of_one_mind_and_its_free_energy_is_exact() -> None:
    run = untrained(dataclasses.replace(MODEL, latents=0))
    _opinionated(run.model)
    source = BatchSource(run.recipe, "test")
    batch = source.batch(range(6))
    terms = run.model(batch, Key(0))
    assert not terms.kl.any() and torch.equal(terms.total, run.model(batch, Key(9)).total)
    assert batch.context is not None
    logits = run.model.decode(run.model.imagine(torch.empty(6, 2, 0), batch.context), Batch(batch.x), Key(0))
    exact = torch.nn.functional.binary_cross_entropy_with_logits(logits, batch.x, reduction="none").sum((1, 2, 3, 4))
    torch.testing.assert_close(terms.total, exact)
    found = bound(run.model, source, 6, samples=3)
    torch.testing.assert_close(found.importance_weighted, found.total)
    samples = sample_context(run.model, batch.context, 3, Key(1))
    assert torch.equal(samples[:, 0], samples[:, 1]) and not torch.equal(samples[0], samples[1])
    assert run.model.posterior is None


def test_a_run_given_views_is_trained_beside_one_without_latents(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train_to_folder(RECIPE, tmp_path, device="cpu", evaluation_samples=1)
    run = load_run(tmp_path)
    assert run.baseline is not None and run.baseline.latents == 0
    figures = json.loads((tmp_path / "metrics.json").read_text())["findings"]["view_conditional"]
    plain = figures["without_latents"]
    assert plain["diversity_other_views"] == plain["diversity_volumes"] == plain["diversity_context_view"] == 0
    assert plain["truth_iou_mean"] == plain["truth_iou_best"]
    assert figures["examples"] == 6 and figures["samples"]["truth_iou_best"] >= figures["samples"]["truth_iou_mean"]
    page = (tmp_path / "report.html").read_text()
    assert "without latents" in page and "from c2" in page
    kept = (tmp_path / "baseline" / "checkpoint.safetensors").stat().st_mtime_ns
    recipe = dataclasses.replace(RECIPE)
    monkeypatch.setattr(Volumes, "findings", lambda self, run: Findings({}, ()))  # they would be the same
    train_to_folder(recipe, tmp_path, resume=True, device="cpu", evaluation_samples=1)  # nothing is left to do
    steps = [record.update for record in run.records]
    assert steps == [3] and (tmp_path / "baseline" / "checkpoint.safetensors").stat().st_mtime_ns >= kept


def test_cameras_that_are_drawn_for_each_example_are_those_that_samples_are_seen_from() -> None:
    run = untrained(dataclasses.replace(MODEL, cameras="random", views=(1, 10, 10)))
    seen = held_out(run, range(4), None)
    truth = judge(seen, seen.volumes[:, None])
    assert bool((truth.context_iou == 1).all())
    assert len({tuple(cameras.position.flatten().tolist()) for cameras in seen.cameras}) == 4
    assert view_conditional.find(run, None).figures["view_conditional"]["examples"] == 6


def test_settings_that_cannot_be_are_refused() -> None:
    with pytest.raises(ModelError, match="latents must be at least 1, or 0 with a context; got 0"):
        Volumes(latents=0)
    with pytest.raises(ModelError, match="latents must be at least 0; got -1"):
        Volumes(latents=-1, context="views")
    with pytest.raises(ModelError, match="cameras must be one of 'fixed', 'random'; got 'moving'"):
        Volumes(cameras="moving")  # type: ignore[arg-type]
    with pytest.raises(ModelError, match="context must be one of 'none', 'class', 'views'; got 'view'"):
        Volumes(context="view")  # type: ignore[arg-type]
