"""Workers on this machine: what an object does to its process costs that object only."""

import dataclasses
import multiprocessing
import os
import signal
import time
from collections.abc import Callable
from concurrent.futures import CancelledError
from pathlib import Path
from unittest import mock

import psutil
import pytest

from render3d.datasets.collections import CollectionObject
from render3d.datasets.view_sets.write import guarded
from render3d.datasets.view_sets.write.engine import Failed, Finished, Limits, Outcome
from render3d.datasets.view_sets.write.guarded import GuardedProcess
from render3d.datasets.view_sets.write.local import LocalEngine
from render3d.errors import DatasetError, RendererError

ROOT = Path(__file__).resolve().parents[4]
LONG = 600.0  # seconds; nothing here may wait so long
LIMITS = Limits(seconds=LONG, memory=2**30)


@dataclasses.dataclass(frozen=True)
class Hostile:
    """Does to its process what the object's label says, after leaving a file of its name."""

    folder: Path

    def __call__(self, item: CollectionObject) -> Outcome:
        (self.folder / item.id).touch()
        facts = getattr(self, item.label)() or {}
        return Finished(item, {"pid": float(os.getpid()), **facts})

    def behaves(self) -> None:
        pass

    def counts_threads(self) -> dict[str, float]:
        import torch  # takes seconds: the other objects need none of it

        return {"threads": float(torch.get_num_threads())}

    def sleeps(self) -> None:
        time.sleep(LONG)

    def allocates(self) -> None:
        held = []
        while True:
            held.append(b"x" * 2**24)
            time.sleep(0.001)

    def exits(self) -> None:
        os._exit(3)

    def is_killed(self) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    def raises(self) -> None:
        raise RuntimeError("a mistake in the job")

    def lacks_memory(self) -> None:
        raise MemoryError


class CannotBegin(Hostile):
    """Cannot be unpickled by a worker."""

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return _die, ()


def _die() -> None:
    if multiprocessing.parent_process() is not None:
        os._exit(5)


@pytest.fixture(autouse=True)
def _importable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(ROOT)  # workers import this module


def objects_of(*labels: str) -> list[CollectionObject]:
    return [CollectionObject(f"{number}-{label}", Path("none"), Path(), label) for number, label in enumerate(labels)]


EXPECTED = {
    "allocates": ("memory", "more than 1 GiB"),
    "exits": ("crash", "status 3"),
    "is_killed": ("crash", "status -9"),
    "raises": ("crash", "RuntimeError: a mistake in the job"),
    "lacks_memory": ("memory", "no memory left"),
}


def test_objects_that_take_too_long_are_ended_and_cost_themselves_only(tmp_path: Path) -> None:
    """None here is quick enough on any machine, for a slow machine must not decide."""
    outcomes = list(LocalEngine(1).run(Hostile(tmp_path), objects_of("sleeps", "sleeps"), Limits(seconds=2)))
    assert [(one.object.id, one.kind) for one in outcomes if isinstance(one, Failed)] == [
        ("0-sleeps", "timeout"),
        ("1-sleeps", "timeout"),
    ]
    assert all("longer than 2 s" in one.reason for one in outcomes if isinstance(one, Failed))


def test_each_fault_costs_its_object_only(tmp_path: Path) -> None:
    objects = objects_of("behaves", *EXPECTED, "behaves", "behaves")
    outcomes = list(LocalEngine(2).run(Hostile(tmp_path), objects, LIMITS))
    assert sorted(outcome.object.id for outcome in outcomes) == [item.id for item in objects]
    for outcome in outcomes:
        if outcome.object.label == "behaves":
            assert isinstance(outcome, Finished)
        else:
            assert isinstance(outcome, Failed)
            kind, reason = EXPECTED[outcome.object.label]
            assert outcome.kind == kind, outcome
            assert reason in outcome.reason
    assert "a mistake in the job" in next(one for one in outcomes if one.object.label == "raises").trace  # type: ignore[union-attr]
    assert not any("spawn_main" in " ".join(child.cmdline()) for child in psutil.Process().children())


def test_a_worker_computes_on_one_thread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)
    [outcome] = LocalEngine(1).run(Hostile(tmp_path), objects_of("counts_threads"), LIMITS)
    assert isinstance(outcome, Finished)
    assert outcome.seconds["threads"] == 1


def test_so_does_one_whose_script_has_imported_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    monkeypatch.setattr(os, "environ", dict(os.environ))
    monkeypatch.setattr(guarded.threading, "Thread", mock.Mock())  # it would end this process
    before = torch.get_num_threads()
    torch.set_num_threads(before + 1)
    try:
        guarded._begin(None, 1)
        assert torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(before)


def test_objects_are_given_out_as_workers_become_free_and_closing_stops_them(tmp_path: Path) -> None:
    outcomes = LocalEngine(1).run(Hostile(tmp_path), objects_of(*["behaves"] * 6, "sleeps", *["behaves"] * 20), LIMITS)
    first = next(outcomes)
    second = next(outcomes)
    assert isinstance(first, Finished)
    assert isinstance(second, Finished)
    assert first.seconds["pid"] == second.seconds["pid"]  # a worker is kept
    assert len(list(tmp_path.iterdir())) < 10  # not all at once
    begin = time.monotonic()
    outcomes.close()  # type: ignore[attr-defined]
    assert time.monotonic() - begin < LONG / 10
    assert not psutil.pid_exists(int(first.seconds["pid"]))


def test_workers_that_cannot_begin_end_the_run(tmp_path: Path) -> None:
    with pytest.raises(RendererError, match="Workers end as soon as they begin"):
        list(LocalEngine(1).run(CannotBegin(tmp_path), objects_of("behaves"), LIMITS))


def test_a_process_that_dies_between_objects_costs_none(tmp_path: Path) -> None:
    process = GuardedProcess(Hostile(tmp_path), LIMITS)
    first, second = objects_of("behaves", "behaves")
    try:
        outcome = process.outcome(first)
        assert isinstance(outcome, Finished)
        psutil.Process(int(outcome.seconds["pid"])).kill()
        assert isinstance(process.outcome(second), Finished)
    finally:
        process.close()
    with pytest.raises(CancelledError):
        process.outcome(first)


def test_nothing_to_do_and_no_workers() -> None:
    assert not list(LocalEngine().run(Hostile(Path()), [], LIMITS))
    with pytest.raises(DatasetError, match="workers must be at least 1"):
        LocalEngine(0)
