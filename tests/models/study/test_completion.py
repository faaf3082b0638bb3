"""Completion: the kernel by exact sums on a tiny model, its diagnostic, and what it is compared with."""

import itertools
import math

import pytest
import torch
from torch import Tensor

from render3d.errors import ModelError
from render3d.models.parts.batch import Batch
from render3d.models.parts.sequential import SequentialModel
from render3d.models.study.completion import complete, nearest, potential_scale_reduction, volume_iou
from render3d.randomness import Key


def every_volume() -> Tensor:
    """All 2^4 volumes of 1 x 2 x 2 voxels within 2^3, the rest of them empty."""
    bits = torch.tensor(list(itertools.product([0.0, 1.0], repeat=4)), dtype=torch.float64)
    return torch.cat([bits, torch.zeros(16, 4, dtype=torch.float64)], 1).reshape(16, 1, 2, 2, 2)


def test_the_chain_has_the_transition_probabilities_of_the_kernel(build) -> None:  # type: ignore[no-untyped-def]
    """``K(x'_u | x_u, x_o)`` by a sum over z on a grid, against the frequencies of 40,000 first steps."""
    model: SequentialModel = build(steps=1, latents=1, n=2)
    x = every_volume()[9][None]
    observed = torch.ones(1, 2, 2, 2, dtype=torch.bool)
    observed[0, 0, 1, :] = False  # two voxels are missing
    count = 40_000
    many = x.expand(count, -1, -1, -1, -1)
    first = next(iter(complete(model, many, observed, Key(3), noise_rate=0.5)))
    missing = first.x[:, ~observed]
    frequency = torch.bincount((2 * missing[:, 0] + missing[:, 1]).long(), minlength=4).double() / count

    z = torch.linspace(-8, 8, 2001, dtype=torch.float64)
    weight = torch.exp(-0.5 * z**2) / math.sqrt(2 * math.pi) * float(z[1] - z[0])
    wanted = torch.zeros(4, dtype=torch.float64)
    with torch.no_grad():
        for start in itertools.product([0.0, 1.0], repeat=2):  # fair coins
            begun = x.clone()
            begun[:, ~observed] = torch.tensor(start, dtype=torch.float64)
            batch = Batch(begun.expand(len(z), -1, -1, -1, -1))
            states, _ = model.infer(batch, z[:, None, None])
            p = torch.sigmoid(model.decode(states, batch, Key(0)))[:, ~observed]
            for number, (a, b) in enumerate(itertools.product([0, 1], repeat=2)):
                chance = (p[:, 0] if a else 1 - p[:, 0]) * (p[:, 1] if b else 1 - p[:, 1])
                wanted[number] += 0.25 * (chance * weight).sum()
    assert float(wanted.sum()) == pytest.approx(1, abs=1e-6)
    z_score = (frequency - wanted) / (wanted * (1 - wanted) / count).sqrt()
    assert float(z_score.abs().max()) < 4.5  # one in 37,000 for four of them
    assert float((wanted - 0.25).abs().max()) > 0.02  # not what the coins alone would give


def test_what_is_observed_stays_and_what_is_missing_is_never_looked_at(build) -> None:  # type: ignore[no-untyped-def]
    model: SequentialModel = build()
    x = (torch.rand(3, 1, 4, 4, 4) < 0.5).double()
    observed = torch.rand(1, 4, 4, 4) < 0.5
    blank = torch.where(observed, x, torch.nan)
    chains = [
        list(itertools.islice(complete(model, volume, observed, Key(5), noise_rate=0.5), 6)) for volume in (x, blank)
    ]
    for one, other in zip(*chains, strict=True):
        assert torch.equal(one.x, other.x)
        assert torch.equal(one.x[:, observed], x[:, observed])
        assert set(one.x.unique().tolist()) <= {0.0, 1.0}
    assert not torch.equal(chains[0][0].x, chains[0][1].x)


def test_feeding_means_back_is_another_chain(build) -> None:  # type: ignore[no-untyped-def]
    model: SequentialModel = build()
    x, observed = torch.ones(1, 1, 4, 4, 4, dtype=torch.float64), torch.arange(4) < 2
    state = next(iter(complete(model, x, observed, Key(0), feedback="mean")))
    assert torch.equal(state.x[..., 2:], state.mean[..., 2:])
    assert 0 < float(state.x[0, 0, 0, 0, 3]) < 1


