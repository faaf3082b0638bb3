"""``python -m benchmarks duel`` at tiny sizes: that what is rebuilt does what its paper says."""

import dataclasses
import math

import pytest
import torch

from benchmarks.duel import compare as duel
from benchmarks.duel.rebuilt import per_pixel_credit, rayleigh_pairs
from benchmarks.gradients.scene import Scene, ball
from render3d.randomness import Key

TINY = duel.Plan(size=16, subdivisions=1, targets=(0.3,), rates=(0.1,), budget=200, balls=2, updates=3)


def test_it_measures_and_prints_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(duel, "PLAN", TINY)
    errors, fits, balls = duel.compare(1).tables
    assert len(errors.rows) == 10
    assert [row["gradient"] for row in fits.rows] == list(TINY.fitted)
    assert all(math.isfinite(float(row["error"] or 0)) for row in errors.rows)
    assert [row["gradient"] for row in balls.rows] == ["Rayleigh pairs (rebuilt)", "normal pairs", "edges"]


def test_per_pixel_credit_goes_the_way_of_the_gradient() -> None:
    """Of a ball that is too small it makes a larger one."""
    scene = Scene.make(views=4, size=32)
    small = dataclasses.replace(ball(1), vertices=0.5 * ball(1).vertices)
    calls = [
        per_pixel_credit(scene.renderer, small, scene.views.cameras, scene.pixel_loss, scene.pixel, Key(call))
        for call in range(20)
    ]
    outwards = (torch.stack(calls).mean(0) * small.vertices).sum()
    assert outwards < 0


def test_rayleigh_pairs_have_the_slope_of_the_smoothed_function() -> None:
    """Of a parabola in each of two parameters, which smoothing does not change."""
    random = torch.Generator().manual_seed(0)
    at = torch.tensor([0.5, -1.0])

    def parabola(points: torch.Tensor) -> torch.Tensor:
        return (points * points).sum(-1)

    calls = torch.stack([rayleigh_pairs(parabola, at, 0.3, random) for _ in range(20_000)])
    error = calls.std(0) / math.sqrt(len(calls))
    assert bool(((calls.mean(0) - 2 * at).abs() < 4 * error).all())
    assert bool((error < 0.05).all())
