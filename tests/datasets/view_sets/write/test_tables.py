"""CSV files of names from elsewhere: no row is torn, no cell is a formula, and what is read back is the same."""

import csv
import io

import pytest

from render3d.datasets.view_sets.write.tables import csv_rows, csv_text, printable

HOSTILE = [
    "=cmd|' /C calc'!A0",
    "+1+1",
    "-2",
    "@SUM(A1)",
    "\t=1",
    "'quoted'",
    "'=1",
    'a,"b"\nc',
    "",
    "plain",
]


def test_hostile_cells_come_back_and_begin_no_formula() -> None:
    rows = [HOSTILE, HOSTILE[::-1]]
    text = csv_text(rows)
    assert csv_rows(text) == rows
    cells = [cell for row in csv.reader(io.StringIO(text, newline="")) for cell in row]
    assert len(cells) == 2 * len(HOSTILE)
    assert not any(cell.startswith(("=", "+", "-", "@", "\t", "\r")) for cell in cells)


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("a\rb", "a\\x0db"),
        ("a\0b\x1b[31m", "a\\x00b\\x1b[31m"),
        ("ch\udce4ir", "ch\\xe4ir"),  # a byte of Latin-1, as Python reads it in a name
        ("\ud800", "\\ud800"),
        ("a\u2028b", "a\\u2028b"),
        ("Stühle 椅子\n\ttwo", "Stühle 椅子\n\ttwo"),
    ],
)
def test_what_cannot_be_printed_is_escaped_and_its_row_is_whole_in_any_reader(name: str, shown: str) -> None:
    assert printable(name) == shown
    text = csv_text([[name, "next"], ["third", "fourth"]])
    text.encode()
    for newline in ("", None):  # the latter takes \r for the end of a line
        assert list(csv.reader(io.StringIO(text, newline=newline)))[-1] == ["third", "fourth"]
    assert csv_rows(text) == [[shown, "next"], ["third", "fourth"]]
    assert csv_text(csv_rows(text)) == text
