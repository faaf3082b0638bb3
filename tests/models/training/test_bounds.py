"""Importance-weighted bounds: closed forms of a linear-Gaussian model, and quadrature for the sequential one."""

import dataclasses
import gc
import itertools
import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor

from render3d.datasets import PrimitivesSettings
from render3d.errors import ModelError
from render3d.models.base import Recipe, TrainSettings
from render3d.models.experiments import Volumes
from render3d.models.parts.batch import Batch
from render3d.models.parts.gaussians import DiagonalGaussian
from render3d.models.parts.sequential import FreeEnergy, SequentialModel
from render3d.models.training import evaluation
from render3d.models.training.evaluation import Bound, Estimate, bound
from render3d.models.training.sources import BatchSource, model_of
from render3d.randomness import Key

Z_SCORE = 4.5  # of each statistic below: a false alarm in 150,000
X = torch.tensor([0.7, -1.1, 0.4], dtype=torch.float64)


@dataclasses.dataclass
class LinearGaussian:
    """``z ~ N(0, 1)``, ``x ~ N(a z, s^2 I)``; q is the posterior, shifted by so many of its scales, and stretched."""

    shift: float = 0.0
    factor: float = 1.0
    a: Tensor = dataclasses.field(default_factory=lambda: torch.tensor([1.0, -0.5, 0.3], dtype=torch.float64))
    s: float = 0.8
    start: Tensor = dataclasses.field(default_factory=lambda: torch.zeros(1))

    def posterior(self, x: Tensor) -> tuple[Tensor, float]:
        """Mean ``[N]`` and scale of the exact one."""
        precision = 1 + float(self.a @ self.a) / self.s**2
        return x @ self.a / self.s**2 / precision, precision**-0.5

    def log_evidence(self, x: Tensor) -> float:
        """``log p(x)``, by scipy."""
        covariance = np.outer(self.a, self.a) + self.s**2 * np.eye(3)
        return float(stats.multivariate_normal.logpdf(x.numpy(), np.zeros(3), covariance))

    def divergence(self) -> float:
        """``KL[q || p(z given x)]``: of two normal laws."""
        return 0.5 * (self.factor**2 + self.shift**2 - 1) - math.log(self.factor)

    def __call__(self, batch: Batch, key: Key) -> FreeEnergy:
        mean, scale = self.posterior(batch.x)
        log_scale = torch.full_like(mean, math.log(self.factor * scale))
        law = DiagonalGaussian((mean + self.shift * scale)[:, None], log_scale[:, None])
        generator = torch.Generator().manual_seed(key.fold_in(key.first_example).seed)
        noise = torch.randn(len(mean), 1, generator=generator, dtype=torch.float64)
        x_hat = law.sample(noise) * self.a
        square = ((batch.x - x_hat) / self.s).square().sum(1)
        reconstruction = 0.5 * square + 3 * math.log(self.s * math.sqrt(2 * math.pi))
        return FreeEnergy(reconstruction, law.kl_to_standard()[:, None], law.log_ratio(noise))


class Copies:
    """A source that shows the same x again and again."""

    split = "test"

    def __init__(self, count: int) -> None:
        self.count = count

    def __len__(self) -> int:
        return self.count

    def batch(self, indices: range, device: object) -> Batch:
        return Batch(X.expand(len(indices), -1))


def measured(model: object, samples: int, count: int = 20_000) -> Bound:
    """The bounds of as many copies of x, each with latents of its own."""
    return bound(model, Copies(count), count, samples=samples)  # type: ignore[arg-type]


@pytest.fixture(autouse=True)
def large_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evaluation, "_BATCH", 5000)


WRONG = LinearGaussian(shift=0.6, factor=1.3)


def z_score(values: Tensor, wanted: float) -> float:
    return float((values.mean() - wanted) / (values.std() / len(values) ** 0.5))


def test_one_sample_gives_the_evidence_bound() -> None:
    found = measured(WRONG, 1)
    assert torch.equal(found.importance_weighted, found.total)
    assert abs(z_score(found.total, WRONG.divergence() - WRONG.log_evidence(X))) < Z_SCORE
    assert WRONG.divergence() > 0.2  # a bound that is not tight
    weights = WRONG(Batch(X.expand(20_000, -1)), Key(3)).log_weight
    assert abs(z_score(weights, WRONG.log_evidence(X) - WRONG.divergence())) < Z_SCORE


