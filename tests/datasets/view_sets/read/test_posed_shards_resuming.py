"""A stream goes on where it was left, and nowhere else."""

import json
from typing import Any

import pytest
import torch
from pictures import InWorker, Many, at_epoch, ids_of, stream
from torch.utils.data import DataLoader
from torchdata.stateful_dataloader import StatefulDataLoader

from render3d import collate
from render3d.datasets import PosedSettings, PosedShards
from render3d.errors import DatasetError


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
    enter = InWorker(monkeypatch)
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
