"""Proposition A.1: exact sums against slow twins and simulated chains, bounds as properties, counter-examples."""

import itertools
import runpy
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from torch import Tensor

from render3d.errors import ModelError
from render3d.models.parts.batch import Batch
from render3d.models.parts.likelihoods import Bernoulli
from render3d.models.study.completion import complete
from render3d.models.study.proposition import (
    DiscreteModel,
    Example,
    completion,
    dependent_parts,
    dobrushin,
    errors_of_recognition,
    kernel,
    rare_observation,
    stationary,
    sticky_chain,
)
from render3d.randomness import Key

ROUNDING = 1e-9
SIGNIFICANCE = 1e-4  # of every simulation below


def law(generator: np.random.Generator, *shape: int, spread: float = 1.0) -> Tensor:
    """Laws along the last dimension; a small ``spread`` makes nearly deterministic ones, none of them quite."""
    drawn = torch.from_numpy(generator.dirichlet(np.full(shape[-1], spread), size=shape[:-1])) + 1e-5
    return drawn / drawn.sum(-1, keepdim=True)


def random_example(seed: int, sizes: tuple[int, int, int], spread: float, share: float, factorised: bool) -> Example:
    """A random model, and a recognition model that is wrong by a ``share``."""
    z, o, u = sizes
    generator = np.random.default_rng(seed)
    prior = law(generator, z, spread=spread)
    if factorised:
        parts = law(generator, z, o, spread=spread), law(generator, z, u, spread=spread)
        model = DiscreteModel.factorised(prior, *parts)
    else:
        model = DiscreteModel(prior, law(generator, z, o * u, spread=spread).reshape(z, o, u))
    return Example(model, torch.lerp(model.posterior, law(generator, o, u, z, spread=spread), share))


def examples(*, factorised: bool) -> st.SearchStrategy[Example]:
    size = st.integers(1, 4)
    return st.builds(
        random_example,
        st.integers(0, 2**32 - 1),
        st.tuples(size, size, size),
        st.sampled_from([0.05, 0.3, 1.0, 5.0]),
        st.floats(0, 1),
        st.just(factorised),
    )


either = st.booleans().flatmap(lambda factorised: examples(factorised=factorised))


@given(either)
@settings(max_examples=150, deadline=None)
def test_the_average_of_the_left_side_of_7_is_at_most_epsilon_and_at_one_x_o_it_is_epsilon_over_p(
    example: Example,
) -> None:
    model, q = example
    found = completion(model, q)
    mean_error = float(model.prior @ errors_of_recognition(model, q))
    assert found.mean_fixed_point_error <= mean_error + ROUNDING
    assert mean_error <= found.epsilon + ROUNDING
    assert bool((found.fixed_point_error <= found.fixed_point_bound + ROUNDING).all())


@given(either)
@settings(max_examples=150, deadline=None)
def test_the_stationary_error_is_at_most_that_of_one_step_over_what_the_chain_forgets(example: Example) -> None:
    found = completion(*example)
    assert bool((found.stationary_error <= found.stationary_bound * (1 + ROUNDING) + ROUNDING).all())


@given(examples(factorised=True))
@settings(max_examples=150, deadline=None)
def test_noise_of_the_decoder_alone_bounds_the_average_stationary_error(example: Example) -> None:
    """``K^q`` is q, then ``p(x_u given z)``; the second contracts at least so much for every q and every x_o."""
    model, q = example
    found = completion(model, q)
    decoder = float(dobrushin(model.likelihood.sum(1)))
    assert bool((found.contraction <= decoder + ROUNDING).all())
    average = float(found.observed @ found.stationary_error)
    assert average * (1 - decoder) <= found.epsilon * (1 + ROUNDING) + ROUNDING


