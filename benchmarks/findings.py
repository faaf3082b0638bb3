"""What a benchmark found: ratios that are judged, and tables that are not."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import final

from benchmarks.timing import Comparison

Cell = str | float | None
"""None where a figure does not exist or could not be told from noise."""


@final
@dataclasses.dataclass(frozen=True, kw_only=True)
class Measurements:
    """A table of figures that promise nothing.

    Attributes:
        title: What was measured.
        rows: The cells by the names of their columns, the same in each row.
        note: How to read it.
    """

    title: str
    rows: Sequence[Mapping[str, Cell]]
    note: str = ""


@final
@dataclasses.dataclass(frozen=True, kw_only=True)
class Results:
    """All that a benchmark found.

    Attributes:
        comparisons: With their floors, where they have one.
        tables: What else there is to know.
    """

    comparisons: Sequence[Comparison]
    tables: Sequence[Measurements] = ()
