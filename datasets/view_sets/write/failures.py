"""Which objects failed and why, in a file that survives the run."""

import csv
import dataclasses
import io
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Self, final

from render3d.atomic import write_text
from render3d.datasets.collections import CollectionObject
from render3d.datasets.view_sets.write.engine import Failed, Kind
from render3d.datasets.view_sets.write.sources import MeshSource, source_checksum

FAILURES = "failures.csv"


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
        source = item.path.relative_to(item.root).as_posix()
        files = json.dumps(dict(failed.files))
        return cls(item.id, source, failed.kind, failed.reason, source_checksum(item), files, failed.trace)

    def would_recur(self, item: CollectionObject) -> bool:
        """Whether the object's files were the reason, and are as they were."""
        try:
            return self.kind == "input" and MeshSource(self.sha256, dict(json.loads(self.files))).is_there(item)
        except (ValueError, TypeError):  # a damaged line
            return False


_COLUMNS = tuple(field.name for field in dataclasses.fields(Failure))


def write_failures(folder: Path, failures: Iterable[Failure]) -> None:
    """Write the file anew, in the order of ids."""
    rows = sorted((dataclasses.astuple(failure) for failure in failures), key=lambda row: row[0])
    write_text(folder / FAILURES, _lines([_COLUMNS, *rows]))


def append_failure(folder: Path, failure: Failure) -> None:
    """Add a line."""
    with (folder / FAILURES).open("a", encoding="utf-8", newline="") as stream:
        stream.write(_lines([dataclasses.astuple(failure)]))


def read_failures(folder: Path) -> dict[str, Failure]:
    """The lines by id, as far as they are whole: the last may be torn if the run was killed."""
    try:
        text = (folder / FAILURES).read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return {}
    limit = csv.field_size_limit(len(text))  # a name in a reason may be longer than what csv takes by default
    try:
        rows = [row for row in csv.reader(io.StringIO(text, newline="")) if len(row) == len(_COLUMNS)]
    finally:
        csv.field_size_limit(limit)
    return {row[0]: Failure(*row) for row in rows if tuple(row) != _COLUMNS}  # type: ignore[arg-type]


def _lines(rows: Iterable[Iterable[str]]) -> str:
    stream = io.StringIO(newline="")
    csv.writer(stream, lineterminator="\n").writerows(rows)
    return stream.getvalue()