@given(either)
@settings(max_examples=100, deadline=None)
def test_the_gap_of_the_evidence_bound_in_nats_bounds_the_average_too(example: Example) -> None:
    """Pinsker: an L1 distance is at most ``sqrt(2 KL)``; and the mean of a root is at most the root of the mean."""
    model, q = example
    log_ratio = (q / model.posterior).log()
    gap = (model.evidence * (torch.where(q > 0, q * log_ratio, 0.0)).sum(-1)).sum().clamp(min=0)
    assert completion(model, q).mean_fixed_point_error <= float((2 * gap).sqrt()) + 1e-7


@given(examples(factorised=True))
@settings(max_examples=50, deadline=None)
def test_with_the_exact_posterior_and_independent_parts_the_target_is_where_the_chain_settles(example: Example) -> None:
    found = completion(example.model, example.model.posterior)
    assert found.epsilon < 1e-9
    assert float(found.fixed_point_error.max()) < 1e-12
    assert float(found.one_step_error.max()) < 1e-12
    assert bool((found.stationary_error <= 1e-12 / (1 - found.contraction)).all())


def slowly(model: DiscreteModel, q: Tensor) -> dict[str, object]:
    """Equations (4) to (7) as printed, sum by sum, and the stationary law by a hundred thousand steps."""
    (prior, likelihood), (o_count, u_count, z_count) = (model.prior.tolist(), model.likelihood.tolist()), q.shape
    zs, os, us = range(z_count), range(o_count), range(u_count)
    p = [[sum(prior[z] * likelihood[z][o][u] for z in zs) for u in us] for o in os]
    epsilon = max(
        sum(abs(float(q[o, u, z]) * p[o][u] / prior[z] - likelihood[z][o][u]) for o in os for u in us) for z in zs
    )
    sevens, kernels, limits = [], [], []
    for o in os:
        weight = sum(p[o])
        wrong, right = np.zeros((u_count, u_count)), np.zeros((u_count, u_count))
        for u, new, z in itertools.product(us, us, zs):
            decoded = sum(likelihood[z][any_o][new] for any_o in os)
            wrong[u, new] += decoded * float(q[o, u, z])
            right[u, new] += decoded * prior[z] * likelihood[z][o][u] / p[o][u]
        differences = (sum((wrong[u, new] - right[u, new]) * p[o][u] / weight for u in us) for new in us)
        sevens.append(sum(abs(difference) for difference in differences))
        kernels.append(wrong.tolist())
        limits.append(np.linalg.matrix_power(wrong, 100_000)[0].tolist())
    return {"epsilon": epsilon, "fixed_point_error": sevens, "kernel": kernels, "stationary": limits}


@pytest.mark.parametrize("factorised", [True, False])
def test_every_number_is_that_of_the_equations_sum_by_sum(factorised: bool) -> None:
    model, q = random_example(3, (3, 2, 4), spread=0.5, share=0.7, factorised=factorised)
    found, wanted = completion(model, q), slowly(model, q)
    assert found.epsilon == pytest.approx(wanted["epsilon"], rel=1e-12)
    for name in ("fixed_point_error", "stationary"):
        torch.testing.assert_close(getattr(found, name), torch.tensor(wanted[name], dtype=torch.float64))
    torch.testing.assert_close(kernel(model, q), torch.tensor(wanted["kernel"], dtype=torch.float64))
    assert float(found.fixed_point_error.min()) > 0.01


def test_the_dobrushin_coefficient_is_the_least_that_holds_for_every_pair_of_laws() -> None:
    generator = np.random.default_rng(5)
    chain = law(generator, 3, 5, 4, spread=0.5)  # three kernels from five values to four
    first, second = law(generator, 2000, 5, spread=0.2), law(generator, 2000, 5, spread=0.2)
    left = (first @ chain - second @ chain).abs().sum(-1)
    right = (first - second).abs().sum(-1)
    assert bool((left <= dobrushin(chain)[:, None] * right + 1e-12).all())
    corners = torch.eye(5, dtype=torch.float64)
    between = (corners[:, None] - corners) @ chain[:, None]
    torch.testing.assert_close(between.abs().sum(-1).amax((1, 2)) / 2, dobrushin(chain))
    assert dobrushin(torch.eye(2)).item() == 1
    assert dobrushin(torch.full((2, 2), 0.5)).item() == 0


