"""``python -m benchmarks gradients`` at tiny sizes: that its figures are what they are called."""

import json
import math

import pytest
import torch

from benchmarks import bench
from benchmarks.gradients import estimators
from benchmarks.gradients import steps as step_costs
from benchmarks.gradients.errors import Case, Moments, jackknife, quality
from benchmarks.gradients.estimators import _Plan
from benchmarks.gradients.fits import FitCase, FitScene, fit_until, median_fit
from benchmarks.gradients.scene import Scene, ball
from benchmarks.gradients.steps import _timed_calls
from render3d.estimators import leave_one_out
from render3d.randomness import Key

TINY = _Plan(
    middle=Case(subdivisions=1, samples=4, sigma=1.0),
    subdivisions=(0,),
    samples=(),
    sigmas=(2.0,),
    checked=Case(subdivisions=0, samples=4, sigma=1.0),
    views=2,
    held_out=2,
    size=16,
    fits=((0.5, FitCase("local_credit", 4, 1.0, 0.1), FitCase("leave_one_out", 4, 1.0, 0.1)),),
    budget=80,
)


def calls_of(mean: torch.Tensor, calls: int, noise: float, seed: int) -> Moments:
    generator = torch.Generator().manual_seed(seed)
    return Moments(mean + noise * torch.randn(calls, len(mean), generator=generator, dtype=torch.float64))


def test_the_bench_measures_and_judges(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(estimators, "_PLAN", TINY)
    monkeypatch.setattr(step_costs, "peak_memory", lambda *arguments: 1.0)
    assert bench.bench("gradients", as_json=True, rounds=1) == 0
    shown = json.loads(capsys.readouterr().out)
    middle, swept, biases, steps, fits = (table["rows"] for table in shown["tables"])
    assert {row["estimator"] for row in middle} == set(estimators.ALL)
    assert {(row["vertices"], row["sigma, px"]) for row in swept} == {(12, 1.0), (42, 2.0)}
    assert {row["estimator"] for row in biases} == set(estimators.CHECKED)
    for row in steps:
        parts = [row[part] for part in ("noise", "upload", "draw, read", "loss", "credit")]
        assert all(part > 0 for part in parts)
        assert row["step"] == pytest.approx(sum(parts))
    assert [row["estimator"] for row in fits] == ["local_credit", "leave_one_out"]
    errors = {row["estimator"]: row["error"] for row in middle}
    ratios = {row["case"]: row["ratio"] for row in shown["comparisons"]}
    shared = "local, noise shared by views"
    assert ratios[shared] == pytest.approx(errors["leave_one_out"] / errors[shared])
    best = min(errors, key=errors.__getitem__)
    assert ratios[f"the best: {best}"] == pytest.approx(errors["leave_one_out"] / errors[best])


def test_a_ratio_below_its_floor_fails_the_check(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(estimators, "_PLAN", TINY)
    monkeypatch.setattr(estimators, "_BEST_FLOOR", 1e9)
    monkeypatch.setattr(step_costs, "peak_memory", lambda *arguments: 1.0)
    assert bench.bench("gradients", check=True, rounds=1) == 1
    shown = capsys.readouterr()
    assert "the best:" in shown.err
    assert "Relative squared error" in shown.out


def test_the_squared_norm_of_a_mean_is_free_of_its_noise() -> None:
    mean = torch.full((50,), 2.0, dtype=torch.float64)  # |mean|^2 = 200, and noise of 5,000 a call
    found = torch.tensor([calls_of(mean, 8, 10.0, seed).squared_norm() for seed in range(400)])
    error = float(found.std()) / math.sqrt(len(found))
    assert abs(float(found.mean()) - 200) < 4 * error
    assert error < 20  # |mean of 8|^2 would be 825


def test_quality_is_that_of_known_means() -> None:
    """Of two known vectors: |own|^2 = 80, |true|^2 = 100, own . true = 80, noise of 25 a call."""
    true, own = torch.zeros(2, 100, dtype=torch.float64)
    true[0] = 10.0
    own[0], own[2] = 8.0, 4.0
    found = quality(calls_of(own, 4000, 0.5, 0), calls_of(true, 4000, 0.5, 1))
    assert found.error == pytest.approx((25 + 80 - 2 * 80 + 100) / 100, rel=0.02)
    assert found.variance == pytest.approx(25 / 80, rel=0.02)
    assert found.kept == pytest.approx(0.8, rel=0.01)
    assert found.cosine == pytest.approx(80 / math.sqrt(80 * 100), rel=0.01)


def test_standard_errors_are_those_of_repeated_measurements() -> None:
    own, true = torch.ones(2, 20, dtype=torch.float64)
    own[:10] = 0.0
    pairs = [(calls_of(own, 16, 0.5, 2 * seed), calls_of(true, 16, 0.5, 2 * seed + 1)) for seed in range(300)]
    spread = torch.tensor([quality(*pair) for pair in pairs]).std(0)
    estimated = torch.tensor([jackknife(*pair) for pair in pairs]).square().mean(0).sqrt()
    torch.testing.assert_close(estimated, spread, rtol=0.3, atol=0.0)


def test_a_gradient_of_the_scene_descends() -> None:
    scene = Scene.make(views=2, size=16)
    mesh = ball(0)
    calls = [scene.gradient(mesh, leave_one_out(64, scene.pixel), Key(call)) for call in range(8)]
    moved = mesh.with_vertices(mesh.vertices - 0.05 * sum(calls) / len(calls) / torch.stack(calls).mean(0).norm())
    losses = [scene.pixel_loss(scene.renderer(each, scene.views.cameras, ("alpha",))).sum() for each in (mesh, moved)]
    assert losses[1] < losses[0]


def test_a_fit_stops_at_what_it_is_to_reach_or_at_its_budget() -> None:
    where = FitScene.make(views=4, held_out=2, size=32, subdivisions=1)
    task = FitCase("local_credit", 4, 1.0, 0.2)
    low, high = fit_until(where, task, [0.0, 2.0], budget=16 * 3, seed=0)
    assert low.images == 16  # the first step
    assert math.isinf(high.images) and math.isinf(high.seconds)
    reached = fit_until(where, task, [0.7], budget=16 * 200, seed=0)[0]
    assert 16 < reached.images < 16 * 200
    assert median_fit(where, task, 0.7, 16 * 200, [0]).images == reached.images


def test_calls_inside_a_module_are_timed() -> None:
    with _timed_calls(math, "sqrt") as times:
        assert math.sqrt(4.0) == 2.0
    assert len(times) == 1 and times[0] > 0
    math.sqrt(4.0)
    assert len(times) == 1
