"""Noise, support and signal, each by itself."""

import math

import numpy as np
import pytest
import torch
from scipy import stats

from render3d import Key
from render3d.estimators import Estimator, Everywhere, Gaussian, LeaveOneOut, Plain, leave_one_out, reinforce
from render3d.estimators.estimator import contract
from render3d.randomness import as_key, standard_normal
from render3d.scenes import Mesh


def test_leave_one_out_subtracts_the_mean_of_the_others() -> None:
    losses = torch.randn(5, 2, 3)
    others = torch.stack([torch.cat([losses[:k], losses[k + 1 :]]).mean(0) for k in range(5)])
    torch.testing.assert_close(LeaveOneOut().advantages(losses), losses - others)


def test_plain_keeps_the_losses() -> None:
    losses = torch.randn(3, 2)
    assert Plain().advantages(losses) is losses


def test_everywhere_sums_over_pixels() -> None:
    advantages = torch.randn(4, 2, 3, 5, 7)
    torch.testing.assert_close(Everywhere().collect(advantages)[..., 0], advantages.flatten(-2).sum(-1))


@pytest.mark.parametrize("shared", [True, False])
def test_contract_agrees_with_a_loop(shared: bool) -> None:
    samples, batch, views, vertices = 3, 2, 4, 5
    credit = torch.randn(samples, batch, views, 1 if shared else vertices)
    score = torch.randn(samples, 1, vertices, 3)
    expected = torch.zeros(batch, views, vertices, 3)
    for k in range(samples):
        for b in range(batch):
            for w in range(views):
                for v in range(vertices):
                    expected[b, w, v] += credit[k, b, w, 0 if shared else v] * score[k, 0, v]
    torch.testing.assert_close(contract(credit, score), expected)


def test_the_score_is_the_gradient_of_the_log_density() -> None:
    noise = Gaussian(scale=0.3)
    displacement = torch.randn(4, 3, dtype=torch.float64)
    mean = torch.zeros(4, 3, dtype=torch.float64, requires_grad=True)
    torch.distributions.Normal(mean, noise.scale).log_prob(displacement).sum().backward()
    torch.testing.assert_close(noise.score(displacement), mean.grad)


def test_noise_is_normal_with_the_stated_scale(mesh: Mesh) -> None:
    """Kolmogorov-Smirnov; a correct law fails with probability 1e-4, and the seed is fixed."""
    displacements = Gaussian(scale=0.25).draw(Key(3), 4000, mesh)
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