def test_7_does_not_hold_for_every_x_o() -> None:
    """At an x_o of probability 0.01 the left side is 0.9, ninety times epsilon and nine tenths of the bound there."""
    found = completion(*rare_observation(rarity=0.01, noise=0.05))
    assert found.epsilon == pytest.approx(0.01)
    torch.testing.assert_close(found.fixed_point_error, torch.tensor([0.0, 0.9], dtype=torch.float64))
    torch.testing.assert_close(found.fixed_point_bound, torch.tensor([0.01 / 0.99, 1.0], dtype=torch.float64))
    assert found.mean_fixed_point_error == pytest.approx(0.009)
    nearly_all = completion(*rare_observation(rarity=0.01, noise=1e-6))
    assert nearly_all.mean_fixed_point_error > 0.99999 * nearly_all.epsilon  # the bounds cannot be improved


def test_the_stationary_error_can_be_hundreds_of_epsilons() -> None:
    """Two states with rates a and b: the chain is at 0 with probability ``b / (a + b)``, by hand."""
    noise, error = 5e-4, 6e-3
    found = completion(*sticky_chain(noise, error))
    up, down = 2 * noise * (1 - noise), 2 * noise * (1 - noise) + error * (1 - 2 * noise)
    assert found.epsilon == pytest.approx(0.006)
    assert float(found.fixed_point_error) == pytest.approx((1 - 2 * noise) * error)
    assert float(found.stationary_error) == pytest.approx(2 * (down / (up + down) - 0.5))
    assert float(found.stationary_error) == pytest.approx(0.75, abs=1e-3)
    # With two states the bound of the contraction is an equality, so that it cannot be improved.
    assert float(found.stationary_bound) == pytest.approx(float(found.stationary_error))
    assert float(completion(*sticky_chain(1e-7, error)).stationary_error) > 0.999


def test_parts_that_depend_on_each_other_given_z_spoil_even_the_exact_posterior() -> None:
    found = completion(*dependent_parts(agreement=0.95))
    assert found.epsilon == 0 and found.fixed_point_error.tolist() == [0, 0]
    torch.testing.assert_close(found.stationary_error, torch.tensor([0.9, 0.9], dtype=torch.float64))
    torch.testing.assert_close(found.one_step_error, found.stationary_error)


def test_from_the_posterior_to_a_wrong_law_the_errors_of_one_step_grow_in_proportion() -> None:
    generator = np.random.default_rng(0)
    model, wrong = random_example(0, (3, 3, 4), spread=0.3, share=1.0, factorised=True)
    share = float(generator.uniform(0.2, 0.8))
    part = completion(model, torch.lerp(model.posterior, wrong, share))
    whole = completion(model, wrong)
    assert part.epsilon == pytest.approx(share * whole.epsilon)
    torch.testing.assert_close(part.fixed_point_error, share * whole.fixed_point_error)
    assert float((part.stationary_error / whole.stationary_error - share).abs().max()) > 0.05  # these do not


def test_the_figure_shows_what_its_page_says() -> None:
    pytest.importorskip("matplotlib")
    script = Path(__file__).resolve().parents[3] / "docs" / "figures" / "proposition.py"
    epsilon, worst, settled, mean = script_curves(script, "of_quality", np.linspace(0, 1, 11))
    assert np.allclose(np.diff(mean, 2), 0) and np.allclose(np.diff(worst, 2), 0)
    assert np.abs(np.diff(settled, 2)).max() > 1e-3
    assert (epsilon[1:] > np.max([worst, settled, mean], axis=0)[1:]).all()
    bound, worst, epsilon, mean = script_curves(script, "of_rarity", np.logspace(-3, -0.31, 5))
    assert (bound > worst).all() and (worst > epsilon).all() and (epsilon > mean).all()
    settled, epsilon, mean = script_curves(script, "of_noise", np.logspace(-5, -1, 5))
    assert (settled > epsilon).all() and (epsilon > mean).all() and (np.diff(settled) < 0).all()


