"""Each example comes once, however many read; a stream goes on where it was left; bad archives are refused."""

import json
import types
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pictures import ALPHA, Many, ids_of, stream
from torch import distributed
from torch.utils.data import DataLoader
from torchdata.stateful_dataloader import StatefulDataLoader

from render3d import Cameras, collate
from render3d.datasets import PosedObject, PosedObjects, PosedSettings, PosedShards
from render3d.datasets.posed import shards as module
from render3d.datasets.posed.files import MemoryFiles
from render3d.errors import DatasetError


class Worker:
    """Makes the dataset believe that it is in a worker of a loader."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._patch = monkeypatch

    def __call__(self, number: int, count: int) -> None:
        info = types.SimpleNamespace(id=number, num_workers=count)
        self._patch.setattr(module, "get_worker_info", lambda: info)


@pytest.fixture
def undecoded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where order is all that counts, pictures are not decoded."""
    nothing = Cameras.orbit(1, 2.0)
    monkeypatch.setattr(
        module, "read_object", lambda files, place, label, chosen, epoch: PosedObject(place.id, label, {}, nothing)
    )


# Once each


@pytest.mark.parametrize("buffer", [0, 4])
def test_two_ranks_of_two_workers_give_every_example_once(many: Many, buffer: int) -> None:
    folder, shapes = many
    seen: list[str] = []
    for rank in range(2):
        dataset = stream(folder, buffer=buffer, rank=rank, world_size=2)
        for batch in DataLoader(dataset, batch_size=2, num_workers=2, collate_fn=collate):
            seen += batch.id
            assert batch.images["alpha"].shape[1:] == (1, 1, 5, 7)
    assert sorted(seen) == sorted(shape.id for shape in shapes)


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
        enter = Worker(patch)
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


def at_epoch(dataset: PosedShards, epoch: int) -> PosedShards:
    dataset.set_epoch(epoch)
    return dataset


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


# Ranks


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


# Going on


@pytest.mark.usefixtures("undecoded")
@pytest.mark.parametrize("buffer", [0, 4, 50])
def test_a_stream_goes_on_where_it_was_left(many: Many, buffer: int) -> None:
    whole = ids_of(at_epoch(stream(many[0], buffer=buffer), 2))
    for left in (0, 1, 5, 12, 13):
        dataset = at_epoch(stream(many[0], buffer=buffer), 2)
        before = [example.id for _, example in zip(range(left), dataset, strict=False)]
        state = json.loads(json.dumps(dataset.state_dict()))
        again = stream(many[0], buffer=buffer)
        again.load_state_dict(state)
        again.set_epoch(2)  # as a loop over epochs does
        assert again.state_dict() == state
        assert before + ids_of(again) == whole
        assert len(ids_of(again)) == 13  # the next time from the start


def test_the_views_of_what_is_left_are_the_same(many: Many) -> None:
    whole = list(at_epoch(stream(many[0]), 1))
    again = stream(many[0])
    again.load_state_dict(at_epoch(stream(many[0]), 1).state_dict() | {"position": 9})
    for one, other in zip(whole[9:], again, strict=True):
        assert torch.equal(one.images["alpha"], other.images["alpha"])


def test_a_loader_without_workers_goes_on_between_batches(many: Many) -> None:
    def loader(dataset: PosedShards) -> DataLoader[Any]:
        return DataLoader(dataset, batch_size=3, collate_fn=collate)

    whole = [batch.id for batch in loader(stream(many[0]))]
    dataset = stream(many[0])
    batches = iter(loader(dataset))
    before = [next(batches).id for _ in range(2)]
    again = stream(many[0])
    again.load_state_dict(dataset.state_dict())
    assert before + [batch.id for batch in loader(again)] == whole


@pytest.mark.usefixtures("undecoded")
def test_an_iteration_that_is_given_up_loses_nothing(many: Many) -> None:
    dataset = stream(many[0])
    first = next(iter(dataset)).id
    assert ids_of(dataset)[0] == first
    assert len(ids_of(dataset)) == 13