def test_two_samples_give_what_quadrature_gives() -> None:
    """``E log (w_1 + w_2) / 2`` over two independent z, on a grid of 120 x 120 nodes."""
    nodes, weights = (torch.from_numpy(one) for one in np.polynomial.hermite_e.hermegauss(120))
    weights = weights / weights.sum()
    mean, scale = WRONG.posterior(X)
    z = mean + scale * (WRONG.shift + WRONG.factor * nodes)
    q = stats.norm(mean + scale * WRONG.shift, scale * WRONG.factor)
    joint = stats.norm.logpdf(z) + stats.norm.logpdf(X[:, None], WRONG.a[:, None] * z, WRONG.s).sum(0)
    log_w = torch.from_numpy(joint - q.logpdf(z))
    pairs = torch.logaddexp(log_w[:, None], log_w) - math.log(2)
    wanted = float((weights[:, None] * weights * pairs).sum())
    assert WRONG.log_evidence(X) - WRONG.divergence() + 0.05 < wanted < WRONG.log_evidence(X) - 0.05
    assert abs(z_score(measured(WRONG, 2).importance_weighted, -wanted)) < Z_SCORE


def test_more_samples_give_a_better_bound_that_stays_one() -> None:
    """Paired by example, with the samples of the smaller bound among those of the larger."""
    by_samples = {samples: measured(WRONG, samples).importance_weighted for samples in (1, 2, 4, 8, 16)}
    for fewer, more in itertools.pairwise(by_samples.values()):
        assert z_score(fewer - more, 0.0) > 10
    for values in by_samples.values():
        assert z_score(values, -WRONG.log_evidence(X)) > 2


def test_many_samples_give_the_evidence_less_an_error_of_the_known_order() -> None:
    """``K (log p - E L_K)`` tends to half the variance of ``w / p(x)``, which is ``E_q[(p / q)^2] - 1``."""
    wide = 2 * WRONG.factor**2 - 1
    variance = WRONG.factor**2 / math.sqrt(wide) * math.exp(WRONG.shift**2 / wide) - 1
    samples = 40
    missing = measured(WRONG, samples, count=100_000).importance_weighted + WRONG.log_evidence(X)
    error = float(missing.std()) / len(missing) ** 0.5
    assert float(missing.mean()) == pytest.approx(variance / (2 * samples), rel=0.05, abs=Z_SCORE * error)
    assert variance / (2 * samples) > 10 * error  # which is enough to see it


def test_with_the_exact_posterior_every_bound_is_the_evidence() -> None:
    for samples in (2, 7):
        found = measured(LinearGaussian(), samples, count=100).importance_weighted
        torch.testing.assert_close(found, torch.full_like(found, -WRONG.log_evidence(X)), atol=1e-12, rtol=0)


def test_the_weights_of_the_sequential_model_average_to_the_evidence(build) -> None:  # type: ignore[no-untyped-def]
    """Two steps, one latent each: sums over a grid of both z, under q for the weights, under the prior for p(x)."""
    model: SequentialModel = build(steps=2, latents=1, n=2)
    with torch.no_grad():
        model.posterior.moments[-1].weight.mul_(0.2)
        model.posterior.moments[-1].bias.copy_(torch.tensor([0.4, 0.1]))  # wrong, and wide enough for a grid
    x = (torch.rand(1, 1, 2, 2, 2, generator=torch.Generator().manual_seed(0)) < 0.4).double()
    nodes = torch.linspace(-9, 9, 181, dtype=torch.float64)
    weights = torch.exp(-0.5 * nodes.square()) / math.sqrt(2 * math.pi) * float(nodes[1] - nodes[0])
    grid, weight = torch.cartesian_prod(nodes, nodes)[:, :, None], torch.outer(weights, weights).flatten()
    batch = Batch(x.expand(len(grid), -1, -1, -1, -1))
    with torch.no_grad():
        terms = model.free_energy(batch, grid, Key(0))
        x_hat = model.decode(model.imagine(grid), batch, Key(0))
        evidence = float(weight @ model.likelihood.log_prob(batch.x, x_hat).exp())
    assert float(weight @ terms.log_weight.exp()) == pytest.approx(evidence, rel=1e-5)  # writing has kinks
    assert float(weight @ terms.log_weight) == pytest.approx(-float(weight @ terms.total), rel=1e-9)
    assert float(weight @ terms.log_weight) < math.log(evidence) - 0.01