def script_curves(script: Path, name: str, x: np.ndarray) -> list[np.ndarray]:
    return [np.array(values) for values in runpy.run_path(str(script))[name](x).values()]


def fits(counts: np.ndarray, wanted: Tensor) -> float:
    """The p value of counts along the last axis under laws: chi-squared over all rows, which are independent."""
    expected = wanted.numpy() * counts.sum(-1, keepdims=True)
    assert expected.min() > 5
    statistic = ((counts - expected) ** 2 / expected).sum()
    rows = counts.size // counts.shape[-1]
    return float(stats.chi2.sf(statistic, rows * (counts.shape[-1] - 1)))


def draw(generator: np.random.Generator, laws: np.ndarray) -> np.ndarray:
    """One value of each law, by inverting its distribution function."""
    return (laws.cumsum(-1)[..., :-1] < generator.random(laws.shape[:-1])[..., None]).sum(-1)


def one_step(generator: np.random.Generator, example: Example, o: np.ndarray, u: np.ndarray) -> np.ndarray:
    """Equation (4) as it is run: draw z, draw a whole x', discard x_o'."""
    z = draw(generator, example.recognition.numpy()[o, u])
    whole = draw(generator, example.model.likelihood.flatten(1).numpy()[z])
    return whole % example.model.likelihood.shape[2]


@pytest.mark.parametrize("factorised", [True, False])
def test_a_simulated_chain_steps_and_settles_as_the_exact_kernel_says(factorised: bool) -> None:
    """4,000 independent chains from every (x_o, x_u): their first step, and where they are when none remembers."""
    example = random_example(8, (3, 2, 3), spread=1.0, share=0.8, factorised=factorised)
    found, generator = completion(*example), np.random.default_rng(1)
    assert float(found.contraction.max()) ** 60 < 1e-12
    o, u = (axis.repeat(4000) for axis in np.indices((2, 3)).reshape(2, -1))
    steps = [u := one_step(generator, example, o, u) for _ in range(60)]
    first, last = (np.stack([np.bincount(one, minlength=3) for one in step.reshape(6, -1)]) for step in steps[::59])
    assert fits(first, kernel(*example).reshape(6, 3)) > SIGNIFICANCE
    assert fits(last, found.stationary.repeat_interleave(3, 0)) > SIGNIFICANCE
    right = kernel(example.model, example.model.posterior).reshape(6, 3)
    assert fits(first, right) < 1e-20  # so many chains tell q from the posterior
    assert fits(last, example.model.target.repeat_interleave(3, 0)) < 1e-20


class TwoFaced:
    """What `complete` needs of a model, with a z of two values and volumes of three voxels."""

    on = torch.tensor([[0.8, 0.7, 0.2], [0.3, 0.1, 0.6]], dtype=torch.float64)  # p(voxel = 1 given z)
    says_one = torch.tensor([[0.2, 0.5, 0.4, 0.9], [0.7, 0.1, 0.6, 0.3]], dtype=torch.float64)  # q(z = 1 given x)
    likelihood = Bernoulli()

    def noise(self, count: int, key: Key) -> Tensor:
        return torch.rand(count, generator=torch.Generator().manual_seed(key.fold_in(0).seed))

    def infer(self, batch: Batch, noise: Tensor) -> tuple[Tensor, None]:
        x_o, first, second = batch.x.flatten(1).long().unbind(1)
        return (noise < self.says_one[x_o, 2 * first + second]).long(), None

    def decode(self, states: Tensor, batch: Batch, key: Key) -> Tensor:
        return torch.logit(self.on[states]).reshape(batch.x.shape)

    @property
    def example(self) -> Example:
        """The same as tables; x_u numbers the four values of the two missing voxels."""
        bits = torch.stack([1 - self.on, self.on], -1)  # [z, voxel, value]
        missing = (bits[:, 1, :, None] * bits[:, 2, None, :]).flatten(1)
        model = DiscreteModel.factorised(torch.tensor([0.5, 0.5]), bits[:, 0], missing)
        return Example(model, torch.stack([1 - self.says_one, self.says_one], -1))


