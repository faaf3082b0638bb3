"""A few hundred inputs of ``python -m tests.fuzz``, and the fuzzer itself."""

import numpy as np
import pytest

from render3d.errors import MeshError
from tests.fuzz import troubled
from tests.fuzz.cases import all_seeds, case_of, judge, read
from tests.fuzz.readers import READERS
from tests.fuzz.workers import answers

EACH = 20  # inputs of a reader


@pytest.mark.parametrize("reader", READERS)
def test_seeds_are_read_as_their_known_values(reader: str) -> None:
    origins = [origin for origin in all_seeds() if origin.reader == reader]
    assert origins
    for origin in origins:
        values = read(reader, origin.files, origin.target)
        for name, known in origin.known.items():
            np.testing.assert_allclose(values[name], np.asarray(known), atol=1e-4, err_msg=name)


@pytest.mark.parametrize("reader", READERS)
def test_mutants_are_refused_or_read_whole(reader: str) -> None:
    first = list(READERS).index(reader)
    verdicts = {number: judge(0, number) for number in range(first, EACH * len(READERS), len(READERS))}
    assert {number: verdict.reason for number, verdict in verdicts.items() if verdict.kind == "failed"} == {}
    assert {"accepted", "same"} & {verdict.kind for verdict in verdicts.values()}


def test_an_input_is_a_function_of_its_seed_and_number() -> None:
    assert case_of(3, 7) == case_of(3, 7)
    assert case_of(3, 7).files != case_of(4, 7).files


def test_what_changes_nothing_changes_the_file() -> None:
    unchanged = [case for case in (case_of(1, number) for number in range(600)) if case.same]
    unchanged = [case for case in unchanged if case.origin.reader != "webp"]  # which has no comments
    assert {case.origin.reader for case in unchanged} >= {"obj", "gltf", "png", "zip"}
    assert all(case.files != case.origin.files for case in unchanged)


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (lambda path: 1 / 0, "ZeroDivisionError"),
        (lambda path: {"vertices": np.array([np.nan])}, "not finite"),
        (lambda path: {"colors": np.array([300.0])}, "colors is from"),
        (lambda path: {"vertices": np.array([1e30]).astype(np.int8)}, "warned: invalid value"),
        (lambda path: {"vertices": np.array([path.stat().st_size])}, "another, though nothing was changed"),
    ],
    ids=["foreign error", "NaN", "colours of bytes", "warning", "not the same"],
)
def test_the_judge_tells(monkeypatch: pytest.MonkeyPatch, answer: object, reason: str) -> None:
    monkeypatch.setitem(READERS, "off", answer)
    unchanged = next(
        number for number in range(2000) if case_of(0, number).same and case_of(0, number).origin.reader == "off"
    )
    assert judge(0, unchanged).kind == "failed"
    assert reason in judge(0, unchanged).reason


def test_an_error_of_ours_that_stands_for_one_of_memory_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers have little memory: what takes too much of it is no refusal."""

    def read_off(path: object) -> None:
        try:
            raise MemoryError
        except MemoryError as error:
            raise MeshError("broken or truncated") from error

    monkeypatch.setitem(READERS, "off", read_off)
    number = next(number for number in range(2000) if case_of(0, number).origin.reader == "off")
    assert judge(0, number).kind == "failed"
    assert "took too much memory" in judge(0, number).reason


def test_an_input_that_brings_its_process_down_is_named_and_the_run_goes_on() -> None:
    found = dict(answers(troubled.judge, range(5), seconds=1.0, extra_bytes=2**28))
    assert found == {
        0: ("fine",),
        1: "no answer within 1 s",
        2: "its process died",
        3: "its process died",
        4: ("fine",),
    }