def test_memory_does_not_grow_with_the_samples() -> None:
    """As many tensors are alive in sample 300 as in sample 10."""
    calls, alive = 0, {}

    def watched(batch: Batch, key: Key) -> FreeEnergy:
        nonlocal calls
        calls += 1
        if calls in (10, 300):
            alive[calls] = sum(issubclass(type(one), Tensor) for one in gc.get_objects())
        return WRONG(batch, key)

    watched.start = WRONG.start  # type: ignore[attr-defined]
    measured(watched, 300, count=10)
    assert calls == 300 and alive[300] == alive[10]


DATA = PrimitivesSettings(size=8, solid_size=4, translation=4, train=24, validation=12, test=12)
RECIPE = Recipe(
    data=DATA,
    experiment=Volumes(steps=2, latents=3, state=12, hidden=10, features=3, glimpse=2, patch=4),
    training=TrainSettings(updates=1),
)


def test_neither_batches_nor_processes_change_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    source = BatchSource(RECIPE, "test")
    model = model_of(RECIPE, source.classes)
    whole = bound(model, source, 12, samples=3)
    assert (whole.samples, whole.split, len(whole.importance_weighted)) == (3, "test", 12)
    assert torch.equal(whole.total, bound(model, source, 12).total)
    monkeypatch.setattr(evaluation, "_BATCH", 5)
    parts = []
    for rank in (0, 1):
        world = SimpleNamespace(size=2, rank=rank, device=torch.device("cpu"), sum=lambda values: values)
        parts.append(bound(model, source, 12, world, samples=3).importance_weighted)  # type: ignore[arg-type]
    assert [int((part == 0).sum()) for part in parts] == [5, 7]  # five of twelve are the other's
    torch.testing.assert_close(parts[0] + parts[1], whole.importance_weighted, atol=1e-4, rtol=0)
    assert not torch.equal(bound(model, source, 12, seed=1, samples=3).importance_weighted, whole.importance_weighted)


def test_less_than_one_sample_is_refused() -> None:
    with pytest.raises(ModelError, match="samples must be at least 1; got 0"):
        measured(WRONG, 0)


def test_intervals_are_those_of_student() -> None:
    values = torch.tensor([3.0, 1.0, 4.0, 1.0, 5.0, 9.0], dtype=torch.float64)
    found, wanted = Estimate.of(values), stats.ttest_1samp(values.numpy(), 0).confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((wanted.low, wanted.high))
    assert found.mean == pytest.approx(23 / 6) and found.standard_error == pytest.approx(stats.sem(values.numpy()))
    assert str(found) == f"3.83 nats, 95% interval {wanted.low:.2f} to {wanted.high:.2f}"
    alone = Estimate.of(values[:1])
    assert alone.mean == 3 and math.isnan(alone.low)


def test_the_gain_of_more_samples_is_known_better_than_either_bound() -> None:
    """Paired by example: what examples have in common drops out."""
    spread = 5 * torch.randn(40, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    one, many = spread + 2, spread + 1 + 0.1 * torch.linspace(-1, 1, 40, dtype=torch.float64)
    found = Bound(one, one, many, 8, "test")
    assert found.gain.mean == pytest.approx(1) and found.gain.low > 0.9
    assert found.by_samples[1].high - found.by_samples[1].low > 1
    summary = found.summary()
    assert summary["samples"] == 1 and summary["importance_weighted"]["samples"] == 8
    assert summary["interval_95"] == [found.by_samples[1].low, found.by_samples[1].high]
    assert summary["importance_weighted"]["gain_over_one_sample"]["nats"] == pytest.approx(1)
