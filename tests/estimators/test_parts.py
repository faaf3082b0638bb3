"""Noise, support and signal, each by itself."""

import itertools
import math

import numpy as np
import pytest
import torch
from scipy import stats

import render3d as r3
from render3d import Key
from render3d.estimators import Estimator, Everywhere, Gaussian, LeaveOneOut, Noisy, Plain, leave_one_out, reinforce
from render3d.estimators.signal import score_product
from render3d.randomness import as_key, standard_normal
from render3d.scenes import Mesh


def test_leave_one_out_subtracts_the_mean_of_the_others() -> None:
    losses = torch.randn(5, 2, 3)
    others = torch.stack([torch.cat([losses[:k], losses[k + 1 :]]).mean(0) for k in range(5)])
    torch.testing.assert_close(LeaveOneOut().advantages(losses), losses - others)


def test_plain_keeps_the_losses() -> None:
    losses = torch.randn(3, 2)
    assert Plain().advantages(losses) is losses


def test_everywhere_sums_over_pixels(mesh: Mesh, cameras: r3.Cameras) -> None:
    advantages = torch.randn(4, 2, 5, 7)
    noisy = Noisy(mesh, cameras, Gaussian().draw(Key(0), 4, mesh, cameras), "a box", None)
    torch.testing.assert_close(Everywhere().collect(advantages, noisy)[..., 0], advantages.flatten(-2).sum(-1))


@pytest.mark.parametrize("all_vertices", [True, False])
@pytest.mark.parametrize("all_views", [True, False])
def test_the_product_with_the_score_agrees_with_a_loop(all_vertices: bool, all_views: bool) -> None:
    samples, batch, views, vertices = 3, 2, 4, 5
    credit = torch.randn(samples, batch, views, 1 if all_vertices else vertices)
    score = torch.randn(samples, 1, 1 if all_views else views, vertices, 3)
    expected = torch.zeros(batch, views, vertices, 3)
    for k, b, w, v in itertools.product(range(samples), range(batch), range(views), range(vertices)):
        shared = credit[k, b, w, 0 if all_vertices else v] * score[k, 0, 0 if all_views else w, v]
        expected[b, w, v] += shared / samples
    torch.testing.assert_close(score_product(credit, score), expected)


def test_the_score_is_the_gradient_of_the_log_density(mesh: Mesh, cameras: r3.Cameras) -> None:
    draw = Gaussian(scale=0.3).draw(Key(1), 4, mesh, cameras)
    mean = torch.zeros_like(draw.coordinates, requires_grad=True)
    torch.distributions.Normal(mean, 1.0).log_prob(draw.coordinates).sum().backward()
    torch.testing.assert_close(draw.score, mean.grad)
    torch.testing.assert_close(draw.displacements, 0.3 * draw.coordinates)


def test_noise_is_normal_with_the_stated_scale(mesh: Mesh, cameras: r3.Cameras) -> None:
    """Kolmogorov-Smirnov; a correct law fails with probability 1e-4, and the seed is fixed."""
    displacements = Gaussian(scale=0.25).draw(Key(3), 4000, mesh, cameras).displacements
    assert stats.kstest(displacements.flatten().numpy() / 0.25, "norm").pvalue > 1e-4
    assert stats.kstest(displacements.flatten().numpy() / 0.26, "norm").pvalue < 1e-4


def test_noise_does_not_depend_on_how_a_batch_is_split() -> None:
    whole = standard_normal(Key(7), 5, 4, (3, 2))
    parts = [standard_normal(Key(7, first_example=first), 5, 2, (3, 2)) for first in (0, 2)]
    assert torch.equal(whole, torch.cat(parts, dim=1))
    assert torch.equal(whole[:3], standard_normal(Key(7), 3, 4, (3, 2)))
    assert not torch.equal(whole[:, 0], whole[:, 1])


def test_keys_come_from_the_generator_once_a_call() -> None:
    generator = torch.Generator().manual_seed(5)
    first, second = as_key(generator), as_key(generator)
    assert first != second
    assert as_key(torch.Generator().manual_seed(5)) == first
    assert as_key(Key(4, 2)) == Key(4, 2)
    assert Key(4).fold_in(1) != Key(4).fold_in(2)
    assert Key(4, 3).fold_in(1).first_example == 3


def test_folded_keys_give_independent_streams() -> None:
    draws = np.stack([standard_normal(Key(9).fold_in(n), 1, 1, (2000,)).flatten().numpy() for n in range(20)])
    correlations = np.corrcoef(draws)[np.triu_indices(20, 1)] * math.sqrt(2000)
    assert np.abs(correlations).max() < 4.5  # 190 normal deviates; chance of a larger one is 1e-3


@pytest.mark.parametrize("scale", [0.0, -1.0, math.inf, math.nan])
def test_scale_must_be_positive(scale: float) -> None:
    with pytest.raises(ValueError, match="scale must be a positive number"):
        leave_one_out(scale=scale)


def test_one_sample_has_nothing_to_leave_in() -> None:
    with pytest.raises(ValueError, match="samples must be at least 2 for LeaveOneOut; got samples=1"):
        leave_one_out(samples=1)
    assert reinforce(samples=1).samples == 1


def test_presets_name_their_parts() -> None:
    assert leave_one_out(8, 0.1) == Estimator(
        samples=8, noise=Gaussian(scale=0.1), support=Everywhere(), signal=LeaveOneOut()
    )
    assert reinforce(8, 0.1).signal == Plain()
