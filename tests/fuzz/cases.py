"""Inputs by number, and what must hold of each: `case_of` and `judge`."""

import functools
import tempfile
import warnings
from pathlib import Path
from typing import NamedTuple

import numpy as np

from render3d.errors import Render3DError
from tests.fuzz.mutations import Files, Link, mutate
from tests.fuzz.neutral import neutral
from tests.fuzz.readers import READERS, Values, check
from tests.fuzz.seeds import Seed, seeds

KINDS = ("accepted", "refused", "same", "failed")
"""Of verdicts: read with other values, refused by an own error, unchanged and read so, and against the rules."""

_NEUTRAL_SHARE = 0.1


class Case(NamedTuple):
    """An input.

    Attributes:
        origin: What it was made from.
        files: As they are read.
        same: Whether it must be read as its origin is.
    """

    origin: Seed
    files: Files
    same: bool


class Verdict(NamedTuple):
    """What became of an input.

    Attributes:
        reader: Whose it was.
        kind: One of `KINDS`.
        reason: The message of an error.
    """

    reader: str
    kind: str
    reason: str = ""


@functools.cache
def all_seeds() -> tuple[Seed, ...]:
    """Return the seeds, made once a process."""
    return tuple(seeds())


def case_of(seed: int, number: int) -> Case:
    """The input of a number: all readers in turn, and of each its seeds by chance."""
    generator = np.random.default_rng([seed, number])
    names = list(READERS)
    own = [each for each in all_seeds() if each.reader == names[number % len(names)]]
    origin = own[generator.integers(len(own))]
    same = bool(generator.random() < _NEUTRAL_SHARE)
    return Case(origin, (neutral if same else mutate)(origin.files, generator), same)


def judge(seed: int, number: int) -> Verdict:
    """Read an input, and say whether all is as it must be.

    An own error is a refusal. Whatever else is wrong is a failure: another error, a warning of another library, values
    that are not finite or out of range, and another result than that of its origin where nothing was changed.

    Args:
        seed: Of the run.
        number: Of the input; -1 to read all origins, which loads whatever the readers need.
    """
    if number < 0:
        for origin in all_seeds():
            _values_of(origin)
        return Verdict("all", "same")
    case = case_of(seed, number)
    reader = case.origin.reader
    try:
        values = read(reader, case.files, case.origin.target)
        if case.same:
            _check_same(values, _values_of(case.origin))
    except Render3DError as error:
        if _is_of_memory(error):
            return Verdict(reader, "failed", f"took too much memory: {error}")
        return Verdict(reader, "failed" if case.same else "refused", f"{type(error).__name__}: {error}")
    except (Exception, Warning) as error:
        return Verdict(reader, "failed", f"{type(error).__name__}: {error}")
    return Verdict(reader, "same" if case.same else "accepted")


def _is_of_memory(error: BaseException | None) -> bool:
    """Whether an error of this package stands for one of memory, of which a worker has little."""
    while error is not None:
        if isinstance(error, MemoryError) or "allocate memory" in str(error):  # as torch says it
            return True
        error = error.__cause__ or error.__context__
    return False


def read(reader: str, files: Files, target: str) -> Values:
    """What a reader makes of files, checked.

    Raises:
        AssertionError: It is not finite or out of range, or the reader warned.
    """
    with tempfile.TemporaryDirectory() as name, warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        folder = Path(name, "input")
        write(folder, files)
        values = READERS[reader](folder / target)
    check(values)
    foreign = [str(one.message) for one in caught if not one.category.__module__.startswith("render3d")]
    assert not foreign, f"warned: {foreign[0]}"
    return values


def write(folder: Path, files: Files) -> None:
    """Write files into a folder, which is made."""
    folder.mkdir(parents=True)
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, Link):
            path.symlink_to(content.target)
        else:
            path.write_bytes(content)


def _values_of(origin: Seed) -> Values:
    return read(origin.reader, origin.files, origin.target)


def _check_same(values: Values, expected: Values) -> None:
    assert values.keys() == expected.keys(), f"{sorted(values)} instead of {sorted(expected)}"
    for name, array in values.items():
        assert np.array_equal(array, expected[name]), f"{name} is another, though nothing was changed"
