"""The file of a run: what is read is what was written, and what is something else is a named error."""

import dataclasses
import json
import pickle
import re
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from render3d.errors import TrainingError
from render3d.runs.checkpoint import Checkpoint


@dataclasses.dataclass(frozen=True, kw_only=True)
class Seen:
    number: int
    loss: float
    measured: float | None = None


TENSORS = {"weight": torch.arange(6.0).reshape(2, 3), "count": torch.tensor(3, dtype=torch.int64)}
RECORDS = [Seen(number=1, loss=1 / 3), Seen(number=2, loss=float("inf"), measured=1e-9)]
HEADER = {"updates": "2", "records": json.dumps([dataclasses.asdict(record) for record in RECORDS])}


@pytest.fixture
def checkpoint(tmp_path: Path) -> Checkpoint[Seen]:
    made = Checkpoint(tmp_path / "run.safetensors", Seen, TrainingError)
    made.save(TENSORS, 2, RECORDS)
    return made


def expected(count: int, records: object) -> dict[str, torch.Tensor]:
    return TENSORS


def test_what_is_loaded_is_what_was_saved(checkpoint: Checkpoint[Seen]) -> None:
    saved = checkpoint.load(expected)
    assert (saved.updates, saved.records) == (2, RECORDS)
    assert all(torch.equal(saved.tensors[name], value) for name, value in TENSORS.items())
    assert set(load_file(checkpoint.path)) == set(TENSORS)


def test_what_is_expected_may_depend_on_how_far_the_run_was(checkpoint: Checkpoint[Seen]) -> None:
    asked = []
    checkpoint.load(lambda count, records: asked.append((count, list(records))) or TENSORS)
    assert asked == [(2, RECORDS)]


def test_tensors_that_are_no_blocks_of_memory_are_saved_by_value(checkpoint: Checkpoint[Seen]) -> None:
    checkpoint.save(TENSORS | {"weight": torch.arange(6.0).reshape(3, 2).T}, 2, RECORDS)
    assert checkpoint.load(expected).tensors["weight"].tolist() == [[0, 2, 4], [1, 3, 5]]


def change(path: Path, header: dict[str, str], tensors: dict[str, torch.Tensor] | None = None) -> None:
    save_file(TENSORS if tensors is None else tensors, path, HEADER | header)


def record(**values: object) -> dict[str, str]:
    return {"records": json.dumps([{"number": 1, "loss": 0.5, "measured": None} | values])}


DAMAGES = {
    "empty": (lambda path: path.write_bytes(b""), ""),
    "cut off": (lambda path: path.write_bytes(path.read_bytes()[:-7]), ""),
    "cut in the header": (lambda path: path.write_bytes(path.read_bytes()[:40]), ""),
    "text": (lambda path: path.write_text("steps: 12"), ""),
    "gone": (lambda path: path.unlink(), "No such file"),
    "a folder": (lambda path: (path.unlink(), path.mkdir()), ""),
    "no header": (lambda path: save_file(TENSORS, path), "updates"),
    "no tensors": (lambda path: change(path, {}, {}), "it lacks count, weight"),
    "a tensor less": (lambda path: change(path, {}, {"weight": TENSORS["weight"]}), "it lacks count"),
    "a tensor more": (lambda path: change(path, {}, TENSORS | {"bias": torch.zeros(1)}), "it has no use for bias"),
    "another shape": (
        lambda path: change(path, {}, TENSORS | {"weight": torch.zeros(3, 2)}),
        r"weight is torch.float32 of shape \[3, 2\], not torch.float32 of shape \[2, 3\]",
    ),
    "another dtype": (
        lambda path: change(path, {}, TENSORS | {"count": torch.tensor(3.0)}),
        r"count is torch.float32 of shape \[\], not torch.int64 of shape \[\]",
    ),
    "no count": (lambda path: change(path, {"updates": "two"}), "'two'"),
    "a count below zero": (lambda path: change(path, {"updates": "-1"}), "-1 updates"),
    "half a history": (lambda path: change(path, {"records": "[{"}), ""),
    "a history that is no list": (lambda path: change(path, {"records": "{}"}), "records of type dict"),
    "a record that is none": (lambda path: change(path, {"records": "[1]"}), ""),
    "a record too short": (lambda path: change(path, {"records": '[{"number": 1}]'}), "loss"),
    "a record too long": (lambda path: change(path, record(colour=1)), "colour"),
    "a word for a number": (lambda path: change(path, record(loss="0.5")), "record.loss must be float; got '0.5'"),
    "a bool for a number": (lambda path: change(path, record(number=True)), "record.number must be int; got True"),
    "nothing for a number": (lambda path: change(path, record(loss=None)), "record.loss must be float; got None"),
    "a fraction for a count": (lambda path: change(path, record(number=1.5)), "record.number must be int; got 1.5"),
    "a list for a measure": (
        lambda path: change(path, record(measured=[1.0])),
        r"must be float; got \[1.0\]",
    ),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_a_damaged_file_is_an_error_that_names_it(checkpoint: Checkpoint[Seen], name: str) -> None:
    damage, message = DAMAGES[name]
    damage(checkpoint.path)
    told = rf"{re.escape(str(checkpoint.path))} is not a checkpoint of this run, or is damaged \(.*{message}.*Remove it"
    with pytest.raises(TrainingError, match=told):
        checkpoint.load(expected)


class Bomb:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> object:
        return Path.touch, (self.path,)


def test_nothing_is_unpickled(checkpoint: Checkpoint[Seen], tmp_path: Path) -> None:
    proof = tmp_path / "exploded"
    pickled = pickle.dumps(Bomb(proof))
    pickle.loads(pickled)
    assert proof.exists()
    proof.unlink()
    for content in (pickled, len(pickled).to_bytes(8, "little") + pickled):
        checkpoint.path.write_bytes(content)
        with pytest.raises(TrainingError, match="is not a checkpoint"):
            checkpoint.load(expected)
    torch.save({"weight": Bomb(proof)}, checkpoint.path)
    with pytest.raises(TrainingError, match="is not a checkpoint"):
        checkpoint.load(expected)
    assert not proof.exists()