def test_the_chain_of_complete_is_the_one_that_the_proposition_speaks_of() -> None:
    """Transitions of 6,000 chains in step 11, from where step 10 left them, and where they are after it."""
    model, count = TwoFaced(), 6000
    x = torch.zeros(2 * count, 1, 1, 1, 3, dtype=torch.float64)
    x[count:, ..., 0] = 1
    observed = torch.tensor([True, False, False])
    states = itertools.islice(complete(model, x, observed, Key(2), noise_rate=0.5), 9, 11)  # type: ignore[arg-type]
    before, after = ((2 * state.x[..., 1] + state.x[..., 2]).flatten().long() for state in states)
    x_o = x[..., 0].flatten().long()
    found = completion(*model.example)
    assert float(found.contraction.max()) ** 10 < 1e-3
    counts = torch.bincount(16 * x_o + 4 * before + after, minlength=32).reshape(2, 4, 4).numpy()
    assert fits(counts.sum(1), found.stationary) > SIGNIFICANCE
    assert fits(counts, kernel(*model.example)) > SIGNIFICANCE
    swapped = kernel(model.example.model, model.example.recognition.flip(-1))
    assert fits(counts, swapped) < 1e-20


def test_what_is_no_model_is_refused() -> None:
    half = torch.tensor([0.5, 0.5])
    flat = torch.full((2, 2, 2), 0.25)
    with pytest.raises(ModelError, match=r"must be \[Z\] and \[Z, O, U\]; got \[3\] and \[2, 2, 2\]"):
        DiscreteModel(torch.ones(3) / 3, flat)
    with pytest.raises(ModelError, match="prior must hold probabilities that sum to one; .* is 0.9"):
        DiscreteModel(torch.tensor([0.5, 0.4], dtype=torch.float64), flat)
    with pytest.raises(ModelError, match="likelihood must hold probabilities .* the least is -0.5"):
        DiscreteModel(half, torch.tensor([[[-0.5, 1.5]], [[0.5, 0.5]]]))
    with pytest.raises(ModelError, match="some probability. Leave out what never happens"):
        DiscreteModel(half, torch.tensor([[[0.0, 1.0]], [[0.0, 1.0]]]))
    with pytest.raises(ModelError, match="some probability"):
        DiscreteModel(torch.tensor([0.0, 1.0]), flat)
    model = DiscreteModel(half, flat)
    with pytest.raises(ModelError, match=r"recognition must be \[O, U, Z\], here \[2, 2, 2\]; got \[2, 2\]"):
        completion(model, half.expand(2, 2))
    with pytest.raises(ModelError, match="recognition must hold probabilities that sum to one"):
        completion(model, torch.full((2, 2, 2), torch.nan))


def test_a_chain_that_never_gets_everywhere_has_no_stationary_law_of_its_own() -> None:
    with pytest.raises(ModelError, match="several stationary laws"):
        stationary(torch.eye(3))
    one_way = torch.tensor([[1.0, 0.0], [0.5, 0.5]])
    assert stationary(one_way).tolist() == [1, 0]
    alternating = torch.tensor([[0.0, 1.0], [1.0, 0.0]])
    torch.testing.assert_close(stationary(alternating), torch.tensor([0.5, 0.5], dtype=torch.float64))
    assert completion(*sticky_chain(noise=1e-3, error=0.0)).stationary_error < 1e-9