@pytest.mark.usefixtures("undecoded")
def test_another_epoch_begins_at_its_start(many: Many) -> None:
    dataset = stream(many[0])
    dataset.load_state_dict(dataset.state_dict() | {"position": 9})
    dataset.set_epoch(1)
    assert dataset.state_dict()["position"] == 0
    assert len(ids_of(dataset)) == 13


@pytest.mark.parametrize(
    "options",
    [
        {"buffer": 5},
        {"rank": 1, "world_size": 2},
        {"even": True},
        {"settings": PosedSettings(outputs=("alpha",), seed=1)},
        {"settings": PosedSettings(outputs=("alpha",), split="train")},
    ],
)
def test_the_state_of_another_order_is_refused(many: Many, options: dict[str, Any]) -> None:
    state = stream(many[0]).state_dict()
    with pytest.raises(DatasetError, match="state is of another order of examples"):
        stream(many[0], **options).load_state_dict(state)


@pytest.mark.parametrize("state", [{}, {"epoch": 0, "position": -1, "order": ""}, {"epoch": "x", "position": 0}])
def test_what_is_no_state_is_refused(many: Many, state: dict[str, Any]) -> None:
    with pytest.raises(DatasetError, match=r"state must be what state_dict gave|position must be at least 0"):
        stream(many[0]).load_state_dict(state)


def test_a_state_is_refused_where_workers_read_and_taken_from_the_next_epoch(many: Many) -> None:
    dataset = stream(many[0])
    for _ in DataLoader(dataset, batch_size=None, num_workers=1):
        with pytest.raises(DatasetError, match="state_dict of what workers read says nothing"):
            dataset.state_dict()
    dataset.set_epoch(1)
    assert dataset.state_dict()["epoch"] == 1


def test_a_state_without_workers_is_not_used_by_workers(many: Many) -> None:
    dataset = stream(many[0])
    dataset.load_state_dict(dataset.state_dict() | {"position": 5})
    with pytest.raises(DatasetError, match="state is of another order of examples"):
        list(DataLoader(dataset, batch_size=None, num_workers=2))


@pytest.mark.usefixtures("undecoded")
def test_workers_that_load_their_own_states_go_on(many: Many, monkeypatch: pytest.MonkeyPatch) -> None:
    """As torchdata's StatefulDataLoader has them do."""
    enter = Worker(monkeypatch)
    for number in range(2):
        enter(number, 2)
        whole = ids_of(stream(many[0]))
        for left in (0, 3, len(whole)):
            dataset = stream(many[0])
            before = [example.id for _, example in zip(range(left), dataset, strict=False)]
            again = stream(many[0])
            again.load_state_dict(dataset.state_dict())
            assert before + ids_of(again) == whole
        state = dataset.state_dict()
        enter(1 - number, 2)
        with pytest.raises(DatasetError, match="the ranks or the workers differ"):
            stream(many[0]).load_state_dict(state)


@pytest.mark.filterwarnings("ignore:'set_vital' is deprecated")  # which torchdata calls
@pytest.mark.parametrize("workers", [0, 2])
def test_a_stateful_loader_goes_on_between_batches(many: Many, workers: int) -> None:
    def loader() -> StatefulDataLoader[Any]:
        return StatefulDataLoader(stream(many[0]), batch_size=2, num_workers=workers, collate_fn=collate)

    whole = [batch.id for batch in loader()]
    first = loader()
    batches = iter(first)
    before = [next(batches).id for _ in range(3)]
    again = loader()
    again.load_state_dict(first.state_dict())
    assert before + [batch.id for batch in again] == whole


def test_files_in_memory_are_found_by_the_names_they_have_in_folders() -> None:
    files = MemoryFiles(Path("x.tar"), "a/b", {"images.0000.png": b"1"})
    assert files.has("images/0000.png")
    assert files.read("images/0000.png") == b"1"
    assert str(files.where("images/0000.png")) == "x.tar/a/b.images.0000.png"
