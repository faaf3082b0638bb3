"""What was not made, and why, in files that survive the run."""

import dataclasses
import json
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Self, final

from render3d.atomic import write_text
from render3d.datasets.collections import CollectionObject, Skipped
from render3d.datasets.view_sets.write.engine import Failed, Kind
from render3d.datasets.view_sets.write.sources import MeshSource, source_checksum
from render3d.datasets.view_sets.write.tables import csv_rows, csv_text, printable

FAILURES = "failures.csv"
SKIPPED = "skipped.csv"


@final
@dataclasses.dataclass(frozen=True)
class Failure:
    """A line of the file.

    Attributes:
        id: Of the object.
        source: Its file, relative to the root of its collection.
        kind: As in `Failed`, like the next.
        reason: In a sentence.
        sha256: Of the source; empty if it cannot be read.
        files: SHA-256 of what else was read, by name, as JSON.
        trace: As in `Failed`.
    """

    id: str
    source: str
    kind: Kind
    reason: str
    sha256: str
    files: str
    trace: str

    @classmethod
    def of(cls, failed: Failed) -> Self:
        """What is kept of a failure."""
        item = failed.object
        source, reason, trace = map(
            printable, (item.path.relative_to(item.root).as_posix(), failed.reason, failed.trace)
        )
        files = json.dumps(dict(failed.files))
        return cls(item.id, source, failed.kind, reason, source_checksum(item), files, trace)

    def would_recur(self, item: CollectionObject) -> bool:
        """Whether the object's files were the reason, and are as they were."""
        try:
            return self.kind == "input" and MeshSource(self.sha256, dict(json.loads(self.files))).is_there(item)
        except (ValueError, TypeError):  # a damaged line
            return False


_COLUMNS = tuple(field.name for field in dataclasses.fields(Failure))


def write_failures(folder: Path, failures: Iterable[Failure]) -> None:
    """Write ``failures.csv`` anew, in the order of ids."""
    rows = sorted((dataclasses.astuple(failure) for failure in failures), key=lambda row: row[0])
    write_text(folder / FAILURES, csv_text([_COLUMNS, *rows]))


def append_failure(folder: Path, failure: Failure) -> None:
    """Add a line."""
    with (folder / FAILURES).open("a", encoding="utf-8", newline="") as stream:
        stream.write(csv_text([dataclasses.astuple(failure)]))


def read_failures(folder: Path) -> dict[str, Failure]:
    """The lines by id, as far as they are whole: the last may be torn if the run was killed."""
    try:
        text = (folder / FAILURES).read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return {}
    rows = [row for row in csv_rows(text) if len(row) == len(_COLUMNS)]
    return {row[0]: Failure(*row) for row in rows if tuple(row) != _COLUMNS}  # type: ignore[arg-type]


def skipped_by_reason(skipped: Iterable[Skipped]) -> dict[str, int]:
    """How many files were not taken for each reason, the most frequent first."""
    return dict(Counter(printable(skip.reason) for skip in skipped).most_common())


def write_skipped(folder: Path, skipped: Iterable[Skipped]) -> None:
    """Write ``skipped.csv``: what was met in the collection and not taken for an object, and why."""
    write_text(folder / SKIPPED, csv_text([Skipped._fields, *((str(path), reason) for path, reason in skipped)]))
