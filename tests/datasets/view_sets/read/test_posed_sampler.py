"""Each number is given once an epoch, to one rank, and what was left comes after a resume."""

import itertools
from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from torch.utils.data import DataLoader
from torchdata.stateful_dataloader import StatefulDataLoader

from render3d.datasets import ResumableSampler
from render3d.errors import DatasetError


@given(length=st.integers(0, 40), world_size=st.integers(1, 6), epoch=st.integers(0, 5), shuffle=st.booleans())
def test_ranks_share_an_epoch(length: int, world_size: int, epoch: int, shuffle: bool) -> None:
    parts, even = [], []
    for rank in range(world_size):
        for kept, is_even in ((parts, False), (even, True)):
            sampler = ResumableSampler(length, shuffle=shuffle, even=is_even, rank=rank, world_size=world_size)
            sampler.set_epoch(epoch)
            kept.append(list(sampler))
            assert len(sampler) == len(kept[-1])
    assert sorted(itertools.chain(*parts)) == list(range(length))
    assert {len(part) for part in even} == {length // world_size}
    assert len({*itertools.chain(*even)}) == length // world_size * world_size


def test_the_order_is_random_and_a_function_of_seed_and_epoch() -> None:
    counts: Counter[tuple[int, ...]] = Counter()
    for seed in range(30):
        sampler = ResumableSampler(3, seed=seed, rank=0, world_size=1)
        for epoch in range(30):
            sampler.set_epoch(epoch)
            order = tuple(sampler)
            assert order == tuple(sampler)
            counts[order] += 1
    assert len(counts) == 6
    assert stats.chisquare(list(counts.values())).pvalue > 1e-4
    assert list(ResumableSampler(4, shuffle=False, rank=0, world_size=1)) == [0, 1, 2, 3]


def test_a_sampler_goes_on_where_it_was_left() -> None:
    whole = ResumableSampler(11, rank=1, world_size=2)
    whole.set_epoch(4)
    order = list(whole)
    for left in range(len(order) + 1):
        sampler = ResumableSampler(11, rank=1, world_size=2)
        sampler.set_epoch(4)
        before = [number for _, number in zip(range(left), sampler, strict=False)]
        again = ResumableSampler(11, rank=1, world_size=2)
        again.load_state_dict(sampler.state_dict())
        again.set_epoch(4)
        assert len(again) == len(order) - left
        assert before + list(again) == order
        assert list(again) == order  # the next time from the start


@pytest.mark.parametrize("workers", [0, 2])
def test_a_loader_goes_on_from_a_count_of_its_batches(workers: int) -> None:
    def loader(sampler: ResumableSampler) -> DataLoader[Any]:
        return DataLoader(range(11), batch_size=2, sampler=sampler, num_workers=workers)  # type: ignore[arg-type]

    sampler = ResumableSampler(11, rank=0, world_size=1)
    batches = iter(loader(sampler))
    before = [next(batches).tolist() for _ in range(3)]
    state = sampler.state_dict()
    assert state["position"] == 6 or workers  # workers fetch ahead
    again = ResumableSampler(11, rank=0, world_size=1)
    again.load_state_dict(state | {"position": 6})
    rest = [batch.tolist() for batch in loader(again)]
    assert before + rest == [batch.tolist() for batch in loader(ResumableSampler(11, rank=0, world_size=1))]


@pytest.mark.filterwarnings("ignore:'set_vital' is deprecated")  # which torchdata calls
@pytest.mark.parametrize("workers", [0, 2])
def test_a_stateful_loader_goes_on_between_batches(workers: int) -> None:
    def loader() -> StatefulDataLoader[Any]:
        sampler = ResumableSampler(11, rank=0, world_size=1)
        return StatefulDataLoader(range(11), batch_size=2, sampler=sampler, num_workers=workers)  # type: ignore[arg-type]

    whole = [batch.tolist() for batch in loader()]
    first = loader()
    batches = iter(first)
    before = [next(batches).tolist() for _ in range(3)]
    again = loader()
    again.load_state_dict(first.state_dict())
    assert before + [batch.tolist() for batch in again] == whole


def test_the_state_of_another_order_is_refused() -> None:
    state = ResumableSampler(11, rank=0, world_size=1).state_dict()
    for other in (
        ResumableSampler(12, rank=0, world_size=1),
        ResumableSampler(11, seed=1, rank=0, world_size=1),
        ResumableSampler(11, rank=0, world_size=2),
        ResumableSampler(11, shuffle=False, rank=0, world_size=1),
    ):
        with pytest.raises(DatasetError, match="state is of another order of examples"):
            other.load_state_dict(state)


def test_an_epoch_below_zero_is_refused() -> None:
    with pytest.raises(DatasetError, match="epoch must be at least 0"):
        ResumableSampler(3, rank=0, world_size=1).set_epoch(-1)
