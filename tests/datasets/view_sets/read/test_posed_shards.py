"""Each example comes once, however many ranks and workers read, in an order of its own for each epoch."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pictures import ALPHA, InWorker, Many, at_epoch, ids_of, stream
from torch import distributed
from torch.utils.data import DataLoader

from render3d import collate
from render3d.datasets import PosedObjects, PosedSettings, PosedShards
from render3d.datasets.view_sets.read import shards as module
from render3d.errors import DatasetError
from render3d.view_sets.files import MemoryFiles


@pytest.mark.parametrize("buffer", [0, 4])
def test_two_ranks_of_two_workers_give_every_example_once(many: Many, buffer: int) -> None:
    folder, objects = many
    seen: list[str] = []
    for rank in range(2):
        dataset = stream(folder, buffer=buffer, rank=rank, world_size=2)
        for batch in DataLoader(dataset, batch_size=2, num_workers=2, collate_fn=collate):
            seen += batch.id
            assert batch.images["alpha"].shape[1:] == (1, 1, 5, 7)
    assert sorted(seen) == sorted(item.id for item in objects)


@settings(deadline=None, max_examples=60)
@given(
    world_size=st.integers(1, 5),
    workers=st.integers(1, 4),
    buffer=st.integers(0, 20),
    epoch=st.integers(0, 3),
    even=st.booleans(),
)
def test_any_number_of_ranks_and_workers_shares_an_epoch(
    many: Many, world_size: int, workers: int, buffer: int, epoch: int, even: bool
) -> None:
    counts, numbers = [], []
    with pytest.MonkeyPatch.context() as patch:
        enter = InWorker(patch)
        for rank in range(world_size):
            dataset = stream(many[0], buffer=buffer, rank=rank, world_size=world_size, even=even)
            parts = []
            for worker in range(workers):
                enter(worker, workers)
                order, stored = dataset._order(epoch)
                assert sorted(order) == sorted(stored)
                parts.append(len(order))
                numbers += order
            counts.append(sum(parts))
            assert max(parts) - min(parts) <= 1
    assert len(set(numbers)) == len(numbers)
    assert len(numbers) == (13 - 13 % world_size if even else 13)
    assert max(counts) - min(counts) <= (0 if even else 1)


@pytest.mark.usefixtures("undecoded")
def test_the_order_is_a_function_of_seed_and_epoch(many: Many) -> None:
    orders = {}
    for seed in range(2):
        for epoch in range(3):
            chosen = PosedSettings(outputs=("alpha",), seed=seed)
            orders[seed, epoch] = tuple(ids_of(at_epoch(stream(many[0], settings=chosen), epoch)))
            assert orders[seed, epoch] == tuple(ids_of(at_epoch(stream(many[0], settings=chosen), epoch)))
    assert len(set(orders.values())) == 6


@pytest.mark.usefixtures("undecoded")
def test_without_a_buffer_the_order_is_that_of_the_shards(many: Many) -> None:
    dataset = stream(many[0], buffer=0)
    index = json.loads((many[0] / "shards/index.json").read_bytes())
    stored = [item["id"] for shard in index["shards"] for item in shard["objects"]]
    assert ids_of(dataset) == list(dataset.ids) == stored
    dataset.set_epoch(3)
    assert ids_of(dataset) == stored


def test_examples_are_those_of_the_folder(many: Many) -> None:
    chosen = PosedSettings(outputs=("rgb", "depth"), views=2, split="train", verify=True)
    folder = PosedObjects(many[0], chosen)
    shards = stream(many[0] / "shards", settings=chosen)
    folder.set_epoch(2)
    shards.set_epoch(2)
    streamed = {example.id: example for example in shards}
    assert streamed.keys() == {*folder.ids}
    for number in range(len(folder)):
        one, other = folder[number], streamed[folder.ids[number]]
        assert one.label == other.label
        assert all(torch.equal(one.images[name], other.images[name]) for name in ("rgb", "depth"))
        assert torch.equal(one.cameras.world_to_camera, other.cameras.world_to_camera)


@pytest.mark.usefixtures("undecoded")
def test_no_more_is_held_than_the_buffer_has_room_for(many: Many, monkeypatch: pytest.MonkeyPatch) -> None:
    read = 0
    objects_in = module.objects_in

    def counted(*arguments: Any) -> Any:
        nonlocal read
        for found in objects_in(*arguments):
            read += 1
            yield found

    monkeypatch.setattr(module, "objects_in", counted)
    dataset = stream(many[0], buffer=4)
    ahead = [read - number for number, _ in enumerate(dataset)]
    assert max(ahead) == 4  # one of them is given out
    assert read == 13


def test_each_item_may_leave_the_buffer_first() -> None:
    import numpy as np

    firsts = {module._through_buffer(range(9), 4, np.random.default_rng(seed))[0] for seed in range(60)}
    assert firsts == {0, 1, 2, 3}
    assert sorted(module._through_buffer(range(9), 4, np.random.default_rng(0))) == list(range(9))
    assert sorted(module._through_buffer(range(3), 4, np.random.default_rng(0))) == [0, 1, 2]
    assert module._through_buffer([], 4, np.random.default_rng(0)) == []


def test_ranks_are_those_of_torchrun_or_of_torch_distributed(many: Many, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "3")
    dataset = PosedShards(many[0], ALPHA)
    assert (dataset.rank, dataset.world_size) == (1, 3)
    monkeypatch.setattr(distributed, "is_initialized", lambda: True)
    monkeypatch.setattr(distributed, "get_rank", lambda: 2)
    monkeypatch.setattr(distributed, "get_world_size", lambda: 4)
    dataset = PosedShards(many[0], ALPHA)
    assert (dataset.rank, dataset.world_size) == (2, 4)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rank": 2, "world_size": 2}, "rank must be from 0 to world_size - 1; got rank=2"),
        ({"rank": 0, "world_size": None}, "rank and world_size belong together"),
        ({"buffer": -1}, "buffer must be at least 0"),
    ],
)
def test_options_out_of_range_are_refused(many: Many, options: dict[str, Any], message: str) -> None:
    with pytest.raises(DatasetError, match=message):
        stream(many[0], **options)


def test_files_in_memory_are_found_by_the_names_they_have_in_folders() -> None:
    files = MemoryFiles(Path("x.tar"), "a/b", {"images.0000.png": b"1"})
    assert files.has("images/0000.png")
    assert files.read("images/0000.png") == b"1"
    assert str(files.where("images/0000.png")) == "x.tar/a/b.images.0000.png"