@pytest.mark.parametrize(
    ("observed", "message"),
    [
        (torch.ones(4, 4), "must be bool"),
        (torch.ones(5, dtype=torch.bool), "must broadcast"),
        (torch.ones(4, dtype=torch.bool), "something to complete"),
        (torch.zeros(4, dtype=torch.bool), "something to see"),
    ],
)
def test_a_mask_that_makes_no_sense_is_refused(build, observed: Tensor, message: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ModelError, match=message):
        complete(build(), torch.zeros(1, 1, 4, 4, 4, dtype=torch.float64), observed, Key(0))


def test_another_feedback_is_refused(build) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ModelError, match="'sample' or 'mean'"):
        complete(build(), torch.zeros(1, 1, 4, 4, 4), torch.arange(4) < 2, Key(0), feedback="mode")  # type: ignore[arg-type]
    with pytest.raises(ModelError, match="noise_rate must lie in 0-1"):
        complete(build(), torch.zeros(1, 1, 4, 4, 4), torch.arange(4) < 2, Key(0), noise_rate=1.5)


def test_the_diagnostic_tells_mixed_chains_from_stuck_ones() -> None:
    generator = torch.Generator().manual_seed(0)
    mixed = torch.randn(4, 400, 2, generator=generator)
    assert bool((potential_scale_reduction(mixed) < 1.02).all())
    apart = mixed + 3 * torch.arange(4.0)[:, None, None]
    assert bool((potential_scale_reduction(apart) > 2).all())
    drifting = mixed[:1] + torch.linspace(0, 5, 400)[None, :, None]
    assert bool((potential_scale_reduction(drifting) > 1.3).all())
    assert potential_scale_reduction(torch.ones(3, 10)).item() == 1
    assert potential_scale_reduction(torch.arange(3.0)[:, None].expand(3, 10)).item() == math.inf
    with pytest.raises(ModelError, match="at least four steps"):
        potential_scale_reduction(torch.ones(3, 3))


def test_overlap_counts_the_missing_part_only() -> None:
    a, b = torch.zeros(2, 1, 1, 1, 4), torch.zeros(2, 1, 1, 1, 4)
    a[0, ..., :3], b[0, ..., 1:] = 1, 1
    missing = torch.tensor([False, False, True, True])
    torch.testing.assert_close(volume_iou(a, b, missing), torch.tensor([0.5, 1.0]))


def test_a_tolerance_forgives_a_shift_by_so_many_voxels() -> None:
    """A bar moved by one voxel sideways: nothing overlaps; within one voxel all does, within the missing part."""
    a, b, c = torch.zeros(3, 1, 1, 5, 5, 8).unbind(0)
    a[..., 2, 2, :], b[..., 3, 2, :], c[..., 4, 2, :] = 1, 1, 1
    everywhere = torch.tensor(True)
    assert volume_iou(a, b, everywhere).item() == 0
    assert volume_iou(a, b, everywhere, tolerance=1).item() == 1
    assert volume_iou(a, c, everywhere, tolerance=1).item() == 0
    assert volume_iou(a, c, everywhere, tolerance=2).item() == 1
    half_as_long = b * (torch.arange(8) < 4)
    # 5 of 8 voxels of a are near one of the shorter bar, and all of its 4: D = 9 / 12.
    assert volume_iou(a, half_as_long, everywhere, tolerance=1).item() == pytest.approx(0.75 / (2 - 0.75))
    assert volume_iou(a, half_as_long, torch.arange(8) >= 4, tolerance=1).item() == 0


def test_the_nearest_training_volume_is_judged_by_what_is_observed() -> None:
    training = torch.tensor([[0.0, 0.0, 1.0, 1.0], [1.0, 1.0, 0.0, 0.0]])
    x = torch.tensor([[1.0, 0.9, 1.0, 1.0]])
    assert torch.equal(nearest(x, torch.tensor([True, True, False, False]), training), training[1:])
    assert torch.equal(nearest(x, torch.tensor([False, False, True, True]), training), training[:1])
